//! The control block of a run slot: where each of its words lies. It is advanced on device, by kernel `control`,
//! from the slot's own step and metrics, so that a run behaves the same alone, in a batch and after a resume.

use super::op::Segment;

/// Words of a control block.
pub const WORDS: usize = 40;

/// Which run occupies the slot.
pub const RUN: usize = 0;
/// Low half of the run's seed.
pub const SEED_LOW: usize = 1;
/// High half of the run's seed.
pub const SEED_HIGH: usize = 2;
/// Updates done so far.
pub const STEP: usize = 3;
/// 1 while the run goes on.
pub const ACTIVE: usize = 4;
/// How it ended: one of the `ENDED_` values.
pub const ENDED: usize = 5;
/// Most steps.
pub const MAX_STEPS: usize = 6;
/// Steps after grokking at which it ends; `u32::MAX` for never.
pub const STOP_AFTER_GROKKING: usize = 7;
/// First step with a train accuracy of at least 0.99, plus 1; 0 for not yet.
pub const MEMORISED: usize = 8;
/// First step at which the running median of the test accuracy over 50 steps was at least 0.95, plus 1; 0 for not yet.
pub const GROKKED: usize = 9;
/// Rows written to the ring so far.
pub const ROWS: usize = 10;
/// Evaluations so far.
pub const EVALUATIONS: usize = 11;
/// Steps of linear warm-up.
pub const WARMUP: usize = 12;
/// Steps between due times, one word per segment; 0 for never.
pub const EVERY: usize = 16;
/// Whether a segment is due at this step, one word per segment.
pub const DUE: usize = 28;

/// The run goes on.
pub const ENDED_NOT: u32 = 0;
/// The run reached its last step.
pub const ENDED_STEPS: u32 = 1;
/// The run grokked, and its stop condition says so.
pub const ENDED_GROKKED: u32 = 2;
/// Loss, gradient or update stopped being finite; the weights are the last finite ones.
pub const ENDED_DIVERGED: u32 = 3;

/// Numbers at the head of the scalars, before the columns.
pub const RATES: usize = 24;
/// This step's learning rate.
pub const LR: usize = 0;
/// 1 - beta1^t.
pub const CORRECTION1: usize = 1;
/// 1 - beta2^t.
pub const CORRECTION2: usize = 2;
/// First-moment decay, or momentum.
pub const BETA1: usize = 3;
/// Second-moment decay.
pub const BETA2: usize = 4;
/// Added to the root of the second moment.
pub const EPS: usize = 5;
/// Weight decay, one number per tensor group.
pub const DECAY: usize = 6;
/// Largest norm of the gradient that the optimiser takes; 0 for any.
pub const CLIP: usize = 13;
/// Mean loss of the step's batch; its accuracy follows.
pub const BATCH_LOSS: usize = 16;
/// Squared norm of the step's mean gradient.
pub const MEAN_SQUARE: usize = 18;

/// Settings of a slot (host to device): learning rate, ln beta1, ln beta2, beta1, beta2, eps, weight decays, clip.
pub const SETTINGS: usize = 16;
/// Place of ln(beta1) in the settings; the others stand where [`LR`], [`BETA1`], … stand in the rates.
pub const LN_BETA1: usize = 1;
/// Place of ln(beta2) in the settings.
pub const LN_BETA2: usize = 2;

/// Evaluations kept for the running median.
pub const HISTORY: usize = 64;
/// Steps the running median looks back.
pub const MEDIAN_STEPS: u32 = 50;

/// The due flag of a segment.
pub fn due(segment: Segment) -> usize {
    DUE + segment.index()
}

/// The period of a segment.
pub fn every(segment: Segment) -> usize {
    EVERY + segment.index()
}
