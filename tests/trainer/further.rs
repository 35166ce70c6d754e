//! Further Gram matrices, against gradients, inputs and logits that are really formed.

use gmatrix::backend::{Precision, Values};
use gmatrix::config::{FurtherGram, Property, Split};
use gmatrix::measure::{Measurement, Request, measure, per_sample_gradients};
use gmatrix::model::{Layout, ModelShape};
use gmatrix::task::gram_subset;
use proptest::prelude::*;

use crate::networks::{Setting, settings};
use crate::support::{experiment, minibatch, trainer, transformer};

/// Rows of vectors and what a Gram matrix of them has for participation ratios.
struct Vectors(Vec<Vec<f64>>);

impl Vectors {
    fn gram(&self) -> Vec<Vec<f64>> {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        self.0
            .iter()
            .map(|x| self.0.iter().map(|y| dot(x, y)).collect())
            .collect()
    }

    /// The vectors that are not zero, as directions, less their mean.
    fn centred_directions(&self) -> Self {
        let norm = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>().sqrt();
        let units: Vec<Vec<f64>> = self.0.iter().filter(|x| norm(x) > 0.0).cloned().collect();
        let units: Vec<Vec<f64>> = units
            .into_iter()
            .map(|x| x.iter().map(|v| v / norm(&x)).collect())
            .collect();
        let width = units.first().map_or(0, Vec::len);
        let mean: Vec<f64> = (0..width)
            .map(|k| units.iter().map(|x| x[k]).sum::<f64>() / units.len() as f64)
            .collect();
        let centre = |x: Vec<f64>| x.iter().zip(&mean).map(|(v, m)| v - m).collect();
        Self(units.into_iter().map(centre).collect())
    }
}

/// (tr K)^2 / |K|_F^2, and the same of the population: over pairs of different samples alone. The third number is by how
/// much errors of rounding grow where the latter is had as a difference, as the kernels do.
fn ratios(gram: &[Vec<f64>]) -> [f64; 3] {
    let n = gram.len();
    let trace: f64 = (0..n).map(|i| gram[i][i]).sum();
    let square: f64 = gram.iter().flatten().map(|x| x * x).sum();
    let pairs = || (0..n * n).map(|k| (k / n, k % n)).filter(|(i, j)| i != j);
    let traces: f64 = pairs().map(|(i, j)| gram[i][i] * gram[j][j]).sum();
    let squares: f64 = pairs().map(|(i, j)| gram[i][j] * gram[i][j]).sum();
    [
        trace * trace / square,
        traces / squares,
        trace * trace / traces + square / squares,
    ]
}

fn same(found: &Measurement, prefix: &str, gram: &[Vec<f64>]) -> Result<(), TestCaseError> {
    let [plain, population, growth] = ratios(gram);
    // Where squares of the entries leave the range of numbers with all their digits, neither side has digits to compare.
    let largest = gram.iter().flatten().fold(0.0f64, |most, x| most.max(x.abs()));
    if largest > 0.0 && largest < 1e-140 {
        return Ok(());
    }
    for (name, expected, digits) in [
        ("participation_ratio", plain, 1e-9),
        ("participation_ratio_population", population, 1e-6 + 1e-14 * growth),
    ] {
        let key = format!("{prefix}.{name}");
        let got = found.scalars[&key];
        if !expected.is_finite() || expected.abs() > 1e4 {
            continue;
        }
        let got = got.unwrap_or(f64::NAN);
        prop_assert!(
            (got - expected).abs() <= digits * expected.abs().max(1.0),
            "{key}: {got}, expected {expected}"
        );
    }
    Ok(())
}

fn further(setting: &Setting, properties: Vec<Property>) -> Measurement {
    let mut request = setting.request();
    let given = |gram: &FurtherGram| *gram != FurtherGram::Preconditioned;
    request.grams = FurtherGram::ALL.into_iter().filter(given).collect();
    request.properties = properties;
    measure(&setting.shape, &setting.weights(), &setting.examples, &request).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Groups and centred cosines are those of explicit gradients; the function's matrix is that of the logits.
    #[test]
    fn further_grams_are_those_of_explicit_vectors(setting in settings()) {
        let found = further(&setting, Vec::new());
        let gradients = Vectors(setting.gradients());
        let layout = Layout::new(&setting.shape);
        for group in gmatrix::model::TensorGroup::ALL {
            let tensors: Vec<_> = layout.tensors.iter().filter(|t| t.group == group).collect();
            let key = format!("group.{}.raw.rank", group.name());
            prop_assert_eq!(found.scalars.contains_key(&key), !tensors.is_empty());
            if tensors.is_empty() {
                continue;
            }
            let part = |g: &Vec<f64>| tensors.iter().flat_map(|t| g[t.offset..t.offset + t.len()].to_vec()).collect();
            let rows = Vectors(gradients.0.iter().map(part).collect());
            same(&found, &format!("group.{}.raw", group.name()), &rows.gram())?;
        }
        let gram = gradients.gram();
        let labels = &setting.examples.labels;
        for (name, same_class) in [("within_class.", true), ("between_class.", false)] {
            let n = gram.len();
            let pairs = (0..n * n).map(|k| (k / n, k % n)).filter(|(i, j)| i < j);
            let pairs = pairs.filter(|(i, j)| (labels[*i] == labels[*j]) == same_class && gram[*i][*i] * gram[*j][*j] > 0.0);
            let cosines: Vec<f64> = pairs.map(|(i, j)| gram[i][j] / (gram[i][i] * gram[j][j]).sqrt()).collect();
            let got = found.scalars[&format!("block.train.{name}mean_cosine")];
            prop_assert_eq!(got.is_some(), !cosines.is_empty());
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            prop_assert!(got.is_none_or(|got| (got - mean).abs() < 1e-9), "{name}: {got:?}, expected {mean}");
        }
        let classes = setting.shape.classes();
        let logits = Vectors(found.logits.chunks(classes).map(<[f64]>::to_vec).collect());
        same(&found, "function", &logits.gram())?;
        let centred = gradients.centred_directions();
        if found.scalars["centred_cosine.participation_ratio"].is_some() {
            let expected = ratios(&centred.gram())[0];
            let got = found.scalars["centred_cosine.participation_ratio"].unwrap();
            // Where little is left after centring, digits are lost.
            prop_assert!((got - expected).abs() <= 1e-5 * expected, "centred cosine {got}, expected {expected}");
        }
        if let (ModelShape::Mlp(shape), true) = (&setting.shape, setting.examples.width > 0) {
            let inputs = Vectors(setting.examples.inputs.chunks(setting.examples.width).map(<[f64]>::to_vec).collect());
            prop_assert_eq!(shape.n_ctx, 1);
            same(&found, "activation.layers.0.W", &inputs.gram())?;
        }
    }

    /// Gradients of margins are those of logits, of which ntcov is the product.
    #[test]
    fn unit_residuals_are_gradients_of_margins(setting in settings()) {
        let (n, classes) = (setting.examples.n, setting.shape.classes());
        let logit = |index: usize, class: usize| Property::Logit { split: Split::Train, index, class };
        let properties = (0..n * classes).map(|k| logit(k / classes, k % classes)).collect();
        let found = further(&setting, properties);
        let (_, products) = found.ntcov.as_ref().unwrap();
        let weight = |sample: usize, class: usize| {
            f64::from(u8::from(setting.examples.labels[sample] as usize == class)) - 1.0 / classes as f64
        };
        let pair = |i: usize, j: usize| -> f64 {
            let terms = (0..classes * classes).map(|k| (k / classes, k % classes));
            terms.map(|(c, d)| weight(i, c) * weight(j, d) * products[i * classes + c][j * classes + d]).sum()
        };
        let gram: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| pair(i, j)).collect()).collect();
        same(&found, "unit_residual", &gram)?;
    }
}

/// In the metric of Adam: gradients formed one by one, and second moments as the run keeps them.
#[test]
fn preconditioned_grams_are_those_of_explicit_gradients() {
    for config in [transformer(), minibatch()] {
        let experiment = experiment(&config);
        let mut trainer = trainer(&experiment, Precision::F64, 1);
        trainer.fill(0, 0, &experiment).unwrap();
        let names = trainer.columns().to_vec();
        let column = names
            .iter()
            .position(|name| name == "preconditioned.participation_ratio")
            .unwrap();
        let train = &experiment.task.train;
        let subset = train.select(&gram_subset(train.n, experiment.sizes().gram, config.task.seed));
        for step in 0..9u32 {
            let weights = trainer.weights(0).unwrap();
            let state = trainer.state(0).unwrap();
            let (_, _, moments) = state.iter().find(|(name, _, _)| name == "moments").unwrap();
            let Values::Numbers(moments) = moments else {
                unreachable!("moments are numbers")
            };
            let row = trainer.run_chunk(1).unwrap().remove(0);
            if step % 4 != 0 || step == 0 {
                assert!(row.values[column].is_nan());
                continue;
            }
            let request = Request {
                precision: Precision::F64,
                loss: config.loss.kind,
                properties: Vec::new(),
                group: None,
                spectrum: false,
                gram: false,
                grams: Vec::new(),
                probes: None,
            };
            let correction = 1.0 - config.optimizer.beta2.at(step.into()).powi(step as i32);
            let mut rows = Vec::new();
            let add = |_, gradient: &[f64]| {
                let second = &moments[gradient.len()..2 * gradient.len()];
                let root = |v: &f64| (1.0 / ((v / correction).sqrt() + config.optimizer.eps.at(step.into()))).sqrt();
                rows.push(gradient.iter().zip(second).map(|(g, v)| g * root(v)).collect());
                Ok(())
            };
            per_sample_gradients(&experiment.shape, &weights, &subset, &request, add).unwrap();
            let [expected, ..] = ratios(&Vectors(rows).gram());
            let got = row.values[column];
            assert!(
                (got - expected).abs() <= 1e-9 * expected,
                "step {step}: {got}, expected {expected}"
            );
        }
    }
}
