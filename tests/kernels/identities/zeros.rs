//! Gradients that are exactly zero, and numbers that are not finite, beside healthy ones.

use gmatrix::backend::Values;
use gmatrix::plan::Kernel;

use crate::case::numbers;
use crate::cases;
use crate::run::{backends, outputs_of};

/// Gradients of tiny losses keep their statistics beside a sample whose gradient is zero and whose exponent is 0.
#[test]
fn gram_forms_and_sums_ignore_the_exponent_of_zero_gradients() {
    let n = 5;
    // Rows of K are unit vectors with cosines of 1/2; sample 2 is zero; the others are 2^-600 of what K holds.
    let gram: Vec<f64> = (0..n * n)
        .map(|k| match (k / n, k % n) {
            (2, _) | (_, 2) => 0.0,
            (i, j) if i == j => 1.0,
            _ => 0.5,
        })
        .collect();
    let exponent: Vec<u32> = (0..n).map(|i| if i == 2 { 0 } else { 600 }).collect();
    let norm: Vec<f64> = (0..n).map(|i| gram[i * n + i]).collect();
    let mut tile = vec![0.0; 264];
    for (i, j) in (0..n * n)
        .map(|k| (k / n, k % n))
        .filter(|(i, j)| i < j && *i != 2 && *j != 2)
    {
        let k = gram[i * n + j];
        tile[0] += k * k;
        tile[1] += k;
        tile[2] += k * k;
        tile[8 + i] += k;
        tile[8 + 128 + j] += k;
    }
    tile[3] = 0.5;
    for kernel in [Kernel::GramForms, Kernel::GramSums] {
        for backend in backends(kernel, None) {
            let mut case = cases::of(kernel).swap_remove(0);
            case.params = vec![n];
            let mut contents = Vec::new();
            for buffer in &mut case.buffers {
                let values = match buffer.name.as_str() {
                    "gram" => Values::Numbers(gram.clone()),
                    "exponent" => Values::Words(exponent.clone()),
                    "norm" => Values::Numbers(norm.clone()),
                    "tiles" => Values::Numbers(tile.clone()),
                    "forms" => Values::Numbers(vec![f64::NAN; 3 * n * n]),
                    _ => Values::Numbers(vec![f64::NAN; 32 + 3 * n]),
                };
                buffer.len = match &values {
                    Values::Numbers(x) => x.len(),
                    Values::Words(x) => x.len(),
                };
                contents.push(values);
            }
            let out = outputs_of(&case, &backend, contents).expect("a launch");
            let sums = numbers(&out["sums"]);
            // Trace 4, squared Frobenius norm 4 + 12/4, on the scale of the largest gradient.
            assert_eq!(
                [sums[0], sums[1]],
                [4.0, 7.0],
                "{} on {}",
                kernel.name(),
                backend.title()
            );
        }
    }
}

/// A NaN before a non-linearity stays one: divergence must reach the loss, where the guard looks for it.
#[test]
fn activation_passes_nan_on() {
    for backend in backends(Kernel::Activation, None) {
        for case in cases::of(Kernel::Activation)
            .into_iter()
            .filter(|case| case.params == [33])
        {
            let mut contents = case.contents(1, backend.precision);
            let mut input = numbers(&contents[0]).to_vec();
            input[32] = f64::NAN;
            contents[0] = Values::Numbers(input);
            let out = outputs_of(&case, &backend, contents).expect("a launch");
            assert!(
                numbers(&out["out"])[32].is_nan(),
                "{} on {}",
                case.title(),
                backend.title()
            );
        }
    }
}
