//! The kernels this backend has, each with its body and how many workgroups one run of it takes.

use super::device::{AdapterSummary, LARGEST_BINDING};
use crate::plan::{BLOCK, Capabilities, GRAM_TILE, Kernel};

/// A kernel of this backend.
pub(super) struct Shader {
    pub kernel: Kernel,
    /// Its file.
    pub body: &'static str,
    /// Workgroups of one run, from parameters and specialisation.
    pub groups: fn(&[u32], &[u32]) -> u64,
}

macro_rules! shaders {
    ($($variant:ident $name:literal $groups:expr;)*) => {
        static SHADERS: &[Shader] = &[$(Shader {
            kernel: Kernel::$variant,
            body: include_str!(concat!("../../../shaders/", $name, ".wgsl")),
            groups: $groups,
        },)*];
    };
}

macro_rules! shared {
    ($($name:literal)*) => {
        /// Files that bodies ask for by a line `// import NAME`.
        pub(super) static SHARED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../shaders/shared/", $name, ".wgsl"))),)*];
    };
}

shared! { "wide" "math" "reduce" "sites" "random" "gram" "scales" "null" "ranks" "eigenvalues" "columns" "tridiagonal" "ritz"
"quadrature" }

/// Threads of a workgroup of element-wise kernels.
const THREADS: u64 = 256;

fn product(p: &[u32], places: &[usize]) -> u64 {
    places.iter().map(|place| u64::from(p[*place])).product()
}

/// Tiles of `side` rows and columns that cover a matrix.
fn tiles(rows: u32, columns: u32, side: u32) -> u64 {
    u64::from(rows.div_ceil(side)) * u64::from(columns.div_ceil(side))
}

/// Tiles on and above the diagonal.
fn triangle(side: u64) -> u64 {
    side * (side + 1) / 2
}

// The name of each kernel once more, since `include_str!` needs it as a literal; a test compares it with the contract.
shaders! {
    Control "control" |_, _| 1;
    BatchIndices "batch_indices" |p, _| product(p, &[0]).div_ceil(64);
    GatherWords "gather_words" |p, _| product(p, &[0, 2]).div_ceil(THREADS);
    GatherReals "gather_reals" |p, _| product(p, &[0, 1]).div_ceil(THREADS);
    Embed "embed" |p, spec| product(p, if spec[1] == 0 { &[0, 1, 2] } else { &[0, 2] }).div_ceil(THREADS);
    Matmul "matmul" |p, _| tiles(p[0], p[2], 64);
    Add "add" |p, _| product(p, &[0]).div_ceil(THREADS);
    Activation "activation" |p, _| product(p, &[0]).div_ceil(THREADS);
    ActivationBackward "activation_backward" |p, _| product(p, &[0]).div_ceil(THREADS);
    LayerNorm "layer_norm" |p, _| p[0].into();
    LayerNormBackward "layer_norm_backward" |p, _| p[0].into();
    LayerNormSamples "layer_norm_samples" |p, _| product(p, &[0, 2]).div_ceil(THREADS);
    Attention "attention" |p, _| product(p, &[0, 2, 3]).div_ceil(64);
    AttentionBackward "attention_backward" |p, _| product(p, &[0, 3]).div_ceil(64);
    Loss "loss" |p, _| p[0].into();
    Property "property" |p, _| p[0].into();
    ReadOut "read_out" |p, _| p[0].into();
    ScaledProduct "scaled_product" |p, _| p[0].into();
    WeightGradient "weight_gradient" |p, _| tiles(p[2], p[3], 32);
    EmbedBackward "embed_backward" |p, _| u64::from(p[6]) * u64::from(p[2].div_ceil(64));
    ColumnSums "column_sums" |p, _| product(p, &[1, 2]).div_ceil(64);
    LossMean "loss_mean" |_, _| 1;
    Dot "dot" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    SumRows "sum_rows" |p, _| u64::from(p[1]).div_ceil(64);
    Optimizer "optimizer" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    UpdateStatistics "update_statistics" |_, _| 1;
    Decompose "decompose" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    Ledger "ledger" |p, _| u64::from(p[0]).div_ceil(64);
    SampleNorms "sample_norms" |p, _| p[0].into();
    BatchStatistics "batch_statistics" |_, _| 1;
    Materialise "materialise" |p, spec| (product(p, &[0, 3]) * u64::from(p[2] + spec[0])).div_ceil(THREADS);
    GramTile "gram_tile" |p, _| triangle(p[0].div_ceil(64).into());
    GradientFilter "gradient_filter" |p, _| product(p, &[0]).div_ceil(THREADS);
    FilterShare "filter_share" |_, _| 1;
    RegionSums "region_sums" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    Perpendicular "perpendicular" |p, _| product(p, &[0]).div_ceil(THREADS);
    NormRatio "norm_ratio" |p, _| product(p, &[0]).div_ceil(64);
    HoldNorm "hold_norm" |p, _| product(p, &[0]).div_ceil(64);
    Distance "distance" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    Dropout "dropout" |p, _| product(p, &[0]).div_ceil(THREADS);
    GradientNoise "gradient_noise" |p, _| product(p, &[0]).div_ceil(2).div_ceil(THREADS);
    Clip "clip" |_, _| 1;
    Scale "scale" |p, _| product(p, &[0]).div_ceil(THREADS);
    GramStream "gram_stream" |p, _| triangle(p[0].div_ceil(GRAM_TILE as u32).into());
    GramForms "gram_forms" |_, _| 1;
    GramSums "gram_sums" |_, _| 1;
    Spectrum "spectrum" |p, _| p[0].into();
    RankStatistics "rank_statistics" |_, _| 1;
    Difference "difference" |_, _| 1;
    HalfNormChange "half_norm_change" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    Copy "copy" |p, _| product(p, &[0]).div_ceil(THREADS);
    Row "row" |_, _| 1;
    Margin "margin" |p, _| product(p, &[0, 1]).div_ceil(THREADS);
    GramForm "gram_form" |_, _| 1;
    FormRanks "form_ranks" |_, _| 1;
    AdamMetric "adam_metric" |p, _| u64::from(p[0]).div_ceil(BLOCK as u64);
    GramMetric "gram_metric" |p, _| triangle(p[0].div_ceil(64).into());
    BlockStatistics "block_statistics" |_, _| 1;
    Sketch "sketch" |p, _| p[0].into();
    Stream "stream" |_, _| 1;
    Lanczos "lanczos" |_, _| 1;
}

/// The kernels that are still missing, and why. What is in neither list was forgotten; tests say so.
pub const ABSENT: &[(Kernel, &str)] = &[];

pub(super) fn find(kernel: Kernel) -> Option<&'static Shader> {
    SHADERS.iter().find(|shader| shader.kernel == kernel)
}

/// The kernels this backend has.
pub fn kernels() -> Vec<Kernel> {
    SHADERS.iter().map(|shader| shader.kernel).collect()
}

/// What this backend can do on any device that offers WebGPU's default limits.
pub fn capabilities() -> Capabilities {
    with_bindings(wgpu::Limits::defaults().max_storage_buffer_binding_size)
}

/// What it can do on an adapter.
pub fn capabilities_on(adapter: &AdapterSummary) -> Capabilities {
    with_bindings(adapter.max_binding.min(LARGEST_BINDING))
}

/// What it can do where a binding holds so many bytes.
pub(super) fn with_bindings(bytes: u64) -> Capabilities {
    Capabilities {
        backend: "wgpu",
        f64: false,
        max_binding: usize::try_from(bytes).unwrap_or(usize::MAX),
        kernels: kernels(),
    }
}
