//! The kernels there are in CUDA, each with its body, threads of a block, and how many blocks one run of it takes; and
//! those that are still missing.

use crate::plan::{BLOCK, Capabilities, GRAM_TILE, Kernel};
use crate::stats::columns::FORMS;

/// A kernel in CUDA.
pub(super) struct Source {
    pub kernel: Kernel,
    /// Its file.
    pub body: &'static str,
    /// Threads of a block, a multiple of a warp's 32.
    pub threads: u32,
    /// Blocks of one run, from parameters and specialisation.
    pub groups: fn(&[u32], &[u32]) -> u64,
}

macro_rules! sources {
    ($($variant:ident $threads:literal $name:literal $groups:expr;)*) => {
        static SOURCES: &[Source] = &[$(Source {
            kernel: Kernel::$variant,
            body: include_str!(concat!("../../../kernels/", $name, ".cu")),
            threads: $threads,
            groups: $groups,
        },)*];
    };
}

macro_rules! shared {
    ($($name:literal)*) => {
        /// What kernels share, each behind what it needs of the others: `common` for all of them, the others for those that
        /// ask for them by a line `// import <name>`.
        pub(super) static SHARED: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../kernels/", $name, ".cuh")))),*
        ];
    };
}

shared! { "common" "random" "scaled" "tile" "sites" "eigenvalues" "ranks" "tridiagonal" "krylov" "ritz" "quadrature" }

/// Samples, rows or columns along one side of a tile of `kernels/tile.cuh`.
const SIDE: u32 = 64;

fn product(p: &[u32], places: &[usize]) -> u64 {
    places.iter().map(|place| u64::from(p[*place])).product()
}

/// Blocks of 256 threads that cover so many elements.
fn blocks(elements: u64) -> u64 {
    elements.div_ceil(256)
}

/// Tiles that cover a matrix.
fn tiles(rows: u32, columns: u32) -> u64 {
    u64::from(rows.div_ceil(SIDE)) * u64::from(columns.div_ceil(SIDE))
}

/// Tiles on and above the diagonal of a square matrix.
fn triangle(n: u32, side: u32) -> u64 {
    let across = u64::from(n.div_ceil(side));
    across * (across + 1) / 2
}

/// Blocks of a reduction over parameters.
fn reductions(len: u32) -> u64 {
    u64::from(len).div_ceil(BLOCK as u64)
}

// The name of each kernel once more, since `include_str!` needs it as a literal; a test compares it with the contract.
sources! {
    Control 32 "control" |_, _| 1;
    Row 128 "row" |_, _| 1;
    BatchIndices 256 "batch_indices" |p, _| blocks(p[0].into());
    GatherWords 256 "gather_words" |p, _| blocks(product(p, &[0, 2]));
    GatherReals 256 "gather_reals" |p, _| blocks(product(p, &[0, 1]));
    Embed 256 "embed" |p, spec| blocks(product(p, if spec[1] == 0 { &[0, 1, 2] } else { &[0, 2] }));
    Matmul 256 "matmul" |p, _| tiles(p[0], p[2]);
    Add 256 "add" |p, _| blocks(p[0].into());
    Activation 256 "activation" |p, _| blocks(p[0].into());
    ActivationBackward 256 "activation_backward" |p, _| blocks(p[0].into());
    LayerNorm 128 "layer_norm" |p, _| p[0].into();
    LayerNormBackward 128 "layer_norm_backward" |p, _| p[0].into();
    LayerNormSamples 256 "layer_norm_samples" |p, _| blocks(product(p, &[0, 2]));
    Attention 128 "attention" |p, _| product(p, &[0, 2, 3]).div_ceil(4);
    AttentionBackward 128 "attention_backward" |p, _| product(p, &[0, 3]).div_ceil(4);
    Loss 128 "loss" |p, _| u64::from(p[0]).div_ceil(4);
    Property 128 "property" |p, _| u64::from(p[0]).div_ceil(4);
    ReadOut 128 "read_out" |p, _| u64::from(p[0]).div_ceil(4);
    ScaledProduct 128 "scaled_product" |p, _| u64::from(p[0]).div_ceil(4);
    LossMean 256 "loss_mean" |_, _| 1;
    Difference 256 "difference" |_, _| 1;
    HalfNormChange 256 "half_norm_change" |p, _| reductions(p[0]);
    WeightGradient 256 "weight_gradient" |p, _| tiles(p[2], p[3]);
    EmbedBackward 64 "embed_backward" |p, _| u64::from(p[6]) * u64::from(p[2].div_ceil(64));
    ColumnSums 256 "column_sums" |p, _| blocks(product(p, &[1, 2]));
    Dot 256 "dot" |p, _| reductions(p[0]);
    SumRows 256 "sum_rows" |p, _| blocks(p[1].into());
    Copy 256 "copy" |p, _| blocks(p[0].into());
    Optimizer 256 "optimizer" |p, _| reductions(p[0]);
    UpdateStatistics 32 "update_statistics" |_, _| 1;
    Decompose 256 "decompose" |p, _| reductions(p[0]);
    GradientFilter 256 "gradient_filter" |p, _| blocks(p[0].into());
    FilterShare 32 "filter_share" |_, _| 1;
    RegionSums 256 "region_sums" |p, _| reductions(p[0]);
    Perpendicular 256 "perpendicular" |p, _| blocks(p[0].into());
    NormRatio 64 "norm_ratio" |p, _| u64::from(p[0]).div_ceil(64);
    GradientNoise 256 "gradient_noise" |p, _| blocks(u64::from(p[0]).div_ceil(2));
    HoldNorm 64 "hold_norm" |p, _| u64::from(p[0]).div_ceil(64);
    Distance 256 "distance" |p, _| reductions(p[0]);
    Dropout 256 "dropout" |p, _| blocks(u64::from(p[0]).div_ceil(4));
    Ledger 64 "ledger" |p, _| u64::from(p[0]).div_ceil(64);
    Clip 32 "clip" |_, _| 1;
    Scale 256 "scale" |p, _| blocks(p[0].into());
    SampleNorms 64 "sample_norms" |p, _| p[0].into();
    BatchStatistics 256 "batch_statistics" |_, _| 1;
    Materialise 256 "materialise" |p, spec| blocks(u64::from(p[0]) * u64::from(p[2] + spec[0]) * u64::from(p[3]));
    Margin 256 "margin" |p, _| blocks(product(p, &[0, 1]));
    AdamMetric 256 "adam_metric" |p, _| blocks(p[0].into());
    GramTile 256 "gram_tile" |p, _| triangle(p[0], SIDE);
    GramStream 256 "gram_stream" |p, _| triangle(p[0], GRAM_TILE as u32);
    GramForms 256 "gram_forms" |_, _| 1;
    GramSums 256 "gram_sums" |_, _| 1;
    Spectrum 512 "spectrum" |p, _| p[0].into();
    RankStatistics 256 "rank_statistics" |_, _| FORMS as u64;
    GramForm 256 "gram_form" |_, _| 1;
    Lanczos 256 "lanczos" |_, _| 1;
    FormRanks 256 "form_ranks" |_, _| 1;
    BlockStatistics 256 "block_statistics" |_, _| 1;
    GramMetric 256 "gram_metric" |p, _| triangle(p[0], SIDE);
    Sketch 128 "sketch" |p, _| p[0].into();
    Stream 256 "stream" |_, _| 1;
}

/// Kernels that are missing, and why: none. What is in neither list was forgotten; tests say so.
pub const ABSENT: &[(Kernel, &str)] = &[];

pub(super) fn find(kernel: Kernel) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.kernel == kernel)
}

/// The kernels there are.
pub fn kernels() -> Vec<Kernel> {
    SOURCES.iter().map(|source| source.kernel).collect()
}

/// What they can do on any device.
pub fn capabilities() -> Capabilities {
    Capabilities {
        backend: "cuda",
        f64: true,
        max_binding: usize::MAX,
        kernels: kernels(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_files_have_the_names_of_their_contracts_and_whole_warps() {
        for source in SOURCES {
            let head = format!("// {} — ", source.kernel.name());
            assert!(source.body.starts_with(&head), "expected a header: {head}");
            assert!(source.threads.is_multiple_of(32) && (32..=1024).contains(&source.threads));
        }
    }

    #[test]
    fn cuda_files_ask_for_shared_files_that_stand_before_them() {
        let names: Vec<&str> = SHARED.iter().map(|(name, _)| *name).collect();
        let bodies = SOURCES.iter().map(|source| (SHARED.len(), source.body));
        for (place, text) in bodies.chain(SHARED.iter().map(|(_, text)| *text).enumerate()) {
            for import in text.lines().filter_map(|line| line.strip_prefix("// import ")) {
                assert!(names[..place].contains(&import), "{import} is asked for");
            }
        }
    }

    #[test]
    fn cuda_kernels_are_not_called_absent_when_they_are_there() {
        for (kernel, _) in ABSENT {
            assert!(find(*kernel).is_none(), "{} is in both lists", kernel.name());
        }
    }
}
