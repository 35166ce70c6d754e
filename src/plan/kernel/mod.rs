//! The kernels and their contracts, by what they are about.

/// Declares contracts, one constant each.
macro_rules! contracts {
    ($($(#[doc = $doc:literal])* $constant:ident = $name:literal {
        bindings: [$($binding:expr),* $(,)?],
        params: [$($param:ident),* $(,)?],
        constants: [$($spec:expr),* $(,)?],
        items: $items:expr,
        flops: $flops:expr $(,)?
    })*) => {
        $(
            $(#[doc = $doc])*
            #[allow(rustdoc::broken_intra_doc_links, reason = "what stands in brackets are shapes")]
            pub const $constant: $crate::plan::Contract = $crate::plan::Contract {
                name: $name,
                bindings: &[$($binding),*],
                params: &[$(stringify!($param)),*],
                constants: &[$($spec),*],
                items: $items,
                flops: $flops,
            };
        )*
    };
}

pub mod batch;
pub mod control;
pub mod further;
pub mod gradients;
pub mod gram;
pub mod losses;
mod parts;
pub mod passes;
pub mod shaping;
pub mod stream;
pub mod updates;

use super::contract::Contract;

/// Declares the kernels from their contracts.
macro_rules! kernels {
    ($($variant:ident = $area:ident::$constant:ident),* $(,)?) => {
        /// Every kernel. A kernel's file has its contract's name in every backend.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kernel {
            $(
                #[doc = concat!("Contract `", stringify!($constant), "` of `src/plan/kernel/", stringify!($area), ".rs`.")]
                $variant,
            )*
        }

        impl Kernel {
            /// All kernels.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What every backend's version must take and give.
            pub fn contract(self) -> &'static Contract {
                match self {
                    $(Self::$variant => const { &$area::$constant },)*
                }
            }

            /// Its file name, without an ending.
            pub fn name(self) -> &'static str {
                self.contract().name
            }
        }
    };
}

kernels! {
    Control = control::CONTROL,
    Row = control::ROW,
    BatchIndices = batch::BATCH_INDICES,
    GatherWords = batch::GATHER_WORDS,
    GatherReals = batch::GATHER_REALS,
    Embed = passes::EMBED,
    Matmul = passes::MATMUL,
    Add = passes::ADD,
    Activation = passes::ACTIVATION,
    ActivationBackward = passes::ACTIVATION_BACKWARD,
    LayerNorm = passes::LAYER_NORM,
    LayerNormBackward = passes::LAYER_NORM_BACKWARD,
    LayerNormSamples = passes::LAYER_NORM_SAMPLES,
    Attention = passes::ATTENTION,
    AttentionBackward = passes::ATTENTION_BACKWARD,
    Loss = losses::LOSS,
    Property = losses::PROPERTY,
    ReadOut = losses::READ_OUT,
    ScaledProduct = losses::SCALED_PRODUCT,
    LossMean = losses::LOSS_MEAN,
    Difference = losses::DIFFERENCE,
    HalfNormChange = losses::HALF_NORM_CHANGE,
    WeightGradient = gradients::WEIGHT_GRADIENT,
    EmbedBackward = gradients::EMBED_BACKWARD,
    ColumnSums = gradients::COLUMN_SUMS,
    Dot = gradients::DOT,
    SumRows = gradients::SUM_ROWS,
    Copy = gradients::COPY,
    Optimizer = updates::OPTIMIZER,
    UpdateStatistics = updates::UPDATE_STATISTICS,
    Decompose = updates::DECOMPOSE,
    GradientFilter = shaping::GRADIENT_FILTER,
    FilterShare = shaping::FILTER_SHARE,
    RegionSums = shaping::REGION_SUMS,
    Perpendicular = shaping::PERPENDICULAR,
    NormRatio = shaping::NORM_RATIO,
    GradientNoise = shaping::GRADIENT_NOISE,
    HoldNorm = shaping::HOLD_NORM,
    Distance = shaping::DISTANCE,
    Dropout = passes::DROPOUT,
    Clip = shaping::CLIP,
    Scale = shaping::SCALE,
    Ledger = updates::LEDGER,
    SampleNorms = gram::SAMPLE_NORMS,
    BatchStatistics = gram::BATCH_STATISTICS,
    Materialise = gram::MATERIALISE,
    GramTile = gram::GRAM_TILE,
    GramStream = gram::GRAM_STREAM,
    GramForms = gram::GRAM_FORMS,
    GramSums = gram::GRAM_SUMS,
    Spectrum = gram::SPECTRUM,
    RankStatistics = gram::RANK_STATISTICS,
    Margin = further::MARGIN,
    GramForm = further::GRAM_FORM,
    FormRanks = further::FORM_RANKS,
    AdamMetric = further::ADAM_METRIC,
    GramMetric = further::GRAM_METRIC,
    Lanczos = further::LANCZOS,
    Sketch = stream::SKETCH,
    Stream = stream::STREAM,
    BlockStatistics = further::BLOCK_STATISTICS,
}

/// Elements of one block of a reduction over parameters; fixed, so that sums have one order everywhere.
pub const BLOCK: usize = 16_384;

/// Rows and columns of a sketch of a gradient.
pub const SKETCH_SIDE: usize = 8;

/// Samples along one side of a tile of the Gram matrix.
pub const GRAM_TILE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bindings_fit_default_limits() {
        for (place, kernel) in Kernel::ALL.iter().enumerate() {
            let contract = kernel.contract();
            assert!(Kernel::ALL[..place].iter().all(|other| other.name() != contract.name));
            for spec in contract.specialisations() {
                assert!(
                    contract.active_bindings(&spec).count() <= crate::plan::MAX_BINDINGS,
                    "{} {spec:?}",
                    contract.name
                );
            }
        }
    }
}
