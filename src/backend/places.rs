//! Places and numbers that host and kernels must agree on, under the names that shaders and CUDA files give them.

use crate::plan::{BLOCK, GRAM_TILE, SKETCH_SIDE, Segment, Site, control, layout};
use crate::random::{FEISTEL_MIN_BITS, FEISTEL_ROUNDS, Purpose};
use crate::stats::columns;

/// `("NAME", value)` for constants of a module.
macro_rules! places {
    ($prefix:literal $module:ident: $($name:ident)*) => {
        [$((concat!($prefix, stringify!($name)), $module::$name)),*]
    };
    ($prefix:literal $module:ident as $type:ident: $($name:ident)*) => {
        [$((concat!($prefix, stringify!($name)), $module::$name as $type)),*]
    };
}

/// All of them: `CONTROL_` for the control block, rates and settings, `COLUMN_` for columns of the row, `SEGMENT_` for
/// segments, `PURPOSE_` for random numbers, the others under names of their own.
pub(super) fn all() -> Vec<(String, usize)> {
    let control = places!["CONTROL_" control:
        RUN SEED_LOW SEED_HIGH STEP ACTIVE ENDED MAX_STEPS STOP_AFTER_GROKKING MEMORISED GROKKED ROWS EVALUATIONS WARMUP
        EVERY DUE MODE DENSE WIDTH NEXT RATES LR CORRECTION1 CORRECTION2 BETA1 BETA2 EPS CLIP FILTER_ALPHA FILTER_LAMBDA
        L1 NOISE DROPOUT HOLD_FACTOR ATTENTION_MIX HYPER POINTS POINTS_FIRST POINTS_END POINTS_LINEAR POINTS_COUNT
        POINTS_HEAD DECAY BATCH_LOSS MEAN_SQUARE HISTORY
    ];
    let words = places!["CONTROL_" control as usize:
        MULTIPLES LOG AROUND_MEMORISED LOG_END MEDIAN_STEPS ENDED_STEPS ENDED_GROKKED ENDED_DIVERGED
    ];
    let columns = places!["COLUMN_" columns:
        TRAIN_ACCURACY TEST_ACCURACY BATCH_LOSS WEIGHT_NORM GRADIENT_NORM UPDATE_NORM TEMPORAL_COSINE MOMENTUM_COSINE
        N_BATCH ZERO_GRADIENTS NORM_MEAN NORM_MIN NORM_MAX NORM_LOG_SD COHERENCE COHERENCE_UNBIASED NOISE_TRACE NOISE_G2
        N PARAMETERS MEAN_COSINE MIN_COSINE NEGATIVE_FRACTION CENTRING_CONDITION RAW COSINE CENTRED PROPERTIES
    ];
    let layout = places!["" layout:
        PER_FORM TRACE FROBENIUS2 DIAGONAL2 SAMPLES RAW COSINE CENTRED COSINE_SUM PAIRS COSINE_MIN NEGATIVE CONDITION HEAD
        FORM_CONDITION TILE TILE_FROBENIUS2 TILE_COSINE TILE_COSINE2 TILE_MIN TILE_NEGATIVE TILE_ROWS UPDATE_PARTS
        LEDGER_WIDTH STREAM_BATCHES STREAM_WIDTH KRYLOV KRYLOV_BLOCK PROBE_STEPS DEVIATIONS
    ];
    let others = [
        ("FORM", columns::FORM),
        ("PER_PROPERTY", columns::PER_PROPERTY),
        ("PROPERTY_PARTS", columns::PARTS.len()),
        ("SEGMENTS", Segment::ALL.len()),
        ("BLOCK", BLOCK),
        ("GRAM_TILE", GRAM_TILE),
        ("SKETCH_SIDE", SKETCH_SIDE),
        ("SITE_WORDS", Site::WORDS),
        ("FEISTEL_MIN_BITS", FEISTEL_MIN_BITS as usize),
        ("FEISTEL_ROUNDS", FEISTEL_ROUNDS as usize),
        ("PURPOSE_BATCH_ORDER", Purpose::BatchOrder as usize),
        ("PURPOSE_GRADIENT_NOISE", Purpose::GradientNoise as usize),
        ("PURPOSE_DROPOUT", Purpose::Dropout as usize),
        ("PURPOSE_SKETCH", Purpose::Sketch as usize),
        ("PURPOSE_NULL", Purpose::Null as usize),
        ("PURPOSE_PROBE", Purpose::Probe as usize),
    ];
    let segments = Segment::ALL.map(|segment| (format!("SEGMENT_{}", segment.name().to_uppercase()), segment.index()));
    control
        .iter()
        .chain(&words)
        .chain(&columns)
        .chain(&layout)
        .chain(&others)
        .map(|(name, value)| ((*name).to_owned(), *value))
        .chain(segments)
        .collect()
}
