//! The budget of the squared weight norm: what decay takes, and what the gradient brings.
//!
//! With decoupled weight decay an update is `D = -lr wd theta + d`, and exactly
//!
//! ```text
//! |theta + D|^2 - |theta|^2  =  -2 lr wd |theta|^2 + (lr wd)^2 |theta|^2        damping
//!                             + 2 (1 - lr wd) theta.d + |d|^2                   drive
//! ```
//!
//! All terms follow from three recorded columns: `weight_norm` of a step and of the next, and `update_norm` = |D|. From
//! `|theta + D|^2 = |theta|^2 + 2 theta.D + |D|^2` comes theta.D, and from it theta.d and |d|^2. The same weight decay must
//! hold for all parameters. Coupled decay (`sgd`, `momentum`, `adam`) is part of the gradient: give wd = 0, and the
//! drive is all.

/// The budget of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// The step.
    pub step: u64,
    /// Change of |theta|^2: `damping + drive` to rounding.
    pub change: f64,
    /// -2 lr wd |theta|^2 + (lr wd)^2 |theta|^2.
    pub damping: f64,
    /// 2 (1 - lr wd) theta.d: along the weights.
    pub drive_along: f64,
    /// |d|^2: it grows the norm whatever its direction.
    pub drive_square: f64,
    /// cos(d, -theta): 1 where the gradient's part shrinks the weights as decay does, -1 where it opposes decay; NaN
    /// where d is 0.
    pub alignment: f64,
}

impl Budget {
    /// 2 (1 - lr wd) theta.d + |d|^2.
    pub fn drive(&self) -> f64 {
        self.drive_along + self.drive_square
    }
}

/// The learning rate of step t under a linear warm-up: lr min((t + 1)/warmup, 1).
pub fn rate(lr: f64, warmup: u32, step: u64) -> f64 {
    if warmup == 0 {
        lr
    } else {
        lr * ((step + 1) as f64 / f64::from(warmup)).min(1.0)
    }
}

/// The budgets of all steps whose next step is recorded too.
///
/// `rate` gives a step's learning rate, `decay` is wd.
///
/// # Panics
/// If the series differ in length.
#[track_caller]
pub fn budgets(
    steps: &[u64],
    weight_norm: &[f64],
    update_norm: &[f64],
    rate: impl Fn(u64) -> f64,
    decay: f64,
) -> Vec<Budget> {
    assert!(
        steps.len() == weight_norm.len() && steps.len() == update_norm.len(),
        "as many steps as norms"
    );
    (1..steps.len())
        .filter(|&k| steps[k] == steps[k - 1] + 1)
        .map(|k| {
            budget(
                steps[k - 1],
                [weight_norm[k - 1], weight_norm[k]],
                update_norm[k - 1],
                rate(steps[k - 1]) * decay,
            )
        })
        .filter(|budget| budget.change.is_finite() && budget.drive_square.is_finite())
        .collect()
}

fn budget(step: u64, [before, after]: [f64; 2], update: f64, shrink: f64) -> Budget {
    let (square, update2) = (before * before, update * update);
    // Not after^2 - before^2, which would lose digits where the norm hardly moves.
    let change = (after - before) * (after + before);
    let along_update = (change - update2) / 2.0; // theta.D
    let along = along_update + shrink * square; // theta.d
    let drive_square = update2 + 2.0 * shrink * along_update + shrink * shrink * square;
    Budget {
        step,
        change,
        damping: (shrink * shrink - 2.0 * shrink) * square,
        drive_along: 2.0 * (1.0 - shrink) * along,
        drive_square,
        alignment: if drive_square > 0.0 {
            -along / (drive_square * square).sqrt()
        } else {
            f64::NAN
        },
    }
}
