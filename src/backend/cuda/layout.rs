//! Places that host and device must agree on, as constants of the preamble.

use std::fmt::Write as _;

use crate::plan::{BLOCK, GRAM_TILE, Segment, Site, control, layout};
use crate::random::{FEISTEL_MIN_BITS, FEISTEL_ROUNDS, Purpose};
use crate::stats::columns;

/// `("NAME", value)` for constants of a module.
macro_rules! places {
    ($prefix:literal $module:ident: $($name:ident)*) => {
        [$((concat!($prefix, stringify!($name)), $module::$name)),*]
    };
}

/// An enumeration of all of them.
pub(super) fn text() -> String {
    let own = [
        ("PURPOSE_BATCH_ORDER", Purpose::BatchOrder as usize),
        ("FEISTEL_ROUNDS", FEISTEL_ROUNDS as usize),
        ("FEISTEL_MIN_BITS", FEISTEL_MIN_BITS as usize),
        ("BLOCK", BLOCK),
        ("GRAM_TILE", GRAM_TILE),
        ("SITE_WORDS", Site::WORDS),
    ];
    let control = places!["CONTROL_" control: RUN SEED_LOW SEED_HIGH STEP ROWS DUE RATES CLIP MEAN_SQUARE];
    let columns = places!["COLUMN_" columns:
        WEIGHT_NORM GRADIENT_NORM UPDATE_NORM TEMPORAL_COSINE MOMENTUM_COSINE N_BATCH ZERO_GRADIENTS NORM_MEAN NORM_MIN
        NORM_MAX NORM_LOG_SD COHERENCE COHERENCE_UNBIASED NOISE_TRACE NOISE_G2
    ];
    let layout = places!["" layout:
        PER_FORM TRACE FROBENIUS2 DIAGONAL2 SAMPLES RAW COSINE CENTRED COSINE_SUM PAIRS COSINE_MIN NEGATIVE CONDITION HEAD
        TILE TILE_FROBENIUS2 TILE_COSINE TILE_COSINE2 TILE_MIN TILE_NEGATIVE TILE_ROWS
    ];
    let mut text = String::from("enum : unsigned {\n");
    for (name, value) in own.iter().chain(&control).chain(&columns).chain(&layout) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {name} = {value},");
    }
    for segment in Segment::ALL {
        let _ = writeln!(
            text,
            "    SEGMENT_{} = {},",
            segment.name().to_uppercase(),
            segment.index()
        );
    }
    text.push_str("};\n");
    text
}
