//! The kernels and their contracts.

use super::buffer::Element::{Real, Wide, Word};
use super::contract::{Access, Binding, Constant, Contract};

const fn read(name: &'static str, element: super::Element) -> Binding {
    Binding {
        name,
        element,
        access: Access::Read,
        when: None,
    }
}

const fn write(name: &'static str, element: super::Element) -> Binding {
    Binding {
        name,
        element,
        access: Access::Write,
        when: None,
    }
}

const fn update(name: &'static str, element: super::Element) -> Binding {
    Binding {
        name,
        element,
        access: Access::ReadWrite,
        when: None,
    }
}

const fn when(binding: Binding, constant: &'static str) -> Binding {
    Binding {
        when: Some(constant),
        ..binding
    }
}

const fn flag(name: &'static str) -> Constant {
    Constant { name, values: &[0, 1] }
}

const fn choice(name: &'static str, values: &'static [u32]) -> Constant {
    Constant { name, values }
}

fn product(params: &[u32], places: &[usize]) -> u64 {
    places.iter().map(|place| u64::from(params[*place])).product()
}

fn no_flops(_: &[u32]) -> u64 {
    0
}

fn one(_: &[u32]) -> u64 {
    1
}

fn tiles(params: &[u32]) -> u64 {
    let side = u64::from(params[0]).div_ceil(GRAM_TILE as u64);
    side * (side + 1) / 2
}

/// Declares the kernels: the enum, and one contract each.
macro_rules! kernels {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal {
        bindings: [$($binding:expr),* $(,)?],
        params: [$($param:ident),* $(,)?],
        constants: [$($constant:expr),* $(,)?],
        items: $items:expr,
        flops: $flops:expr $(,)?
    })*) => {
        /// Every kernel. A kernel's file has its contract's name in every backend.
        #[allow(rustdoc::broken_intra_doc_links, reason = "what stands in brackets are shapes")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kernel {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Kernel {
            /// All kernels.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What every backend's version must take and give.
            pub fn contract(self) -> &'static Contract {
                match self {
                    $(Self::$variant => const { &Contract {
                        name: $name,
                        bindings: &[$($binding),*],
                        params: &[$(stringify!($param)),*],
                        constants: &[$($constant),*],
                        items: $items,
                        flops: $flops,
                    } },)*
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
    /// Advances a slot's control block: what is due and the step's rates (PHASE 0), the guard against divergence
    /// before the update (1), transitions, end conditions and the next step (2).
    Control = "control" {
        bindings: [update("block", Word), read("settings", Wide), update("scalars", Wide), update("history", Wide)],
        params: [],
        constants: [choice("PHASE", &[0, 1, 2])],
        items: one,
        flops: no_flops,
    }
    /// Indices of the step's minibatch: entries [tB, tB + B) of the concatenated epoch permutations of n samples.
    BatchIndices = "batch_indices" {
        bindings: [write("indices", Word)],
        params: [batch, n],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
    /// `out[plane, i]` = `source[plane, indices[i]]`: tokens and labels of a batch.
    GatherWords = "gather_words" {
        bindings: [read("indices", Word), read("source", Word), write("out", Word)],
        params: [planes, n, batch],
        constants: [],
        items: |p| product(p, &[0, 2]),
        flops: no_flops,
    }
    /// `out[i, :]` = `source[indices[i], :]`: real inputs of a batch.
    GatherReals = "gather_reals" {
        bindings: [read("indices", Word), read("source", Real), write("out", Real)],
        params: [batch, width],
        constants: [],
        items: |p| product(p, &[0, 1]),
        flops: no_flops,
    }
    /// Looks up token ids `[T, N]` in a table `[V, d]`: out row (n, t) = `table[id + t * id_step]` (+ `position[t]`), rows
    /// spread by stride_n and stride_t; with SUM, out row n is the sum over t.
    Embed = "embed" {
        bindings: [
            read("ids", Word), read("table", Real), when(read("position", Real), "POSITION"), write("out", Real),
        ],
        params: [n, t, d, stride_n, stride_t, id_step],
        constants: [flag("POSITION"), flag("SUM")],
        items: |p| product(p, &[0, 1]),
        flops: |p| product(p, &[0, 1, 2]),
    }
    /// The dense product: out `[m, n]` = a `[m, k]` b `[k, n]` (b transposed: `[n, k]`) (+ bias `[n]`) (+ residual `[m, n]`)
    /// (+ out).
    Matmul = "matmul" {
        bindings: [
            read("a", Real), read("b", Real), when(read("bias", Real), "BIAS"),
            when(read("residual", Real), "RESIDUAL"), update("out", Real),
        ],
        params: [m, k, n],
        constants: [flag("TRANSPOSE_B"), flag("BIAS"), flag("RESIDUAL"), flag("ACCUMULATE")],
        items: |p| product(p, &[0, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// out = in + out, element by element.
    Add = "add" {
        bindings: [read("input", Real), update("out", Real)],
        params: [len],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
    Activation = "activation" {
        bindings: [read("input", Real), write("out", Real)],
        params: [len],
        constants: [choice("ACTIVATION", &[0, 1, 2])],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// cotangent = cotangent * f'(input), in place.
    ActivationBackward = "activation_backward" {
        bindings: [read("input", Real), update("cotangent", Real)],
        params: [len],
        constants: [choice("ACTIVATION", &[0, 1, 2])],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// Layer normalisation of rows `[rows, d]`: normal = (x - mean)/sqrt(var + 1e-5), out = normal * gain + shift.
    LayerNorm = "layer_norm" {
        bindings: [
            read("input", Real), read("gain", Real), read("shift", Real), write("normal", Real),
            write("inverse_sd", Real), write("out", Real),
        ],
        params: [rows, d],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 8 * product(p, &[0, 1]),
    }
    /// Cotangent of layer normalisation's input (+ residual).
    LayerNormBackward = "layer_norm_backward" {
        bindings: [
            read("cotangent", Real), read("normal", Real), read("inverse_sd", Real), read("gain", Real),
            when(read("residual", Real), "RESIDUAL"), write("out", Real),
        ],
        params: [rows, d],
        constants: [flag("RESIDUAL")],
        items: |p| p[0].into(),
        flops: |p| 8 * product(p, &[0, 1]),
    }
    /// Per-sample gradients of gain and shift: sum over t of normal * cotangent, and of cotangent; `[T, N, d]` to `[N, d]`.
    LayerNormSamples = "layer_norm_samples" {
        bindings: [read("cotangent", Real), read("normal", Real), write("gain", Real), write("shift", Real)],
        params: [n, t, d],
        constants: [],
        items: |p| product(p, &[0, 2]),
        flops: |p| 3 * product(p, &[0, 1, 2]),
    }
    /// Causal attention, scaled by 1/sqrt(d_head): q `[Tq, N, d]` for the last Tq of T positions, kv `[T, N, 2d]`;
    /// pattern `[N, heads, Tq, T]`, out `[Tq, N, d]`.
    Attention = "attention" {
        bindings: [read("q", Real), read("kv", Real), write("pattern", Real), write("out", Real)],
        params: [n, t, tq, heads, d_head],
        constants: [],
        items: |p| product(p, &[0, 3]),
        flops: |p| 4 * product(p, &[0, 1, 2, 3, 4]),
    }
    /// Cotangents of q and kv from that of the attention's output.
    AttentionBackward = "attention_backward" {
        bindings: [
            read("cotangent", Real), read("pattern", Real), read("q", Real), read("kv", Real), write("dq", Real),
            write("dkv", Real),
        ],
        params: [n, t, tq, heads, d_head],
        constants: [],
        items: |p| product(p, &[0, 3]),
        flops: |p| 8 * product(p, &[0, 1, 2, 3, 4]),
    }
    /// Loss and hit of every sample; with GRADIENT the cotangent of its logits, scaled by 2^exponent into [1/2, 1).
    /// LOSS 0 cross-entropy without cancellation, 1 naive cross-entropy, 2 mean squared error over classes.
    Loss = "loss" {
        bindings: [
            read("logits", Real), read("labels", Word), write("loss", Real), write("hit", Word),
            when(write("cotangent", Real), "GRADIENT"), when(write("exponent", Word), "GRADIENT"),
        ],
        params: [n, classes],
        constants: [choice("LOSS", &[0, 1, 2]), flag("GRADIENT")],
        items: |p| p[0].into(),
        flops: |p| 6 * product(p, &[0, 1]),
    }
    /// Value of a property at every sample, weighted by 1; with GRADIENT the scaled cotangent of its logits.
    /// PROPERTY 0 logit of `class`, 1 its probability, 2 log odds of the label.
    Property = "property" {
        bindings: [
            read("logits", Real), read("labels", Word), write("value", Real),
            when(write("cotangent", Real), "GRADIENT"), when(write("exponent", Word), "GRADIENT"),
        ],
        params: [n, classes, class],
        constants: [choice("PROPERTY", &[0, 1, 2]), flag("GRADIENT")],
        items: |p| p[0].into(),
        flops: |p| 6 * product(p, &[0, 1]),
    }
    /// Gradient of a weight `[d_in, d_out]` (and bias): sum over rows of 2^-`exponent[row mod n]` a b / divisor; with
    /// ACCUMULATE added to what is there.
    WeightGradient = "weight_gradient" {
        bindings: [
            read("a", Real), read("b", Real), read("exponent", Word), update("weight", Real),
            when(update("bias", Real), "BIAS"),
        ],
        params: [rows, n, d_in, d_out, divisor],
        constants: [flag("BIAS"), flag("ACCUMULATE")],
        items: |p| product(p, &[2, 3]),
        flops: |p| 2 * product(p, &[0, 2, 3]),
    }
    /// Gradient of an embedding table `[rows, d]`: row id + t * id_step collects 2^-`exponent[n]` b(n, t) / divisor.
    EmbedBackward = "embed_backward" {
        bindings: [read("b", Real), read("ids", Word), read("exponent", Word), update("table", Real)],
        params: [n, t, d, stride_n, stride_t, id_step, rows, divisor],
        constants: [flag("ACCUMULATE")],
        items: |p| product(p, &[6, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// out `[planes, d]` = sum over n of 2^-`exponent[n]` x(plane, n) / divisor, rows spread by stride_n and stride_t.
    ColumnSums = "column_sums" {
        bindings: [read("x", Real), read("exponent", Word), update("out", Real)],
        params: [n, planes, d, stride_n, stride_t, divisor],
        constants: [flag("ACCUMULATE")],
        items: |p| product(p, &[1, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// Sum of losses / total and hits / total: out `[2]`; with ACCUMULATE added to what is there.
    LossMean = "loss_mean" {
        bindings: [read("loss", Real), read("hit", Word), update("out", Wide)],
        params: [n, total],
        constants: [flag("ACCUMULATE")],
        items: one,
        flops: |p| 2 * u64::from(p[0]),
    }
    /// partial `[blocks]` = dot products of blocks of 16,384 elements of x and y.
    Dot = "dot" {
        bindings: [read("x", Real), read("y", Real), write("partial", Wide)],
        params: [len],
        constants: [],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 2 * u64::from(p[0]),
    }
    /// out `[width]` = sums of the rows of partial `[rows, width]`, in order.
    SumRows = "sum_rows" {
        bindings: [read("partial", Wide), write("out", Wide)],
        params: [rows, width],
        constants: [],
        items: |p| p[1].into(),
        flops: |p| product(p, &[0, 1]),
    }
    /// One update of the weights. moments `[3, P]`: m, v, previous gradient. spans: ends and group of each tensor.
    /// partial `[blocks, 7]`: |theta|^2, |g|^2, |update|^2, g.g_prev, |g_prev|^2, g.m_prev, |m_prev|^2.
    /// OPTIMIZER 0 sgd, 1 momentum, 2 adam (coupled L2), 3 adamw.
    Optimizer = "optimizer" {
        bindings: [
            update("theta", Real), read("gradient", Real), update("moments", Real), read("scalars", Wide),
            read("spans", Word), write("partial", Wide),
        ],
        params: [len, tensors],
        constants: [choice("OPTIMIZER", &[0, 1, 2, 3])],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 30 * u64::from(p[0]),
    }
    /// Norms of the step's vectors and their cosines, from the optimiser's sums.
    UpdateStatistics = "update_statistics" {
        bindings: [read("sums", Wide), update("scalars", Wide)],
        params: [],
        constants: [],
        items: one,
        flops: no_flops,
    }
    /// norm `[N]` = squared norm of every sample's gradient over all sites, as scaled (true value: 2^(-2 exponent)).
    SampleNorms = "sample_norms" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            write("norm", Wide),
        ],
        params: [n, sites],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| product(p, &[0, 1]),
    }
    /// Norms, coherence and noise of the step's batch, from per-sample norms and the squared norm of the mean gradient
    /// (in the scalars).
    BatchStatistics = "batch_statistics" {
        bindings: [read("norm", Wide), read("exponent", Word), update("scalars", Wide)],
        params: [n],
        constants: [],
        items: one,
        flops: |p| 8 * u64::from(p[0]),
    }
    /// Per-sample gradients of a linear site: out [N, d_in (+ 1 with a bias), d_out], sum over t of a b.
    Materialise = "materialise" {
        bindings: [read("a", Real), read("b", Real), write("out", Real)],
        params: [n, t, d_in, d_out, a_stride_n, a_stride_t, b_stride_n, b_stride_t],
        constants: [flag("BIAS")],
        items: |p| product(p, &[0, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2, 3]),
    }
    /// The Gram matrix K `[N, N]` of the per-sample gradients, as scaled: all sites for one tile of (i, j), tiles i <= j.
    GramTile = "gram_tile" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            write("gram", Real),
        ],
        params: [n, sites],
        constants: [],
        items: tiles,
        flops: no_flops,
    }
    /// The same tiles, but none is stored: partial sums of each, from which the statistics follow (see its header).
    GramStream = "gram_stream" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            read("norm", Wide), read("exponent", Word), write("tiles", Wide),
        ],
        params: [n, sites],
        constants: [],
        items: tiles,
        flops: no_flops,
    }
    /// From K as scaled: the matrices raw, cosine and centred `[3, N, N]` on a common scale, and their sums.
    GramForms = "gram_forms" {
        bindings: [read("gram", Real), read("exponent", Word), write("forms", Wide), write("sums", Wide)],
        params: [n],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 20 * product(p, &[0, 0]),
    }
    /// The same sums from the tiles' partial sums, where no matrix is stored.
    GramSums = "gram_sums" {
        bindings: [
            read("tiles", Wide), read("norm", Wide), read("exponent", Word), write("sums", Wide),
        ],
        params: [n],
        constants: [],
        items: one,
        flops: |p| 20 * u64::from(p[0]),
    }
    /// Eigenvalues of symmetric matrices `[matrices, N, N]`, ascending: out `[matrices, N]`.
    Spectrum = "spectrum" {
        bindings: [read("forms", Wide), write("eigenvalues", Wide)],
        params: [matrices, n],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| u64::from(p[0]) * 4 * product(p, &[1, 1, 1]) / 3,
    }
    /// Agreement, ranks and nulls of the three forms, from their sums and (with SPECTRUM) eigenvalues.
    RankStatistics = "rank_statistics" {
        bindings: [read("sums", Wide), when(read("eigenvalues", Wide), "SPECTRUM"), update("scalars", Wide)],
        params: [n, parameters],
        constants: [flag("SPECTRUM")],
        items: one,
        flops: |p| 20 * product(p, &[0, 0]),
    }
    /// gradients `[1 + K, P]`: the step's, then one per property. partial `[blocks, K * K + 4 K]`: products of the property
    /// gradients with each other, then of each with the selection, lagged, noise and decay parts of the coming update;
    /// row `full` of gradients is the mean gradient over the whole training split.
    Decompose = "decompose" {
        bindings: [
            read("gradients", Real), read("theta", Real), read("moments", Real), read("scalars", Wide),
            read("spans", Word), write("partial", Wide),
        ],
        params: [len, tensors, properties, full],
        constants: [choice("OPTIMIZER", &[0, 1, 2, 3])],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 2 * u64::from(p[0]) * (product(p, &[2, 2]) + 4 * u64::from(p[2])),
    }
    /// out `[1]` = sum over samples of (after - before) / divisor, or of after / divisor without BEFORE; with ACCUMULATE
    /// added to what is there.
    Difference = "difference" {
        bindings: [when(read("before", Real), "BEFORE"), read("after", Real), update("out", Wide)],
        params: [n, divisor],
        constants: [flag("BEFORE"), flag("ACCUMULATE")],
        items: one,
        flops: |p| 2 * u64::from(p[0]),
    }
    /// partial `[blocks]` of half the change of |theta|^2, (after - before)(after + before)/2; of half of it without BEFORE.
    HalfNormChange = "half_norm_change" {
        bindings: [when(read("before", Real), "BEFORE"), read("after", Real), write("partial", Wide)],
        params: [len],
        constants: [flag("BEFORE")],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 4 * u64::from(p[0]),
    }
    /// out = input.
    Copy = "copy" {
        bindings: [read("input", Real), write("out", Real)],
        params: [len],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
    /// Predicted and measured changes, their parts, and the ledger, into the row.
    Ledger = "ledger" {
        bindings: [
            read("products", Wide), read("change", Wide), read("value", Wide), update("ledger", Wide),
            update("scalars", Wide),
        ],
        params: [properties],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
    /// Copies the row's columns to the metrics ring with the run's id, its step and which columns are valid.
    Row = "row" {
        bindings: [
            read("scalars", Wide), read("columns", Word), update("block", Word), update("ring", Wide),
            update("header", Word),
        ],
        params: [columns, capacity],
        constants: [],
        items: one,
        flops: no_flops,
    }
}

/// Elements of one block of a reduction over parameters; fixed, so that sums have one order everywhere.
pub const BLOCK: usize = 16_384;

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
