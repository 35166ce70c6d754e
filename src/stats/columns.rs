//! The columns of a metrics row: their names, their places, and the segment that fills them.

use crate::plan::Segment;

macro_rules! columns {
    ($($(#[doc = $doc:literal])* $constant:ident = $name:literal, $segment:ident;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "numbers the constants below")]
        enum Place { $($constant,)* COUNT }

        $($(#[doc = $doc])* pub const $constant: usize = Place::$constant as usize;)*

        /// Names and segments of the columns that every plan has, in order.
        pub const FIXED: [(&str, Segment); Place::COUNT as usize] = [$(($name, Segment::$segment),)*];
    };
}

columns! {
    /// Mean loss over the training split.
    TRAIN_LOSS = "train_loss", Evaluate;
    /// Share of training samples whose label has the largest logit.
    TRAIN_ACCURACY = "train_accuracy", Evaluate;
    /// Mean loss over the test split.
    TEST_LOSS = "test_loss", Evaluate;
    /// The same of the test split.
    TEST_ACCURACY = "test_accuracy", Evaluate;
    /// Mean loss of the step's batch.
    BATCH_LOSS = "batch_loss", Step;
    /// 2-norm of the parameters.
    WEIGHT_NORM = "weight_norm", Update;
    /// 2-norm of the step's mean gradient.
    GRADIENT_NORM = "gradient_norm", Update;
    /// 2-norm of the update.
    UPDATE_NORM = "update_norm", Update;
    /// cos(g_t, g_{t-1}).
    TEMPORAL_COSINE = "temporal_cosine", Update;
    /// cos(g_t, m_{t-1}).
    MOMENTUM_COSINE = "momentum_cosine", Update;
    /// Samples of the step's batch.
    N_BATCH = "n_batch", Scalars;
    /// Samples whose gradient is exactly zero.
    ZERO_GRADIENTS = "zero_gradients", Scalars;
    /// Mean of the per-sample 2-norms.
    NORM_MEAN = "per_sample_norm_mean", Scalars;
    /// Smallest per-sample 2-norm.
    NORM_MIN = "per_sample_norm_min", Scalars;
    /// Largest per-sample 2-norm.
    NORM_MAX = "per_sample_norm_max", Scalars;
    /// Population standard deviation of ln norm over non-zero gradients.
    NORM_LOG_SD = "per_sample_norm_log_sd", Scalars;
    /// alpha = |mean g|^2 / mean |g_i|^2.
    COHERENCE = "coherence", Scalars;
    /// (n alpha - 1)/(n - 1).
    COHERENCE_UNBIASED = "coherence_unbiased", Scalars;
    /// (S - Q/n)/(n - 1).
    NOISE_TRACE = "noise_trace", Scalars;
    /// (Q - S)/(n (n - 1)).
    NOISE_G2 = "noise_g2", Scalars;
    /// Samples of the Gram subset.
    N = "n", Gram;
    /// Parameters P.
    PARAMETERS = "parameters", Gram;
    /// Mean cosine over pairs i < j of non-zero gradients.
    MEAN_COSINE = "mean_cosine", Gram;
    /// Smallest cosine.
    MIN_COSINE = "min_cosine", Gram;
    /// Share of negative cosines.
    NEGATIVE_FRACTION = "negative_fraction", Gram;
    /// tr K / tr K_centred: how many digits centring costs.
    CENTRING_CONDITION = "centring_condition", Gram;
    /// First of the columns of the raw Gram; see [`FORM`].
    RAW = "raw.erank_sigma", Gram;
    /// Raw Gram: erank on eigenvalues.
    RAW_1 = "raw.erank_lambda", Gram;
    /// Raw Gram: participation ratio.
    RAW_2 = "raw.participation_ratio", Gram;
    /// Raw Gram: population participation ratio.
    RAW_3 = "raw.participation_ratio_population", Gram;
    /// Raw Gram: stable rank.
    RAW_4 = "raw.stable_rank", Gram;
    /// Raw Gram: rank.
    RAW_5 = "raw.rank", Gram;
    /// Raw Gram: negative eigenvalues below the threshold.
    RAW_6 = "raw.negative_eigenvalues", Gram;
    /// Raw Gram: null of erank_sigma.
    RAW_7 = "raw.null_erank_sigma", Gram;
    /// Raw Gram: null of erank_lambda.
    RAW_8 = "raw.null_erank_lambda", Gram;
    /// First of the columns of the cosine Gram.
    COSINE = "cosine.erank_sigma", Gram;
    /// Cosine Gram: erank on eigenvalues.
    COSINE_1 = "cosine.erank_lambda", Gram;
    /// Cosine Gram: participation ratio.
    COSINE_2 = "cosine.participation_ratio", Gram;
    /// Cosine Gram: population participation ratio.
    COSINE_3 = "cosine.participation_ratio_population", Gram;
    /// Cosine Gram: stable rank.
    COSINE_4 = "cosine.stable_rank", Gram;
    /// Cosine Gram: rank.
    COSINE_5 = "cosine.rank", Gram;
    /// Cosine Gram: negative eigenvalues below the threshold.
    COSINE_6 = "cosine.negative_eigenvalues", Gram;
    /// Cosine Gram: null of erank_sigma.
    COSINE_7 = "cosine.null_erank_sigma", Gram;
    /// Cosine Gram: null of erank_lambda.
    COSINE_8 = "cosine.null_erank_lambda", Gram;
    /// First of the columns of the centred Gram.
    CENTRED = "centred.erank_sigma", Gram;
    /// Centred Gram: erank on eigenvalues.
    CENTRED_1 = "centred.erank_lambda", Gram;
    /// Centred Gram: participation ratio.
    CENTRED_2 = "centred.participation_ratio", Gram;
    /// Centred Gram: population participation ratio.
    CENTRED_3 = "centred.participation_ratio_population", Gram;
    /// Centred Gram: stable rank.
    CENTRED_4 = "centred.stable_rank", Gram;
    /// Centred Gram: rank.
    CENTRED_5 = "centred.rank", Gram;
    /// Centred Gram: negative eigenvalues below the threshold.
    CENTRED_6 = "centred.negative_eigenvalues", Gram;
    /// Centred Gram: null of erank_sigma.
    CENTRED_7 = "centred.null_erank_sigma", Gram;
    /// Centred Gram: null of erank_lambda.
    CENTRED_8 = "centred.null_erank_lambda", Gram;
}

/// Columns of one form of the Gram matrix, in the order of its first column's neighbours.
pub const FORM: usize = COSINE - RAW;

/// Forms of the Gram matrix.
pub const FORMS: usize = 3;

/// Parts of a property's change that have a column each, before the ledger.
pub const PARTS: [&str; 9] = [
    "value",
    "predicted",
    "measured",
    "selection",
    "lagged",
    "noise",
    "decay",
    "decay_lagged",
    "second",
];

/// Running sums of a property's change. `between` is what happened in steps that were not decomposed.
pub const LEDGER: [&str; 8] = [
    "selection",
    "lagged",
    "noise",
    "decay",
    "decay_lagged",
    "second",
    "between",
    "total",
];

/// First column of the properties.
pub const PROPERTIES: usize = Place::COUNT as usize;

/// Columns of one property, before the products of all pairs.
pub const PER_PROPERTY: usize = PARTS.len() + LEDGER.len();

/// Columns of standard errors of one form, where its ranks are estimated.
pub const ERRORS: [&str; 3] = ["erank_sigma_se", "erank_lambda_se", "stable_rank_se"];

/// What the columns of one form of a Gram matrix are called, after its name.
pub fn ranks() -> [&'static str; FORM] {
    std::array::from_fn(|k| {
        let (name, _) = FIXED[RAW + k];
        name.strip_prefix("raw.").unwrap_or(name)
    })
}

/// Names and segments of the columns that every plan has, and of those of these properties.
pub fn names(properties: &[String]) -> Vec<(String, Segment)> {
    let mut names: Vec<(String, Segment)> = FIXED
        .iter()
        .map(|(name, segment)| ((*name).to_owned(), *segment))
        .collect();
    for x in properties {
        names.extend(PARTS.iter().map(|part| (format!("{part}.{x}"), Segment::Measure)));
        names.extend(
            LEDGER
                .iter()
                .map(|part| (format!("ledger.{part}.{x}"), Segment::Measure)),
        );
    }
    for a in properties {
        for b in properties {
            names.push((format!("ntcov.{a}.{b}"), Segment::Measure));
        }
    }
    names
}
