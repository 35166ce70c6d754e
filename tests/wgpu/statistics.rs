//! Cases of the kernels of sums, statistics, updates and control: odd sizes, all specialisations.

use gmatrix::config::OptimizerConfig;
use gmatrix::model::TensorGroup;
use gmatrix::plan::{Arena, Kernel, Segment, Site, SiteKind, Strided, View, control};
use gmatrix::{optimizer, stats::columns};

use super::cases::{Case, Random, SIZES, exponents, run, supported};

#[test]
fn wgpu_sums() {
    let flags = |sizes: Vec<usize>| sizes.into_iter().flat_map(|n| [0, 1].map(|accumulate| (n, accumulate)));
    run(
        Kernel::LossMean,
        1e-12,
        flags(vec![1, 31, 97, 345]).map(|(n, accumulate)| {
            let mut c = Case::new(n as u64);
            let hits = c.random.words(n, 2);
            let (loss, hit) = (c.real(Arena::Values, n), c.words(Arena::Words, hits));
            let out = if accumulate == 1 {
                c.real(Arena::Scalars, 2)
            } else {
                c.out(Arena::Scalars, 2)
            };
            c.call(
                Kernel::LossMean,
                &[("ACCUMULATE", accumulate)],
                &[loss, hit, out],
                &[n, 345],
            );
            (format!("{n} {accumulate}"), c)
        }),
    );
    // A sum of squares of large spread: two f32 alone would keep seven digits of it.
    run(
        Kernel::Dot,
        1e-12,
        [1_usize, 31, 97, 16_384, 40_001].map(|len| {
            let mut c = Case::new(len as u64);
            let x: Vec<f64> = (0..len)
                .map(|k| f64::from((c.random.real() * 10f64.powi(k as i32 % 9 - 4)) as f32))
                .collect();
            let (x, y) = (c.numbers(Arena::Gradients, x.clone()), c.numbers(Arena::Parameters, x));
            let out = c.out(Arena::WideScratch, len.div_ceil(gmatrix::plan::BLOCK));
            c.call(Kernel::Dot, &[], &[x, y, out], &[len]);
            (format!("{len}"), c)
        }),
    );
    run(
        Kernel::SumRows,
        1e-12,
        [(1, 1), (31, 7), (97, 33)].map(|(rows, width)| {
            let mut c = Case::new(rows as u64);
            // Full wide numbers, not only those that one f32 holds.
            let values: Vec<f64> = (0..rows * width)
                .map(|_| c.random.real() + 1e-9 * c.random.real())
                .collect();
            let partial = c.numbers(Arena::WideScratch, values);
            let out = c.out(Arena::WideScratch, width);
            c.call(Kernel::SumRows, &[], &[partial, out], &[rows, width]);
            (format!("{rows}x{width}"), c)
        }),
    );
    for before in [0, 1] {
        run(
            Kernel::Difference,
            1e-12,
            flags(vec![1, 33, 345]).map(|(n, accumulate)| {
                let mut c = Case::new(n as u64);
                let mut bindings = vec![c.real(Arena::Values, n)];
                if before == 1 {
                    bindings.push(c.real(Arena::Values, n));
                }
                bindings.push(if accumulate == 1 {
                    c.real(Arena::Scalars, 1)
                } else {
                    c.out(Arena::Scalars, 1)
                });
                c.call(
                    Kernel::Difference,
                    &[("BEFORE", before), ("ACCUMULATE", accumulate)],
                    &bindings,
                    &[n, 13],
                );
                (format!("{n} {before} {accumulate}"), c)
            }),
        );
    }
}

/// Room for rates and a row.
const SCALARS: usize = control::RATES + columns::PROPERTIES;

fn rates(random: &mut Random) -> Vec<f64> {
    let mut scalars = random.reals(SCALARS, 1.0);
    let beta: [f64; 2] = [0.9, 0.98];
    scalars[control::LR] = 1e-3;
    scalars[control::CORRECTION1] = 1.0 - beta[0].powi(7);
    scalars[control::CORRECTION2] = 1.0 - beta[1].powi(7);
    scalars[control::BETA1] = beta[0];
    scalars[control::BETA2] = beta[1];
    scalars[control::EPS] = 1e-8;
    for (k, decay) in scalars[control::DECAY..][..TensorGroup::ALL.len()]
        .iter_mut()
        .enumerate()
    {
        *decay = 0.1 * k as f64;
    }
    scalars[control::MEAN_SQUARE] = 0.37;
    scalars
}

#[test]
fn wgpu_optimizer() {
    let all = [1_usize, 97, 20_001]
        .into_iter()
        .flat_map(|len| (0..4).map(move |kind| (len, kind)));
    // |update|^2 squares differences of f32 weights, each off by up to half an ulp of the weight: at a step of 1e-3 of
    // the weights that is 1e-4 of the update for one weight, less for the sum of many.
    run(
        Kernel::Optimizer,
        2e-7,
        all.map(|(len, kind)| {
            let mut c = Case::new(len as u64);
            let scalars = rates(&mut c.random);
            let squares: Vec<f64> = c
                .random
                .reals(len, 1.0)
                .iter()
                .map(|x| f64::from((x * x) as f32))
                .collect();
            let moments = [c.random.reals(len, 1.0), squares, c.random.reals(len, 1.0)].concat();
            let middle = (len / 3) as u32;
            let bindings = [
                c.real(Arena::Parameters, len),
                c.real(Arena::Gradients, len),
                c.numbers(Arena::Moments, moments),
                c.numbers(Arena::Scalars, scalars),
                c.words(Arena::Data, vec![middle, 2, len as u32, 6]),
                c.out(Arena::WideScratch, 7 * len.div_ceil(gmatrix::plan::BLOCK)),
            ];
            c.call(Kernel::Optimizer, &[("OPTIMIZER", kind)], &bindings, &[len, 2]);
            (format!("{len} {kind}"), c)
        }),
    );
    run(
        Kernel::UpdateStatistics,
        1e-12,
        [1.0, 0.0].map(|first| {
            let mut c = Case::new(3);
            let mut sums: Vec<f64> = c.random.reals(7, 1.0).iter().map(|x| x.abs() + 0.1).collect();
            for place in [1, 3, 5] {
                sums[place] *= first;
            }
            let values = c.random.reals(SCALARS, 1.0);
            let (sums, scalars) = (c.numbers(Arena::WideScratch, sums), c.numbers(Arena::Scalars, values));
            c.call(Kernel::UpdateStatistics, &[], &[sums, scalars], &[]);
            (format!("{first}"), c)
        }),
    );
}

/// Sites of every kind over arenas of activations and cotangents.
fn sites(c: &mut Case, n: usize) -> (Vec<Site>, View) {
    let (t, d_in, d_out, vocabulary) = (3, 31, 33, 5);
    let ids = c.random.words(t * n, vocabulary);
    let ids = c.words(Arena::Words, ids);
    let rows = |view, width| Strided {
        view,
        stride_n: width,
        stride_t: n * width,
    };
    let a = c.real(Arena::Activations, t * n * d_in);
    let mut site = |kind, positions: usize, ids| {
        let b = c.real(Arena::Cotangents, positions * n * d_out);
        let linear = matches!(kind, SiteKind::Linear | SiteKind::LinearBias);
        Site {
            name: format!("{kind:?}"),
            kind,
            positions,
            d_in: if linear { d_in } else { 0 },
            d_out,
            a: linear.then(|| rows(a, d_in)),
            b: rows(b, d_out),
            ids,
            weight: None,
            bias: None,
        }
    };
    let sites = vec![
        site(SiteKind::Linear, t, None),
        site(SiteKind::LinearBias, 1, None),
        site(SiteKind::Embedding, t, Some((ids, 0))),
        site(SiteKind::Embedding, t, Some((ids, 5))),
        site(SiteKind::Position, t, None),
        site(SiteKind::Materialised, 1, None),
    ];
    (sites, ids)
}

#[test]
fn wgpu_sample_norms_and_gram_tile() {
    let arenas = [View::Whole(Arena::Activations), View::Whole(Arena::Cotangents)];
    run(
        Kernel::SampleNorms,
        1e-6,
        SIZES.map(|n| {
            let mut c = Case::new(n as u64);
            let (sites, ids) = sites(&mut c, n);
            let (table, norm) = (c.sites(&sites), c.out(Arena::WideScratch, n));
            c.call(
                Kernel::SampleNorms,
                &[],
                &[arenas[0], arenas[1], ids, table, norm],
                &[n, sites.len()],
            );
            (format!("{n}"), c)
        }),
    );
    run(
        Kernel::GramTile,
        1e-6,
        [1, 31, 97, 193].map(|n| {
            let mut c = Case::new(n as u64);
            let (sites, ids) = sites(&mut c, n);
            let (table, gram) = (c.sites(&sites), c.out(Arena::Scratch, n * n));
            c.call(
                Kernel::GramTile,
                &[],
                &[arenas[0], arenas[1], ids, table, gram],
                &[n, sites.len()],
            );
            (format!("{n}"), c)
        }),
    );
}

#[test]
fn wgpu_batch_statistics() {
    // The logarithms are those of f32; all sums are wide.
    // No zero gradients, some, and nothing else.
    let cases = [1, 2, 31, 97, 345]
        .into_iter()
        .flat_map(|n| [0, 1, 2].map(|zeros| (n, zeros)));
    run(
        Kernel::BatchStatistics,
        1e-7,
        cases.map(|(n, zeros)| {
            let mut c = Case::new(n as u64);
            let exponent = exponents(&mut c.random, n);
            let norms = (0..n)
                .map(|k| {
                    if zeros == 2 || (zeros == 1 && k % 3 == 0) {
                        0.0
                    } else {
                        c.random.real().abs() + 0.01
                    }
                })
                .collect();
            let mut values = rates(&mut c.random);
            if zeros == 2 {
                values[control::MEAN_SQUARE] = 0.0;
            }
            let norm = c.numbers(Arena::WideScratch, norms);
            let (exponent, scalars) = (c.words(Arena::Words, exponent), c.numbers(Arena::Scalars, values));
            c.call(Kernel::BatchStatistics, &[], &[norm, exponent, scalars], &[n]);
            (format!("{n} {zeros}"), c)
        }),
    );
}

#[test]
fn wgpu_row() {
    if !supported() {
        return;
    }
    for due in [Some(Segment::Scalars), Some(Segment::Gram), None] {
        let mut c = Case::new(5);
        let (width, capacity) = (37, 3);
        let segments = c.random.words(width, 9);
        let mut block = c.block();
        if let Some(segment) = due {
            block[control::due(segment)] = 1;
        }
        (block[control::RUN], block[control::STEP], block[control::ROWS]) = (7, 1234, 4);
        let values = c.random.reals(SCALARS, 1.0);
        let header = c.random.words(capacity * 4, 99);
        let bindings = [
            c.numbers(Arena::Scalars, values),
            c.words(Arena::Data, segments),
            c.control(),
            c.real(Arena::Ring, capacity * width),
            c.words(Arena::RingHeader, header),
        ];
        c.call(Kernel::Row, &[], &bindings, &[width, capacity]);
        c.check_with(&format!("row {due:?}"), 0.0, block);
    }
}

#[test]
fn wgpu_control() {
    if !supported() {
        return;
    }
    let case = |phase: u32, block: &[u32], scalars: Vec<f64>, history: Vec<f64>| {
        let mut c = Case::new(11);
        let settings = optimizer::settings(&OptimizerConfig::default());
        let bindings = [
            c.control(),
            c.numbers(Arena::Settings, settings),
            c.numbers(Arena::Scalars, scalars),
            c.numbers(Arena::Sums, history),
        ];
        c.call(Kernel::Control, &[("PHASE", phase)], &bindings, &[]);
        c.check_with(&format!("control {phase} {block:?}"), 1e-11, block.to_vec())
    };
    let block = |step: u32| {
        let mut block = Case::new(0).block();
        block[control::STEP] = step;
        block[control::MAX_STEPS] = 5000;
        block[control::STOP_AFTER_GROKKING] = u32::MAX;
        block[control::WARMUP] = 10;
        for segment in Segment::ALL {
            block[control::every(segment)] = [0, 1, 7, 10][segment.index() % 4];
        }
        block
    };
    let scalars = || rates(&mut Random::new(1));
    let history = || vec![0.5; 2 * control::HISTORY];
    let mut worst: f64 = 0.0;
    for step in [0, 3, 9, 70, 4321, 1 << 25] {
        worst = worst.max(case(0, &block(step), scalars(), history()));
    }
    for bad in [1.0, f64::NAN, f64::INFINITY] {
        for place in [control::BATCH_LOSS, control::MEAN_SQUARE] {
            let mut scalars = scalars();
            scalars[place] = bad;
            case(1, &block(70), scalars, history());
        }
    }
    // Histories about the median's threshold, accuracies at the thresholds, ends by steps and by grokking.
    for (step, train, test, earlier, evaluations) in [
        (70, 0.99, 0.95, 0.9, 5),
        (70, 0.5, 0.96, 0.97, 6),
        (70, 1.0, 1.0, 0.95, 70),
        (4999, 0.98, 0.2, 0.1, 200),
    ] {
        for (grokked, after) in [(0, 100), (41, 31), (41, u32::MAX - 20)] {
            let mut block = block(step);
            block[control::due(Segment::Evaluate)] = 1;
            block[control::EVALUATIONS] = evaluations;
            block[control::GROKKED] = grokked;
            block[control::STOP_AFTER_GROKKING] = after;
            let mut scalars = scalars();
            scalars[control::RATES + columns::TRAIN_ACCURACY] = train;
            scalars[control::RATES + columns::TEST_ACCURACY] = test;
            let history = (0..control::HISTORY)
                .flat_map(|k| [earlier + 0.01 * (k % 3) as f64, f64::from(step) - 3.0 * k as f64 - 1.0])
                .collect();
            case(2, &block, scalars, history);
        }
    }
    println!("control: largest error of rates {worst:.1e}");
}
