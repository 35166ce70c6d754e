//! The control block of a run slot: where each of its words lies. It is advanced on device, by kernel `control`,
//! from the slot's own step and metrics, so that a run behaves the same alone, in a batch and after a resume.

use super::op::Segment;

/// Words of a control block.
pub const WORDS: usize = 96;

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
/// How a segment's schedule reads, one word per segment: [`MULTIPLES`], [`LOG`], [`AROUND_MEMORISED`] or
/// [`AROUND_GROKKED`].
pub const MODE: usize = 40;
/// Steps between due times within the window after a transition, one word per segment.
pub const DENSE: usize = 52;
/// Steps for which that window stays open, one word per segment.
pub const WIDTH: usize = 64;
/// The next due step of a log-spaced schedule, one word per segment.
pub const NEXT: usize = 76;

/// Due at the multiples of [`EVERY`].
pub const MULTIPLES: u32 = 0;
/// Log-spaced: after a due step t the next is t + max(1, floor(t EVERY / [`GROWTH_ONE`])).
pub const LOG: u32 = 1;
/// Multiples of [`EVERY`], and of [`DENSE`] in the [`WIDTH`] steps after memorisation was noticed.
pub const AROUND_MEMORISED: u32 = 2;
/// The same after grokking.
pub const AROUND_GROKKED: u32 = 3;
/// The 1 of the fixed-point growth of log-spaced schedules.
pub const GROWTH_ONE: u32 = 1 << 12;
/// From this step on, a log-spaced schedule has no further due step: its products would leave 32 bits.
pub const LOG_END: u32 = 1 << 27;

/// The run goes on.
pub const ENDED_NOT: u32 = 0;
/// The run reached its last step.
pub const ENDED_STEPS: u32 = 1;
/// The run grokked, and its stop condition says so.
pub const ENDED_GROKKED: u32 = 2;
/// Loss, gradient or update stopped being finite; the weights are the last finite ones.
pub const ENDED_DIVERGED: u32 = 3;

/// Numbers at the head of the scalars, before the columns.
pub const RATES: usize = 32;
/// This step's learning rate.
pub const LR: usize = 0;
/// 1 - beta1^t, beta1 that of the step.
pub const CORRECTION1: usize = 1;
/// 1 - beta2^t, beta2 that of the step.
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
/// Decay of the filter's average.
pub const FILTER_ALPHA: usize = 14;
/// Weight of the filter's average.
pub const FILTER_LAMBDA: usize = 15;
/// Pull of every weight towards zero.
pub const L1: usize = 16;
/// Size of the noise added to the mean gradient.
pub const NOISE: usize = 17;
/// Share of hidden activations that are dropped.
pub const DROPOUT: usize = 18;
/// The norm that is held, as a multiple of the initial one.
pub const HOLD_FACTOR: usize = 19;
/// Share of the uniform distribution in the patterns of attention.
pub const ATTENTION_MIX: usize = 20;
/// So many numbers at the head of rates and settings are the run's own: the rates of a step begin as these settings.
pub const HYPER: usize = 24;
/// Mean loss of the step's batch; its accuracy follows.
pub const BATCH_LOSS: usize = 24;
/// Squared norm of the step's mean gradient.
pub const MEAN_SQUARE: usize = 26;

/// Settings of a slot (host to device): [`HYPER`] numbers that stand where the rates do, then schedules.
pub const SETTINGS: usize = 768;
/// Start of the schedules among the settings: one behind the other, each a head of [`POINTS_HEAD`] numbers and its
/// points as pairs of step and value; the first without points ends them.
pub const POINTS: usize = 32;
/// Place in a schedule's head of the first rate that it sets.
pub const POINTS_FIRST: usize = 0;
/// Of the end of the rates that it sets.
pub const POINTS_END: usize = 1;
/// Of whether straight lines hold between the points, else the value of the point before.
pub const POINTS_LINEAR: usize = 2;
/// Of the number of points.
pub const POINTS_COUNT: usize = 3;
/// Numbers before the points.
pub const POINTS_HEAD: usize = 4;

/// Evaluations kept for the running median.
pub const HISTORY: usize = 64;
/// Steps the running median looks back.
pub const MEDIAN_STEPS: u32 = 50;

/// The seed of the run.
pub fn seed(block: &[u32]) -> u64 {
    u64::from(block[SEED_LOW]) | u64::from(block[SEED_HIGH]) << 32
}

/// The due flag of a segment.
pub fn due(segment: Segment) -> usize {
    DUE + segment.index()
}

/// The due step of a log-spaced schedule after this one.
pub fn following(step: u32, growth: u32) -> u32 {
    if step >= LOG_END {
        return u32::MAX;
    }
    let gap = u64::from(step) * u64::from(growth) / u64::from(GROWTH_ONE);
    step.saturating_add((gap as u32).max(1))
}

/// When a segment is due, as its words in the control block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Word [`MODE`].
    pub mode: u32,
    /// Word [`EVERY`].
    pub every: u32,
    /// Word [`DENSE`].
    pub dense: u32,
    /// Word [`WIDTH`].
    pub width: u32,
    /// Word [`NEXT`].
    pub next: u32,
}

impl Schedule {
    /// That of a segment.
    pub fn read(block: &[u32], segment: Segment) -> Self {
        let at = |place: usize| block[place + segment.index()];
        Self {
            mode: at(MODE),
            every: at(EVERY),
            dense: at(DENSE),
            width: at(WIDTH),
            next: at(NEXT),
        }
    }

    /// Puts it into a block.
    pub fn write(self, block: &mut [u32], segment: Segment) {
        for (place, word) in [
            (MODE, self.mode),
            (EVERY, self.every),
            (DENSE, self.dense),
            (WIDTH, self.width),
            (NEXT, self.next),
        ] {
            block[place + segment.index()] = word;
        }
    }

    /// Whether the segment may be due at a step, for all that is known before transitions are.
    pub fn may_be_due(self, step: u32) -> bool {
        let multiple = |every: u32| every != 0 && step.is_multiple_of(every);
        match self.mode {
            LOG => {
                let mut next = self.next;
                while next < step {
                    next = following(next, self.every);
                }
                next == step
            }
            MULTIPLES => multiple(self.every),
            _ => multiple(self.every) || multiple(self.dense),
        }
    }

    /// Whether the segment is due at a step, given the words [`MEMORISED`] and [`GROKKED`]; moves on past it.
    pub fn advance(&mut self, step: u32, memorised: u32, grokked: u32) -> bool {
        let multiple = |every: u32| every != 0 && step.is_multiple_of(every);
        // Words of transitions are their step plus 1: the first step at which they are known.
        let within = |known: u32| known != 0 && step >= known && step - known < self.width && multiple(self.dense);
        match self.mode {
            LOG => {
                let due = step == self.next;
                if due {
                    self.next = following(step, self.every);
                }
                due
            }
            AROUND_MEMORISED => multiple(self.every) || within(memorised),
            AROUND_GROKKED => multiple(self.every) || within(grokked),
            _ => multiple(self.every),
        }
    }
}

/// The period of a segment.
pub fn every(segment: Segment) -> usize {
    EVERY + segment.index()
}
