//! All configuration keys: what may stand there, in the words of error messages, and what it means.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;

/// A configuration key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// `section.key`
    pub name: &'static str,
    /// Completes "expected …".
    pub expected: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const fn key(name: &'static str, expected: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        expected,
        meaning,
    }
}

const COUNT: &str = "a whole number of at least 1";
const COUNT_OR_NONE: &str = "a whole number of at least 0";
const SCHEDULED: &str = "a number of at least 0, or such numbers on a schedule of steps, values and kind";
const SHARE: &str = "a number of at least 0 and below 1, or such numbers on a schedule of steps, values and kind";
const CADENCE: &str = "a number of steps, { log = K } or { every, dense, around, width }";
const BOOL: &str = "true or false";

/// Every key, in the order of the file.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("task.op", r#""add", "sub", "mul", "div", "sum_squares", "quadratic", "s5", "parity", "file", "idx", "cifar10" or "cifar100""#, "what is learnt; see [tasks.md](tasks.md)"),
    key("task.p", "a whole number from 2 to 4096", "modulus of a modular operation; prime for `div`"),
    key("task.prompt", r#""a b =" or "a op b =""#, "how a transformer sees a pair; an MLP sees a and b"),
    key("task.bits", "a whole number from 2 to 64", "`parity`: length of the bit strings"),
    key("task.parity", "a whole number of at least 1 and at most task.bits", "`parity`: how many secret bits the label is the parity of"),
    key("task.train_fraction", "a number between 0 and 1", "share of the examples that is trained on"),
    key("task.train_samples", COUNT, "how many examples are trained on, instead of a share; `parity` needs it"),
    key("task.test_samples", COUNT, "how many examples are tested on, instead of all others; `parity` needs it"),
    key("task.seed", "a whole number of at least 0", "seed of examples, split, initial weights, batch order and label noise"),
    key("task.random_labels", BOOL, "replace all labels by uniform draws: a control in which nothing can be generalised"),
    key("task.label_noise", "a number from 0 to 1", "share of the training labels that is replaced by another class"),
    key("task.file", "a path in quotes, or a list of paths", "`file`: a safetensors file with `labels [N]` and `tokens [N, T]` or `inputs [N, d]`; `idx`: images and labels; `cifar10`, `cifar100`: binary batches"),
    key("task.test_file", "a path in quotes, or a list of paths", "the same for the test examples; without it `task.file` is split"),
    key("model.kind", r#""transformer" or "mlp""#, "family of networks"),
    key("model.layers", COUNT, "transformer: blocks"),
    key("model.d_model", COUNT, "transformer: width of the residual stream; MLP: width of the embedding"),
    key("model.heads", COUNT, "transformer: attention heads; divides d_model"),
    key("model.d_mlp", COUNT, "transformer: hidden width of the MLP"),
    key("model.activation", r#""relu", "gelu" or "quadratic""#, "non-linearity"),
    key("model.norm", r#""none" or "pre""#, "transformer: LayerNorm"),
    key("model.attention_biases", BOOL, "transformer: whether Q, K, V and the output of attention have biases, which start at 0"),
    key("model.unembed_bias", BOOL, "transformer: whether the logits have a bias, which starts at 0"),
    key("model.input", r#""one_hot", "embedding" or "float""#, "MLP: what the first layer sees; `float` needs real data or `parity`"),
    key("model.hidden", "a list of whole numbers of at least 1", "MLP: hidden widths"),
    key("model.bias", BOOL, "MLP: whether layers have biases"),
    key("model.dropout", SHARE, "share of the hidden activations of MLPs that a step sets to zero; the others are scaled up, and evaluations and the Gram subset see all"),
    key("model.attention_mix", "a number from 0 to 1, or such numbers on a schedule of steps, values and kind", "transformer: share of the uniform distribution over the visible positions in every pattern of attention, in all passes; 0 is what was learnt"),
    key("model.init", r#""nanda", "fan_in" or "gromov""#, "scale of the initial weights"),
    key("model.init_scale", "a number above 0", "factor on every initial weight matrix"),
    key("loss.kind", r#""cross_entropy", "cross_entropy_naive", "mse" or "stablemax""#, "loss of a sample; `cross_entropy_naive` has the cancellation of float32 log-softmax, `stablemax` has s(x) = x + 1 or 1/(1 - x) in the place of exp"),
    key("optimizer.kind", r#""sgd", "momentum", "nesterov", "adam" or "adamw""#, "update rule"),
    key("optimizer.lr", SCHEDULED, "learning rate"),
    key("optimizer.weight_decay", SCHEDULED, "decoupled in `adamw`, else added to the gradient"),
    key("optimizer.beta1", SHARE, "decay of the first moment; the momentum of `momentum` and `nesterov`"),
    key("optimizer.beta2", SHARE, "decay of the second moment; bias corrections are 1 - beta^t with the beta of step t, as in PyTorch"),
    key("optimizer.eps", "a number above 0, or such numbers on a schedule of steps, values and kind", "added to the root of the second moment"),
    key("optimizer.warmup", COUNT_OR_NONE, "steps over which the learning rate rises linearly"),
    key("optimizer.batch", r#""full" or a whole number of at least 1"#, "samples of a step"),
    key("optimizer.clip", SCHEDULED, "largest 2-norm of the gradient that the optimiser takes; 0 for any"),
    key("optimizer.filter", r#""none", "grokfast_ema" or "grokfast_ma""#, "adds an average of earlier gradients to the gradient (Grokfast)"),
    key("optimizer.filter_alpha", SHARE, "decay of the average of `grokfast_ema`"),
    key("optimizer.filter_lambda", SCHEDULED, "weight of the filter's average"),
    key("optimizer.filter_window", COUNT, "gradients in the average of `grokfast_ma`, which keeps them all"),
    key("optimizer.perpendicular", r#""none", "tensor" or "global""#, "takes out the gradient's part along the weights, by tensor or over all, and keeps its norm (perpGrad)"),
    key("optimizer.l1", SCHEDULED, "constant pull of every weight towards zero; decoupled in `adamw`, else added to the gradient"),
    key("optimizer.noise", SCHEDULED, "standard deviation of the Gaussian noise added to each entry of the mean gradient, before anything shapes it"),
    key("optimizer.noise_scale", r#""absolute" or "relative""#, "`relative`: in units of the mean gradient's norm over the root of the number of parameters"),
    key("optimizer.hold_norm", r#""none", "tensor" or "global""#, "rescales the weights after each update to the norm they began with, by tensor (those that begin at zero are left alone) or over all"),
    key("optimizer.hold_factor", SCHEDULED, "the norm that is held, as a multiple of the initial one"),
    key("optimizer.weight_decay_groups", "a table of numbers of at least 0, or of such numbers on a schedule of steps, values and kind, with keys among embed, position, attention, mlp, unembed, norm, bias", "weight decay of single tensor groups"),
    key("train.steps", COUNT, "most steps"),
    key("train.stop", r#""never" or "grokked+K""#, "end K steps after the running median of the test accuracy reached 0.95"),
    key("train.checkpoint_every", COUNT, "steps between checkpoints"),
    key("train.weights_every", "a whole number", "steps between weights that are kept beside those of checkpoints, for `gmatrix structure`; 0 for none"),
    key("train.chunk", COUNT, "steps the device makes between two looks of the host"),
    key("stats.scalars_every", CADENCE, "when the scalars of the step's batch are measured; at least sometimes"),
    key("stats.evaluate_every", CADENCE, "when both splits are evaluated; at least sometimes"),
    key("stats.gram_every", CADENCE, "when Gram matrices are measured; 0 for never"),
    key("stats.decompose_every", CADENCE, "when the step is decomposed (ntcov, predicted and measured changes); 0 for never"),
    key("stats.samples", r#""all" or a whole number of at least 1"#, "size of the fixed seeded Gram subset of the training split"),
    key("stats.spectrum", r#""exact", "lanczos" or "off""#, "how the eigenvalues of Gram matrices are had: all up to 1,024 samples; estimates with standard errors; not at all"),
    key("stats.probes", "a whole number of at least 2", "random probes of `spectrum = \"lanczos\"`"),
    key("stats.grams", "a list of some of centred_cosine, unit_residual, preconditioned, group, activation, function and block", "further Gram matrices whose ranks are measured with those of every run"),
    key("stats.stream", "0, or a whole number of at least 16 that stats.scalars_every divides", "steps of a window over which minibatches are averaged, with standard errors; 0 for no such averages"),
    key("stats.properties", "a list of properties", "whose changes are predicted and measured"),
];

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// All names, in the order of the file.
#[cfg(feature = "record")]
pub(crate) fn key_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The sections.
pub(super) fn sections() -> Vec<&'static str> {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| Some(key.name.split_once('.')?.0))
        .collect();
    names.dedup();
    names
}

/// All values by `section.key`; keys that are not set are absent.
pub(crate) fn flat(config: &Config) -> BTreeMap<String, Value> {
    let table = Table::try_from(config).unwrap_or_default();
    let mut all = BTreeMap::new();
    for (section, keys) in table {
        if let Value::Table(keys) = keys {
            all.extend(keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
        }
    }
    all
}

/// `; did you mean X?` if one of the names is close to what was written.
pub(super) fn did_you_mean<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> String {
    let nearest = names.map(|name| (distance(written, name), name)).min();
    match nearest {
        Some((d, name)) if d <= 1 + written.len() / 4 => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}

/// Fewest insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
