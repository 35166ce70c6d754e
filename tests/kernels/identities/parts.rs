//! The parts of an update are the update: what `decompose` says an optimiser will do is what `optimizer` does.

use gmatrix::backend::{Precision, Values};
use gmatrix::plan::{Kernel, control};

use crate::case::numbers;
use crate::cases;
use crate::run::{backends, outputs};

#[test]
fn parts_of_decompose_sum_to_the_update_of_optimizer() {
    for backend in backends(Kernel::Decompose, Some(Precision::F64)) {
        for (kind, shaped) in (0..5).flat_map(|kind| [(kind, 0), (kind, 1)]) {
            let of = |kernel| {
                let cases = cases::of(kernel).into_iter();
                let mut cases = cases.filter(move |case| case.constants == [("OPTIMIZER", kind), ("SHAPED", shaped)]);
                cases
                    .find(|case| case.params[0] == 345)
                    .expect("a case of 345 parameters")
            };
            let (mut update, mut parts) = (of(Kernel::Optimizer), of(Kernel::Decompose));
            let len = 345;
            // Both on the same weights, moments, rates and gradient.
            let contents = parts.contents(5, Precision::F64);
            let at = |name: &str| parts.buffers.iter().position(|b| b.name == name).expect("a buffer");
            let gradients = numbers(&contents[at("gradients")]).to_vec();
            let taken = if shaped == 1 {
                numbers(&contents[at("shaped")])
            } else {
                &gradients
            };
            let shared = [
                ("theta", contents[at("theta")].clone()),
                ("moments", contents[at("moments")].clone()),
                ("scalars", contents[at("scalars")].clone()),
                ("gradient", Values::Numbers(gradients[..len].to_vec())),
                ("shaped", Values::Numbers(taken[..len].to_vec())),
            ];
            for (name, values) in &shared {
                if let Some(buffer) = update.buffers.iter_mut().find(|b| b.name == *name) {
                    let values = values.clone();
                    buffer.fill = Box::new(move |_| values.clone());
                }
            }
            for (buffer, values) in parts.buffers.iter_mut().zip(contents.clone()) {
                buffer.fill = Box::new(move |_| values.clone());
            }
            let theta = numbers(&shared[0].1);
            let after = outputs(&update, &backend).expect("an update");
            let change: Vec<f64> = numbers(&after["theta"]).iter().zip(theta).map(|(a, b)| a - b).collect();
            let partial = outputs(&parts, &backend).expect("the parts of the update");
            let properties = parts.params[2];
            let products = &numbers(&partial["partial"])[properties * properties..];
            for x in 0..properties {
                let gradient = &gradients[(1 + x) * len..][..len];
                let measured: f64 = gradient.iter().zip(&change).map(|(g, c)| g * c).sum();
                let count = if [1, 2, 4].contains(&kind) { 5 } else { 4 };
                let predicted: f64 = products[count * x..][..count].iter().sum();
                let scale: f64 = gradient.iter().zip(theta).map(|(g, w)| (g * w).abs()).sum();
                let error = (measured - predicted).abs() / scale;
                assert!(error < 1e-14, "optimiser {kind}, property {x}: {measured} {predicted}");
                assert!(
                    measured.abs() > 1e-6 * scale,
                    "an update that does nothing shows nothing"
                );
            }
        }
    }
}

#[test]
fn ledger_closes_over_steps_that_are_and_are_not_recorded() {
    for backend in backends(Kernel::Ledger, None) {
        let cases = cases::of(Kernel::Ledger).into_iter();
        let mut case = cases
            .filter(|c| c.params == [2])
            .find(|c| c.name.contains("false") && c.constants.contains(&("REMEMBERED", 1)))
            .expect("a fresh ledger");
        let at = |name: &str| case.buffers.iter().position(|b| b.name == name).expect("a buffer");
        let places = [at("products"), at("change"), at("value"), at("ledger"), at("scalars")];
        // Two properties follow a walk; every third step is recorded.
        let mut rng = crate::fill::Rng::new(4);
        let mut value = [3.0, -1.0];
        let mut start = None;
        let mut books = Values::Numbers(vec![0.0; 18]);
        for step in 0..30 {
            let change = [rng.normal(), rng.normal()];
            if step % 3 == 1 {
                start.get_or_insert(value);
                let mut products = rng.normals(14);
                products[3] = 7.0;
                let given = [products, change.to_vec(), value.to_vec()].map(Values::Numbers);
                for (place, values) in places.iter().zip(given.into_iter().chain([books.clone()])) {
                    case.buffers[*place].fill = Box::new(move |_| values.clone());
                }
                let out = outputs(&case, &backend).expect("a launch");
                books = out["ledger"].clone();
                let row = &numbers(&out["scalars"])[control::RATES + gmatrix::stats::columns::PROPERTIES..];
                for x in 0..2 {
                    let total = row[17 * x + 16];
                    let expected = value[x] + change[x] - start.expect("a first recorded step")[x];
                    assert!((total - expected).abs() < 1e-12, "step {step}: {total} {expected}");
                }
                assert_eq!(row[34 + 3], 7.0, "ntcov of the last property with itself");
            }
            value = [value[0] + change[0], value[1] + change[1]];
        }
    }
}
