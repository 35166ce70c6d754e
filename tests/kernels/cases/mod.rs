//! The cases of every kernel.

mod attention;
mod batches;
pub mod control;
mod dense;
mod embed;
mod further;
mod gradients;
mod gram;
mod gram_sums;
mod ledger;
pub mod loss;
mod metric;
mod norm;
mod optimizer;
mod pressures;
mod ranks;
mod read_outs;
mod reductions;
mod shaping;
mod sites;
mod stream;

use gmatrix::plan::Kernel;

use crate::backends::BACKENDS;
use crate::case::Case;
use crate::run::conform;

/// Sizes that fit no tile, panel, vector or block.
pub const ODD: [usize; 5] = [1, 31, 33, 97, 345];

/// The cases of a kernel. A new kernel needs an arm here.
pub fn of(kernel: Kernel) -> Vec<Case> {
    match kernel {
        Kernel::Control => control::control(),
        Kernel::BatchIndices => batches::batch_indices(),
        Kernel::GatherWords => batches::gather_words(),
        Kernel::GatherReals => batches::gather_reals(),
        Kernel::Embed => embed::embed(),
        Kernel::Matmul => dense::matmul(),
        Kernel::Add => dense::add(),
        Kernel::Activation => dense::activation(),
        Kernel::ActivationBackward => dense::activation_backward(),
        Kernel::LayerNorm => norm::layer_norm(),
        Kernel::LayerNormBackward => norm::layer_norm_backward(),
        Kernel::LayerNormSamples => norm::layer_norm_samples(),
        Kernel::Attention => attention::attention(),
        Kernel::AttentionBackward => attention::attention_backward(),
        Kernel::Loss => loss::loss(),
        Kernel::Property => loss::property(),
        Kernel::ReadOut => read_outs::read_out(),
        Kernel::ScaledProduct => read_outs::scaled_product(),
        Kernel::WeightGradient => gradients::weight_gradient(),
        Kernel::EmbedBackward => embed::embed_backward(),
        Kernel::ColumnSums => gradients::column_sums(),
        Kernel::LossMean => reductions::loss_mean(),
        Kernel::Dot => reductions::dot(),
        Kernel::SumRows => reductions::sum_rows(),
        Kernel::Optimizer => optimizer::optimizer(),
        Kernel::UpdateStatistics => optimizer::update_statistics(),
        Kernel::SampleNorms => gram::sample_norms(),
        Kernel::BatchStatistics => ranks::batch_statistics(),
        Kernel::Materialise => gradients::materialise(),
        Kernel::GramTile => gram::gram_tile(),
        Kernel::GramStream => gram::gram_stream(),
        Kernel::GramForms => gram_sums::gram_forms(),
        Kernel::GramSums => gram_sums::gram_sums(),
        Kernel::Spectrum => ranks::spectrum(),
        Kernel::RankStatistics => ranks::rank_statistics(),
        Kernel::Margin => further::margin(),
        Kernel::GramForm => further::gram_form(),
        Kernel::Lanczos => further::lanczos(),
        Kernel::AdamMetric => further::adam_metric(),
        Kernel::GramMetric => metric::gram_metric(),
        Kernel::Sketch => stream::sketch(),
        Kernel::Stream => stream::stream(),
        Kernel::BlockStatistics => further::block_statistics(),
        Kernel::FormRanks => further::form_ranks(),
        Kernel::Decompose => ledger::decompose(),
        Kernel::GradientFilter => shaping::gradient_filter(),
        Kernel::FilterShare => shaping::filter_share(),
        Kernel::RegionSums => shaping::region_sums(),
        Kernel::Perpendicular => shaping::perpendicular(),
        Kernel::NormRatio => shaping::norm_ratio(),
        Kernel::GradientNoise => pressures::gradient_noise(),
        Kernel::HoldNorm => pressures::hold_norm(),
        Kernel::Distance => pressures::distance(),
        Kernel::Dropout => pressures::dropout(),
        Kernel::Clip => shaping::clip(),
        Kernel::Scale => shaping::scale(),
        Kernel::Difference => reductions::difference(),
        Kernel::HalfNormChange => reductions::half_norm_change(),
        Kernel::Copy => dense::copy(),
        Kernel::Ledger => ledger::ledger(),
        Kernel::Row => control::row(),
    }
}

macro_rules! conformance {
    ($($name:ident $kernel:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            assert_eq!(Kernel::$kernel.name(), stringify!($name));
            conform(&of(Kernel::$kernel), BACKENDS);
        })*

        #[cfg(feature = "wgpu")]
        mod wgpu {
            use super::*;

            $(#[test]
            fn $name() {
                conform(&of(Kernel::$kernel), &[crate::backends::WGPU]);
            })*
        }

        #[cfg(feature = "cudarc")]
        mod cuda_device {
            use super::*;

            $(#[test]
            fn $name() {
                conform(&of(Kernel::$kernel), &crate::backends::CUDA);
            })*
        }

        #[test]
        fn every_kernel_has_a_test() {
            let mut tested = [$(Kernel::$kernel),*];
            tested.sort();
            assert_eq!(Kernel::ALL, tested);
        }
    };
}

conformance! {
    control Control, batch_indices BatchIndices, gather_words GatherWords, gather_reals GatherReals, embed Embed,
    matmul Matmul, add Add, activation Activation, activation_backward ActivationBackward, layer_norm LayerNorm,
    layer_norm_backward LayerNormBackward, layer_norm_samples LayerNormSamples, attention Attention,
    attention_backward AttentionBackward, loss Loss, property Property, read_out ReadOut,
    scaled_product ScaledProduct, weight_gradient WeightGradient,
    embed_backward EmbedBackward, column_sums ColumnSums, loss_mean LossMean, dot Dot, sum_rows SumRows,
    optimizer Optimizer, update_statistics UpdateStatistics, sample_norms SampleNorms,
    batch_statistics BatchStatistics, materialise Materialise, gram_tile GramTile, gram_stream GramStream,
    gram_forms GramForms, gram_sums GramSums, spectrum Spectrum, rank_statistics RankStatistics,
    margin Margin, gram_form GramForm, form_ranks FormRanks, lanczos Lanczos, adam_metric AdamMetric, gram_metric GramMetric, sketch Sketch, stream Stream, block_statistics BlockStatistics,
    decompose Decompose, gradient_filter GradientFilter, filter_share FilterShare, region_sums RegionSums, perpendicular Perpendicular, norm_ratio NormRatio, gradient_noise GradientNoise, hold_norm HoldNorm, distance Distance, dropout Dropout, clip Clip, scale Scale, difference Difference, half_norm_change HalfNormChange, copy Copy, ledger Ledger, row Row,
}
