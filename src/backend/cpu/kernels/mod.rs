//! The kernels, one file each, named as their contract.

macro_rules! kernels {
    ($($variant:ident $module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Runs one kernel for one run.
        pub(super) fn run<S: Scalar>(kernel: Kernel, args: &Args<S>) {
            match kernel {
                $(Kernel::$variant => $module::run(args),)*
            }
        }
    };
}

mod entropy;
mod normal;
mod null_rank;
mod quadrature;
mod ranks;
mod rates;
mod ritz;
mod scaled;
mod support;
mod tile;

use super::args::Args;
use super::scalar::Scalar;
use crate::plan::Kernel;

kernels! {
    Control control, BatchIndices batch_indices, GatherWords gather_words, GatherReals gather_reals, Embed embed,
    Matmul matmul, Add add, Activation activation, ActivationBackward activation_backward, LayerNorm layer_norm,
    LayerNormBackward layer_norm_backward, LayerNormSamples layer_norm_samples, Attention attention,
    AttentionBackward attention_backward, Loss loss, Property property, ReadOut read_out,
    ScaledProduct scaled_product, WeightGradient weight_gradient,
    EmbedBackward embed_backward, ColumnSums column_sums, LossMean loss_mean, Dot dot, SumRows sum_rows,
    Optimizer optimizer, UpdateStatistics update_statistics, SampleNorms sample_norms,
    BatchStatistics batch_statistics, Materialise materialise, GramTile gram_tile, GramStream gram_stream,
    GramForms gram_forms, GramSums gram_sums, Spectrum spectrum, RankStatistics rank_statistics,
    Margin margin, GramForm gram_form, FormRanks form_ranks, AdamMetric adam_metric, GramMetric gram_metric, Lanczos lanczos, Sketch sketch, Stream stream, BlockStatistics block_statistics,
    Decompose decompose, GradientFilter gradient_filter, FilterShare filter_share, RegionSums region_sums, Perpendicular perpendicular, NormRatio norm_ratio, GradientNoise gradient_noise, HoldNorm hold_norm, Distance distance, Dropout dropout, Clip clip, Scale scale, Difference difference, HalfNormChange half_norm_change, Copy copy, Ledger ledger, Row row,
}
