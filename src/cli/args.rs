//! The command line. What `--help` says stands here, and nothing else about it does.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::intervene_args::InterveneArgs;
use crate::backend::Precision;
use crate::config::{LossKind, Split, TaskOp};
use crate::model::Activation;

/// Measures, while a network trains, how the gradients of its single samples relate to each other.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  gmatrix train                         preset quick on the best device, into runs/quick-0
  gmatrix train --preset nanda --set task.seed=3
  gmatrix train --resume runs/nanda-3   after Ctrl-C, a crash or a power cut
  gmatrix sweep studies/beta1.toml      many runs, one report; see docs/sweeps.md
  gmatrix measure --weights W.safetensors --data D.safetensors --json -
  gmatrix gram --sites S.safetensors    captured by any program, in any framework

Exit codes: 0 done, 1 failure or a diverged run, 2 wrong use, 130 interrupted (with a
checkpoint written).
GMATRIX_LOG=info (or debug) says more on stderr.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the devices that can compute, and what they can do
    Devices(DevicesArgs),
    /// Train a network and measure its gradients on the way
    Train(TrainArgs),
    /// Train all runs of a study side by side, on the CPU
    Sweep(SweepArgs),
    /// Measure the gradients of given weights on given data
    Measure(MeasureArgs),
    /// Measure captured activations and cotangents of any network
    Gram(GramArgs),
    /// Write weights as another program reads them, or the examples of a run
    Export(ExportArgs),
    /// Write report.html of a run directory or a sweep's anew
    Report(ReportArgs),
    /// Measure which frequencies and neurons a run has grown, from the weights it kept
    Structure(StructureArgs),
    /// Measure whether samples that agree with the others keep their gradients, from the weights a run kept
    Alignment(AlignmentArgs),
    /// Take the change of traits apart over the training samples, from the weights a run kept
    Selection(SelectionArgs),
    /// Compare two networks: layers, frequencies, weights, predictions
    Compare(CompareArgs),
    /// Begin a new run at a checkpoint of another, with something changed
    Intervene(InterveneArgs),
    /// Try what is said about ntcov and Price's equation on small networks
    Theory(TheoryArgs),
    /// Measure how fast this machine is: bandwidth, matrix rate, every kernel, whole tasks
    Bench(BenchArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TheoryArgs {
    /// Seed of networks and draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

const BENCH_EXAMPLES: &str = "\
Examples:
  gmatrix bench --quick                           half a minute: kernels of preset quick, small tasks
  gmatrix bench --json bench.json                 everything, as a table, bench.json and bench.html
  gmatrix bench --quick --filter 'task/gram'      names of rows: kernel/<preset>/<kernel>, task/<what>

Shares are of the bandwidth of a copy or of the rate of a dense product, whichever limits the row;
both are measured first. docs/benchmarks.md says how.";

#[derive(Debug, Args)]
#[command(after_help = BENCH_EXAMPLES)]
pub(super) struct BenchArgs {
    /// What computes; auto takes CUDA, else a hardware wgpu adapter, else the CPU
    #[arg(long, value_enum, default_value_t)]
    pub backend: BackendArg,
    /// End within 30 seconds
    #[arg(long)]
    pub quick: bool,
    /// Measure the rows whose names match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub filter: Option<String>,
    /// Write JSON as well, and beside it a page with a roofline plot, ending in .html; - is JSON alone, on stdout
    #[arg(long, value_name = "OUT|-")]
    pub json: Option<PathBuf>,
}

const TRAIN_EXAMPLES: &str = "\
Examples:
  gmatrix train --preset nanda                   a named configuration; see docs/presets.md
  gmatrix train my.toml --set optimizer.lr=3e-3  keys of the file over the preset, --set over both
  gmatrix train --set train.stop=never --set train.steps=5000 --out long-run
  gmatrix train --set 'stats.properties=[\"train_loss\",\"log_odds:test:0\"]'
  gmatrix train --print-plan --backend cuda      what would be launched, on any machine

The run directory holds config.toml, metrics.parquet, checkpoints/, run.json and
report.html. Ctrl-C writes a checkpoint and ends; a second Ctrl-C ends at once.
Both, like a crash, can be resumed without a trace in the data.";

#[derive(Debug, Args)]
#[command(after_help = TRAIN_EXAMPLES)]
pub(super) struct TrainArgs {
    /// TOML file with the keys that differ from the preset; with [[stage]] tables, one run for each
    pub config: Option<PathBuf>,
    /// Configuration to start from: quick, nanda, prenorm, grokfast or gromov [default: quick]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Set one key; the value is TOML, or else a string. May be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// New or empty directory for the run [default: runs/<preset>-<seed>, with -2, -3, … if it exists]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in this directory, with its configuration and on its backend
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "preset", "set", "out", "print_plan"])]
    pub resume: Option<PathBuf>,
    /// Print what would be launched, and end
    #[arg(long, conflicts_with = "out")]
    pub print_plan: bool,
    /// At the end, print where the time went: calls, seconds and rates of every kernel
    #[arg(long, conflicts_with = "print_plan")]
    pub profile: bool,
    /// Write the first 100,000 launches for Perfetto or chrome://tracing
    #[arg(long, value_name = "FILE", conflicts_with = "print_plan")]
    pub trace: Option<PathBuf>,
    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
}

const SWEEP_EXAMPLES: &str = "\
Examples:
  gmatrix sweep S.toml --dry-run                 the runs, the packs, memory and time; trains nothing
  gmatrix sweep S.toml                           into sweeps/S
  gmatrix sweep S.toml --resume                  after Ctrl-C, a crash or a power cut; or to help a worker
  gmatrix sweep S.toml --out DIR --shard 2/4     the second of four parts, on any machine that sees DIR
  gmatrix sweep S.toml --slurm 8 --sbatch=--cpus-per-task=16 --wait

Any number of processes may work on one directory: each run is done by one of them. The
directory holds sweep.toml, a run directory for each run, runs.parquet with a row for each
run, and report.html.";

#[derive(Debug, Args)]
#[command(after_help = SWEEP_EXAMPLES)]
pub(super) struct SweepArgs {
    /// What is swept; see docs/sweeps.md
    #[arg(value_name = "SWEEP.toml")]
    pub file: PathBuf,
    /// Directory of the sweep [default: sweeps/<name of the file>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the sweep in that directory, or join the processes that work on it
    #[arg(long)]
    pub resume: bool,
    /// What computes; auto takes CUDA, else a hardware wgpu adapter, else the CPU
    #[arg(long, value_enum, default_value_t)]
    pub backend: BackendArg,
    /// Do part i of n only, from 1; the directory may have been begun by another part
    #[arg(long, value_name = "i/n")]
    pub shard: Option<String>,
    /// Submit a Slurm job array of so many tasks, each of which does a part
    #[arg(long, value_name = "TASKS", conflicts_with = "shard", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub slurm: Option<u32>,
    /// An option for sbatch, as --sbatch=--time=60. May be repeated
    #[arg(long, value_name = "OPTION", requires = "slurm")]
    pub sbatch: Vec<String>,
    /// Wait for the tasks to end, then write the report
    #[arg(long, requires = "slurm")]
    pub wait: bool,
    /// Print the runs, the packs, memory and an estimate of the time, and end
    #[arg(long, conflicts_with_all = ["out", "resume", "slurm"])]
    pub dry_run: bool,
    /// Time all launches, and print at the end where the time went; profile/trace.json is for Perfetto
    #[arg(long, conflicts_with = "dry_run")]
    pub profile: bool,
    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
}

const MEASURE_EXAMPLES: &str = "\
Examples:
  gmatrix measure --weights W.safetensors --data D.safetensors
  gmatrix measure --weights W.safetensors --data D.safetensors --json out.json --gram K.safetensors
  gmatrix measure --weights W.safetensors --data D.safetensors --property loss --property log_odds:0 --json -
  gmatrix measure --weights W.safetensors --data D.safetensors --op add --p 113 --property restricted_loss:14,35

Weights have TransformerLens names, or layers.{l}.W for an MLP. Data are labels [N] with
tokens [N, T] or inputs [N, d]. The given samples are both the batch and the Gram subset.";

#[derive(Debug, Args)]
#[command(after_help = MEASURE_EXAMPLES)]
pub(super) struct MeasureArgs {
    /// Weights of the network
    #[arg(long, value_name = "W.safetensors")]
    pub weights: PathBuf,
    /// Samples to measure
    #[arg(long, value_name = "D.safetensors")]
    pub data: PathBuf,
    /// Property for ntcov: loss, half_norm2, logit:i:c, prob:i:c, log_odds:i, mean_log_odds_train (of all samples),
    /// linear:FILE#name, fourier:k, restricted_loss or restricted_loss:k,…. May be repeated
    #[arg(long, value_name = "NAME")]
    pub property: Vec<String>,
    /// Operation that the data are the complete table of, for fourier and restricted_loss
    #[arg(long, value_enum, requires = "p")]
    pub op: Option<OpArg>,
    /// Its modulus
    #[arg(long, value_name = "P", requires = "op", value_parser = clap::value_parser!(u32).range(2..=4096))]
    pub p: Option<u32>,
    /// Further Gram matrices, by commas: centred_cosine, unit_residual, group, activation, function,
    /// block
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub grams: Vec<String>,
    /// How ranks that need a spectrum are had [default: exact up to 1,024 samples, else not at all]
    #[arg(long, value_enum)]
    pub spectrum: Option<SpectrumArg>,
    /// Random probes of --spectrum lanczos
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..))]
    pub probes: u32,
    /// Loss of a sample
    #[arg(long, value_enum, default_value_t)]
    pub loss: LossArg,
    /// Non-linearity, where the weights do not say [default: relu]
    #[arg(long, value_enum)]
    pub activation: Option<ActivationArg>,
    /// Share of the uniform distribution over the visible positions in every pattern of attention, from 0 to 1
    /// [default: what the weights' metadata say, else 0]
    #[arg(long, value_name = "X", value_parser = share)]
    pub attention_mix: Option<f64>,
    /// Write the Gram matrix, tensor gram [N, N]
    #[arg(long, value_name = "OUT")]
    pub gram: Option<PathBuf>,
    /// Write the gradient of every sample, tensors gradients/<parameter> [N, …]
    #[arg(long, value_name = "OUT")]
    pub per_sample_gradients: Option<PathBuf>,
    /// Write the statistics as JSON; - is stdout [default: a table on stdout]
    #[arg(long, value_name = "OUT|-")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceArgs,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

const GRAM_EXAMPLES: &str = "\
Examples:
  gmatrix gram --sites S.safetensors
  gmatrix gram --sites S.safetensors --json - --gram K.safetensors

A site is a place where a parameter is used. Tensors sites/<name>/a [N, T, d_in] and
sites/<name>/b [N, T, d_out]; or sites/<name>/ids [N, T] and /b; or sites/<name>/g [N, …].
Metadata key sites/<name>/kind: linear, linear_bias, embedding or materialised.
The cotangents b are of the sum of the samples' losses, not of their mean.";

#[derive(Debug, Args)]
#[command(after_help = GRAM_EXAMPLES)]
pub(super) struct GramArgs {
    /// Captured sites
    #[arg(long, value_name = "S.safetensors")]
    pub sites: PathBuf,
    /// Write the Gram matrix, tensor gram [N, N]
    #[arg(long, value_name = "OUT")]
    pub gram: Option<PathBuf>,
    /// Write the statistics as JSON; - is stdout [default: a table on stdout]
    #[arg(long, value_name = "OUT|-")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceArgs,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  gmatrix export --transformer-lens runs/nanda-0 --out W.safetensors
  gmatrix export --transformer-lens W.safetensors --out L.safetensors
  gmatrix export --examples runs/nanda-0 --split train --out D.safetensors

HookedTransformer.load_state_dict(safetensors.torch.load_file(FILE)) then loads the weights;
gmatrix measure --data FILE takes the examples.";

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES, group = ArgGroup::new("what").required(true))]
pub(super) struct ExportArgs {
    /// Run directory, of which the newest checkpoint is taken, or weights of a transformer
    #[arg(long, value_name = "RUN|W.safetensors", group = "what")]
    pub transformer_lens: Option<PathBuf>,
    /// Run directory or configuration, of which the examples are taken: tokens or inputs, labels, rows of the table, and
    /// which labels are noise
    #[arg(long, value_name = "RUN|CONFIG.toml", group = "what")]
    pub examples: Option<PathBuf>,
    /// Which examples; all of them, those that are trained on first
    #[arg(long, value_enum, default_value_t, conflicts_with = "transformer_lens")]
    pub split: SplitArg,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Non-linearity, where the weights do not say [default: relu]
    #[arg(long, value_enum)]
    pub activation: Option<ActivationArg>,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Run directory, or directory of a sweep
    pub dir: PathBuf,
}

const ALIGNMENT_EXAMPLES: &str = "\
Examples:
  gmatrix alignment runs/quick-0
  gmatrix train --set train.weights_every=1 --set train.steps=400 --out dense
  gmatrix alignment dense --lags 1,10,50 --every 10

Writes alignment.parquet, a row for each step t whose weights were kept together with those at
t + k for some lag k, and report.html with its charts. See docs/columns.md.";

#[derive(Debug, Args)]
#[command(after_help = ALIGNMENT_EXAMPLES)]
pub(super) struct AlignmentArgs {
    /// Run directory
    pub dir: PathBuf,
    /// Steps between the two sets of weights, by commas
    #[arg(long, value_name = "K", value_delimiter = ',', default_values_t = [20, 40, 100], value_parser = clap::value_parser!(u64).range(1..))]
    pub lags: Vec<u64>,
    /// Only steps that are multiples of it
    #[arg(long, value_name = "STEPS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Samples of the fixed subset of the training split
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..))]
    pub samples: u32,
    #[command(flatten)]
    pub device: DeviceArgs,
}

const SELECTION_EXAMPLES: &str = "\
Examples:
  gmatrix selection runs/quick-0
  gmatrix selection runs/quick-0 --every 100 --samples 512 --frequency 5

Writes selection.parquet, a row for each step whose weights were kept, and report.html with its
charts. See docs/structure.md.";

#[derive(Debug, Args)]
#[command(after_help = SELECTION_EXAMPLES)]
pub(super) struct SelectionArgs {
    /// Run directory
    pub dir: PathBuf,
    /// Only steps that are multiples of it
    #[arg(long, value_name = "STEPS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Samples of the fixed subset of the training split
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..))]
    pub samples: u32,
    /// A frequency whose phases at the label group the samples as well
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub frequency: Option<u32>,
    #[command(flatten)]
    pub device: DeviceArgs,
}

const STRUCTURE_EXAMPLES: &str = "\
Examples:
  gmatrix structure runs/quick-0
  gmatrix train --preset nanda --set train.weights_every=50 --out dense && gmatrix structure dense

Writes structure.parquet, a row for each step whose weights were kept (train.weights_every, and
every checkpoint), and report.html with its charts. gmatrix train does so at its end. For runs
on a + b, a - b, a * b or a / b modulo p whose splits are the complete table.";

#[derive(Debug, Args)]
#[command(after_help = STRUCTURE_EXAMPLES)]
pub(super) struct StructureArgs {
    /// Run directory
    pub dir: PathBuf,
    #[command(flatten)]
    pub device: DeviceArgs,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  gmatrix compare runs/quick-0 runs/quick-1            the newest checkpoints of two seeds
  gmatrix compare runs/quick-0 runs/quick-0 --step 300 --step-b 1500
  gmatrix compare A.safetensors B.safetensors --data D.safetensors --json -

Both networks see the same examples: those of A's run, or of --data. docs/comparison.md says what
each key means.";

#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub(super) struct CompareArgs {
    /// Run directory, or weights
    pub a: PathBuf,
    /// Run directory, or weights
    pub b: PathBuf,
    /// Step whose weights are taken from run directories [default: the newest checkpoint]
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// The same for B alone
    #[arg(long, value_name = "N")]
    pub step_b: Option<u64>,
    /// Examples to compare on [default: those of A's run]
    #[arg(long, value_name = "D.safetensors")]
    pub data: Option<PathBuf>,
    /// Which examples of A's run
    #[arg(long, value_enum, default_value_t, conflicts_with = "data")]
    pub split: SplitArg,
    /// Most examples for activations and predictions, a fixed subset; frequencies always take the complete table
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(2..))]
    pub samples: u32,
    /// Leading directions between which principal angles are taken
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub directions: u32,
    /// Write JSON; - is stdout [default: a table on stdout]
    #[arg(long, value_name = "OUT|-")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceArgs,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell
    pub shell: Shell,
}

/// Where and how exactly to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub(super) struct DeviceArgs {
    /// What computes; auto takes CUDA, else a hardware wgpu adapter, else the CPU
    #[arg(long, value_enum, default_value_t)]
    pub backend: BackendArg,
    /// Floating-point format; f64 needs cpu or cuda [default: f32 to train, f64 to measure]
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum BackendArg {
    #[default]
    Auto,
    Cuda,
    Wgpu,
    Cpu,
}

impl DeviceArgs {
    /// The precision asked for, or the usual one.
    pub fn precision(self, usual: Precision) -> Precision {
        self.precision.map_or(usual, PrecisionArg::precision)
    }
}

impl BackendArg {
    /// The name that `run.json` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Cpu => "cpu",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionArg {
    F32,
    F64,
}

impl PrecisionArg {
    /// The precision it names.
    pub fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::F64 => Precision::F64,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum SplitArg {
    #[default]
    All,
    Train,
    Test,
}

impl SplitArg {
    /// The split it names; none for both.
    pub fn split(self) -> Option<Split> {
        match self {
            Self::All => None,
            Self::Train => Some(Split::Train),
            Self::Test => Some(Split::Test),
        }
    }
}

/// Operations that add in a cyclic group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OpArg {
    Add,
    Sub,
    Mul,
    Div,
}

impl OpArg {
    /// The operation it names.
    pub fn op(self) -> TaskOp {
        match self {
            Self::Add => TaskOp::Add,
            Self::Sub => TaskOp::Sub,
            Self::Mul => TaskOp::Mul,
            Self::Div => TaskOp::Div,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SpectrumArg {
    /// All eigenvalues
    Exact,
    /// The leading eigenvalues, and estimates with standard errors of the rest
    Lanczos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ActivationArg {
    Relu,
    Gelu,
    Quadratic,
}

impl ActivationArg {
    /// The non-linearity it names.
    pub fn activation(self) -> Activation {
        match self {
            Self::Relu => Activation::Relu,
            Self::Gelu => Activation::Gelu,
            Self::Quadratic => Activation::Quadratic,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum LossArg {
    #[default]
    CrossEntropy,
    CrossEntropyNaive,
    Mse,
    Stablemax,
}

impl LossArg {
    /// The loss it names.
    pub fn kind(self) -> LossKind {
        match self {
            Self::CrossEntropy => LossKind::CrossEntropy,
            Self::CrossEntropyNaive => LossKind::CrossEntropyNaive,
            Self::Mse => LossKind::Mse,
            Self::Stablemax => LossKind::Stablemax,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_declarations_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
