//! Six models of what sets the frequency of an oscillation after grokking, in logarithms:
//!
//! | model | ln f = a + b x | reading |
//! |---|---|---|
//! | M0 | x absent | nothing that was varied |
//! | M1 | ln(lr wd) | the time scale of weight decay |
//! | M2 | ln(\|g\|/(wd \|w\|)) | drive over damping |
//! | M3 | ln(competition) | how strongly circuits compete |
//! | M4 | ln(sharpness lr/38) | the edge of stability of Adam at beta1 = 0.9 |
//! | M5 | share of zero gradients | absorption in the rounding of a naive loss |
//!
//! Only a design that varies them apart can tell them apart: a sweep of the weight decay alone confounds M1 to M5.

use super::model_comparison::{Model, Ranked, compare};
use crate::error::{Error, Result};

/// One run's oscillation. NaN stands for what was not measured; what has no finite logarithm (lr wd at wd = 0) counts as
/// not measured as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Oscillation {
    /// Cycles a step.
    pub frequency: f64,
    /// Learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// |g|, at the trough of the loss; raw or preconditioned, the same for all runs.
    pub gradient_norm: f64,
    /// |w|.
    pub weight_norm: f64,
    /// Any positive measure of competition, as the ratio of the memorising part's logit variance to the circuit's.
    pub competition: f64,
    /// Largest eigenvalue of the (preconditioned) Hessian.
    pub sharpness: f64,
    /// Share of samples whose label gradient is exactly zero.
    pub zero_gradients: f64,
    /// Runs of one group are left out together: one value of the weight decay, say.
    pub group: usize,
}

/// Largest eigenvalue of the preconditioned Hessian, times lr, at which Adam with beta1 = 0.9 becomes unstable.
pub const ADAM_EDGE: f64 = 38.0;

/// The models ranked, and how many runs they were fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Best AICc first.
    pub models: Vec<Ranked>,
    /// Runs in which everything that the models need was measured.
    pub used: usize,
    /// Models left out, with why: what they need was not measured in any run, or is the same in all.
    pub left_out: Vec<(String, String)>,
}

/// Ranks M0 to M5 on the same runs. A model whose regressor no run has, or that is constant over the runs used, is left
/// out and named; runs that lack the regressor of any other model are not used.
///
/// # Errors
/// If a frequency is not positive, or as [`compare`]: if too few runs are left, say.
pub fn compare_frequencies(runs: &[Oscillation]) -> Result<Comparison> {
    if let Some(place) = runs
        .iter()
        .position(|run| !(run.frequency > 0.0 && run.frequency.is_finite()))
    {
        return Err(Error::numeric(format!(
            "run {place} has frequency {}, expected a positive number",
            runs[place].frequency
        )));
    }
    type Regressor = fn(&Oscillation) -> f64;
    let regressors: [(&str, Regressor); 5] = [
        ("M1", |run| (run.lr * run.weight_decay).ln()),
        ("M2", |run| {
            (run.gradient_norm / (run.weight_decay * run.weight_norm)).ln()
        }),
        ("M3", |run| run.competition.ln()),
        ("M4", |run| (run.sharpness * run.lr / ADAM_EDGE).ln()),
        ("M5", |run| run.zero_gradients),
    ];
    let mut left_out = Vec::new();
    let mut kept: Vec<(&str, Regressor)> = Vec::new();
    for (name, of) in regressors {
        if runs.iter().any(|run| of(run).is_finite()) {
            kept.push((name, of));
        } else {
            left_out.push((name.to_owned(), "its regressor was not measured".to_owned()));
        }
    }
    // A constant regressor goes before the runs that lack it do, which may make another one constant.
    let constant = |of: Regressor, runs: &[&Oscillation]| {
        let mut values = runs.iter().map(|run| of(run)).filter(|x| x.is_finite());
        let first = values.next().unwrap_or(f64::NAN);
        values.all(|x| (x - first).abs() <= 1e-9 * (1.0 + first.abs()))
    };
    let mut complete: Vec<&Oscillation> = runs.iter().collect();
    loop {
        let place = kept.iter().position(|(_, of)| constant(*of, &complete));
        // With a run or none left nothing varies: the comparison says that there are too few.
        if let Some(place) = place.filter(|_| complete.len() > 1) {
            let (name, _) = kept.remove(place);
            left_out.push((name.to_owned(), "its regressor is the same in all runs used".to_owned()));
            complete = runs.iter().collect();
            continue;
        }
        let before = complete.len();
        complete.retain(|run| kept.iter().all(|(_, of)| of(run).is_finite()));
        if complete.len() == before {
            break;
        }
    }
    let y: Vec<f64> = complete.iter().map(|run| run.frequency.ln()).collect();
    let groups: Vec<usize> = complete.iter().map(|run| run.group).collect();
    let mut models = vec![Model {
        name: "M0".to_owned(),
        columns: Vec::new(),
    }];
    for (name, of) in kept {
        models.push(Model {
            name: name.to_owned(),
            columns: vec![complete.iter().map(|run| of(run)).collect()],
        });
    }
    Ok(Comparison {
        models: compare(&y, &models, &groups)?,
        used: complete.len(),
        left_out,
    })
}
