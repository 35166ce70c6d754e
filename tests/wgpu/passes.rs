//! Cases of the kernels of forward and backward passes: odd sizes, all specialisations.

use gmatrix::plan::{Arena, Kernel};

use super::cases::{Case, SIZES, exponents, run};

#[test]
fn wgpu_matmul() {
    let mut cases = Vec::new();
    for (place, (m, k, n)) in [(1, 1, 1), (31, 33, 97), (97, 31, 33), (130, 97, 65), (1, 345, 1)]
        .into_iter()
        .enumerate()
    {
        for spec in Kernel::Matmul.contract().specialisations() {
            let mut c = Case::new(place as u64);
            let (a, b) = (c.real(Arena::Activations, m * k), c.real(Arena::Parameters, k * n));
            let mut bindings = vec![a, b];
            if spec[1] != 0 {
                bindings.push(c.real(Arena::Parameters, n));
            }
            if spec[2] != 0 {
                bindings.push(c.real(Arena::Activations, m * n));
            }
            // In the arena of `a`, so that reading and writing meet in one buffer.
            bindings.push(if spec[3] != 0 {
                c.real(Arena::Activations, m * n)
            } else {
                c.out(Arena::Activations, m * n)
            });
            let constants: Vec<(&str, u32)> = ["TRANSPOSE_B", "BIAS", "RESIDUAL", "ACCUMULATE"]
                .into_iter()
                .zip(spec)
                .collect();
            c.call(Kernel::Matmul, &constants, &bindings, &[m, k, n]);
            cases.push((format!("{m}x{k}x{n} {constants:?}"), c));
        }
    }
    run(Kernel::Matmul, 1e-6, cases);
}

#[test]
fn wgpu_element_wise() {
    for kernel in [Kernel::Add, Kernel::Copy] {
        run(
            kernel,
            1e-7,
            SIZES.into_iter().chain([20_000]).map(|len| {
                let mut c = Case::new(7);
                let input = c.real(Arena::Scratch, len);
                let out = if kernel == Kernel::Add {
                    c.real(Arena::Scratch, len)
                } else {
                    c.out(Arena::Scratch, len)
                };
                c.call(kernel, &[], &[input, out], &[len]);
                (format!("{len}"), c)
            }),
        );
    }
    // A lone input in gelu's tail, where an ulp of x is up to 2 x^2 of them in Phi(x), sets the bound.
    for kernel in [Kernel::Activation, Kernel::ActivationBackward] {
        let all = SIZES.into_iter().flat_map(|len| (0..3).map(move |kind| (len, kind)));
        run(
            kernel,
            2e-6,
            all.map(|(len, kind)| {
                let mut c = Case::new(8);
                let input = c.real_of(Arena::Activations, len, 3.0);
                let out = if kernel == Kernel::Activation {
                    c.out(Arena::Activations, len)
                } else {
                    c.real(Arena::Cotangents, len)
                };
                c.call(kernel, &[("ACTIVATION", kind)], &[input, out], &[len]);
                (format!("{len} {kind}"), c)
            }),
        );
    }
}

#[test]
fn wgpu_embed_and_back() {
    let (t, d, vocabulary) = (3, 33, 11);
    let mut forward = Vec::new();
    let mut backward = Vec::new();
    for n in SIZES {
        for (position, sum, id_step) in [(0, 0, 0), (1, 0, 0), (0, 1, 11), (1, 1, 11)] {
            let mut c = Case::new(n as u64);
            let rows = vocabulary + (t - 1) * id_step;
            let ids = c.random.words(t * n, vocabulary as u32);
            let mut bindings = vec![c.words(Arena::Data, ids), c.real(Arena::Parameters, rows * d)];
            if position != 0 {
                bindings.push(c.real(Arena::Parameters, t * d));
            }
            bindings.push(c.out(Arena::Activations, if sum != 0 { n * d } else { t * n * d }));
            let params = [n, t, d, d, if sum != 0 { 0 } else { n * d }, id_step];
            c.call(
                Kernel::Embed,
                &[("POSITION", position), ("SUM", sum)],
                &bindings,
                &params,
            );
            forward.push((format!("{n} {position} {sum}"), c));
        }
        for accumulate in [0, 1] {
            let mut c = Case::new(n as u64);
            let ids = c.random.words(t * n, vocabulary as u32);
            let exponent = exponents(&mut c.random, n);
            let b = c.real(Arena::Cotangents, t * n * d);
            let (ids, exponent) = (c.words(Arena::Data, ids), c.words(Arena::Words, exponent));
            let table = if accumulate == 1 {
                c.real(Arena::Gradients, vocabulary * d)
            } else {
                c.out(Arena::Gradients, vocabulary * d)
            };
            let params = [n, t, d, d, n * d, 0, vocabulary, n];
            c.call(
                Kernel::EmbedBackward,
                &[("ACCUMULATE", accumulate)],
                &[b, ids, exponent, table],
                &params,
            );
            backward.push((format!("{n} {accumulate}"), c));
        }
    }
    run(Kernel::Embed, 1e-6, forward);
    run(Kernel::EmbedBackward, 1e-6, backward);
}

#[test]
fn wgpu_attention_and_back() {
    let shapes = [(1, 1, 1, 1, 1), (31, 3, 1, 4, 8), (33, 5, 5, 2, 7), (97, 3, 3, 1, 33)];
    run(
        Kernel::Attention,
        2e-6,
        shapes.into_iter().map(|(n, t, tq, heads, d_head)| {
            let d = heads * d_head;
            let mut c = Case::new(n as u64);
            let bindings = [
                c.real(Arena::Activations, tq * n * d),
                c.real(Arena::Activations, t * n * 2 * d),
                c.out(Arena::Activations, n * heads * tq * t),
                c.out(Arena::Activations, tq * n * d),
            ];
            c.call(Kernel::Attention, &[], &bindings, &[n, t, tq, heads, d_head]);
            (format!("{n} {t} {tq}"), c)
        }),
    );
    run(
        Kernel::AttentionBackward,
        2e-6,
        shapes.into_iter().map(|(n, t, tq, heads, d_head)| {
            let d = heads * d_head;
            let mut c = Case::new(n as u64);
            let bindings = [
                c.real(Arena::Cotangents, tq * n * d),
                c.real(Arena::Activations, n * heads * tq * t),
                c.real(Arena::Activations, tq * n * d),
                c.real(Arena::Activations, t * n * 2 * d),
                c.out(Arena::Cotangents, tq * n * d),
                c.out(Arena::Cotangents, t * n * 2 * d),
            ];
            c.call(Kernel::AttentionBackward, &[], &bindings, &[n, t, tq, heads, d_head]);
            (format!("{n} {t} {tq}"), c)
        }),
    );
}

/// Logits at all margins: from labels far behind to labels so far ahead that 1 - p is below the smallest f32.
fn loss_case(n: usize, classes: usize, kind: u32, gradient: u32, margins: &[f64]) -> Case {
    let mut c = Case::new((n * classes) as u64);
    let labels = c.random.words(n, classes as u32);
    let mut logits = c.random.reals(n * classes, 2.0);
    for (sample, label) in labels.iter().enumerate() {
        logits[sample * classes + *label as usize] += margins[sample % margins.len()];
    }
    let logits = logits.into_iter().map(|z| f64::from(z as f32)).collect();
    let mut bindings = vec![
        c.numbers(Arena::Scratch, logits),
        c.words(Arena::Data, labels),
        c.out(Arena::Values, n),
        c.out(Arena::Words, n),
    ];
    if gradient != 0 {
        bindings.push(c.out(Arena::Cotangents, n * classes));
        bindings.push(c.out(Arena::Words, n));
    }
    c.call(
        Kernel::Loss,
        &[("LOSS", kind), ("GRADIENT", gradient)],
        &bindings,
        &[n, classes],
    );
    c
}

#[test]
fn wgpu_loss() {
    let mut cases = Vec::new();
    for (n, classes) in [(1, 1), (31, 33), (33, 2), (97, 113)] {
        for kind in [0, 2] {
            for gradient in [0, 1] {
                let c = loss_case(n, classes, kind, gradient, &[-12.0, -3.0, 0.0, 3.0]);
                cases.push((format!("{n}x{classes} {kind} {gradient}"), c));
            }
        }
    }
    run(Kernel::Loss, 1e-6, cases);
    // One margin a case, since errors count against the largest loss of a case: relative accuracy at any loss.
    let margins = [10.0, 20.0, 60.0, 80.0];
    run(
        Kernel::Loss,
        1e-6,
        margins
            .into_iter()
            .map(|m| (format!("margin {m}"), loss_case(31, 1 + 33, 0, 1, &[m]))),
    );
    run(
        Kernel::Loss,
        1e-6,
        [("margin -100".into(), loss_case(31, 33, 0, 0, &[-100.0]))],
    );
    // Beyond f32, the cotangent still has its digits; the loss itself is 0.
    run(
        Kernel::Loss,
        1e-6,
        [("margin 300".into(), loss_case(33, 5, 0, 1, &[300.0]))],
    );
    // The naive form loses digits by design: the bound is that of its own rounding, against logits near 10.
    run(
        Kernel::Loss,
        1e-5,
        [0, 1].map(|gradient| {
            (
                format!("naive {gradient}"),
                loss_case(33, 31, 1, gradient, &[-3.0, 0.0, 1.0]),
            )
        }),
    );
}

#[test]
fn wgpu_gradients() {
    let mut cases = Vec::new();
    for (n, t, d_in, d_out) in [(1, 1, 1, 1), (31, 3, 33, 97), (97, 7, 65, 31), (33, 1, 31, 33)] {
        for spec in Kernel::WeightGradient.contract().specialisations() {
            let mut c = Case::new(n as u64);
            let rows = n * t;
            let exponent = exponents(&mut c.random, n);
            let mut bindings = vec![
                c.real(Arena::Activations, rows * d_in),
                c.real(Arena::Cotangents, rows * d_out),
                c.words(Arena::Words, exponent),
            ];
            for len in [d_in * d_out, d_out].into_iter().take(1 + spec[0] as usize) {
                bindings.push(if spec[1] != 0 {
                    c.real(Arena::Gradients, len)
                } else {
                    c.out(Arena::Gradients, len)
                });
            }
            let constants = [("BIAS", spec[0]), ("ACCUMULATE", spec[1])];
            c.call(
                Kernel::WeightGradient,
                &constants,
                &bindings,
                &[rows, n, d_in, d_out, n],
            );
            cases.push((format!("{rows} {d_in} {d_out} {spec:?}"), c));
        }
    }
    run(Kernel::WeightGradient, 1e-6, cases);
    let all = SIZES.into_iter().flat_map(|n| [0, 1].map(|accumulate| (n, accumulate)));
    run(
        Kernel::ColumnSums,
        2e-7,
        all.map(|(n, accumulate)| {
            let (planes, d) = (3, 31);
            let mut c = Case::new(n as u64);
            let exponent = exponents(&mut c.random, n);
            let x = c.real(Arena::Cotangents, planes * n * d);
            let exponent = c.words(Arena::Words, exponent);
            let len = planes * d;
            let out = if accumulate == 1 {
                c.real(Arena::Gradients, len)
            } else {
                c.out(Arena::Gradients, len)
            };
            c.call(
                Kernel::ColumnSums,
                &[("ACCUMULATE", accumulate)],
                &[x, exponent, out],
                &[n, planes, d, d, n * d, 7],
            );
            (format!("{n} {accumulate}"), c)
        }),
    );
}
