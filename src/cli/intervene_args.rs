//! The flags of `gmatrix intervene`, arm by arm.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::config::Regions;
use crate::intervention::{By, Control, Donor, Moments, Part, Selection};

const INTERVENE_EXAMPLES: &str = "\
Examples:
  gmatrix train --set train.checkpoint_every=100         states to branch from, in runs/quick-0
  gmatrix intervene set runs/quick-0 --step 500 --set optimizer.weight_decay=0.3 --out b
  gmatrix intervene ablate runs/quick-0 --purity-below 0.5 --out pruned
  gmatrix intervene inject runs/quick-0 --step 200 --donor runs/quick-1 --parts neurons,embedding --out c
  gmatrix train --resume b

Each arm makes a new run directory that begins at a checkpoint of another run; what the arm does not
name stays as it was, so that branches of one checkpoint are paired. run.json says where it came from.
docs/interventions.md says what each arm does.";

/// What to change.
#[derive(Debug, Args)]
#[command(after_help = INTERVENE_EXAMPLES)]
pub(super) struct InterveneArgs {
    #[command(subcommand)]
    pub arm: ArmArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ArmArgs {
    /// Change settings alone (nothing, for a control): optimiser, pressures, data, schedules
    Set(SetArgs),
    /// Copy tensors of another network
    Transplant(TransplantArgs),
    /// Copy neurons and Fourier components of another network
    Inject(InjectArgs),
    /// Take out frequencies, neurons, heads or tensors
    Ablate(AblateArgs),
    /// Hold the norm from here on at what it is
    FreezeNorm(FreezeNormArgs),
    /// Add Gaussian noise to weights
    Noise(NoiseArgs),
    /// Turn the gradient off: updates by weight decay alone
    DecayOnly(SetArgs),
    /// Scale weights
    Scale(ScaleArgs),
    /// Take weights back to an earlier step of the run
    Rewind(RewindArgs),
    /// Set the optimiser's moments to zero
    ResetMoments(ResetMomentsArgs),
    /// Permute the optimiser's moments within each tensor
    ShuffleMoments(ShuffleMomentsArgs),
}

/// Where a branch begins and ends up.
#[derive(Debug, Args)]
pub(super) struct BranchArgs {
    /// Run directory of the parent
    pub from: PathBuf,
    /// Step of one of its checkpoints [default: the newest]
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// New or empty directory
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Set one key from here on; the value is TOML, or else a string. May be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
}

/// Which weights; all without.
#[derive(Debug, Args)]
pub(super) struct TensorsArgs {
    /// Tensors by the names that files have for them, by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub tensors: Vec<String>,
    /// Groups of tensors, by commas: embed, position, attention, mlp, unembed, norm, bias
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub groups: Vec<String>,
}

impl TensorsArgs {
    /// What they select.
    pub fn selection(&self) -> Selection {
        Selection {
            tensors: self.tensors.clone(),
            groups: self.groups.clone(),
        }
    }

    /// Whether they name anything.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty() && self.groups.is_empty()
    }
}

/// Another network.
#[derive(Debug, Args)]
pub(super) struct DonorArgs {
    /// Run directory, or weights, of the donor
    #[arg(long, value_name = "RUN|W.safetensors")]
    pub donor: PathBuf,
    /// Step of the donor's run [default: the newest checkpoint]
    #[arg(long, value_name = "N")]
    pub donor_step: Option<u64>,
}

impl DonorArgs {
    /// Whom they name.
    pub fn donor(&self) -> Donor {
        Donor {
            path: self.donor.clone(),
            step: self.donor_step,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct TransplantArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    #[command(flatten)]
    pub donor: DonorArgs,
    #[command(flatten)]
    pub selection: TensorsArgs,
    /// Moments of the weights that are replaced
    #[arg(long, value_enum, default_value_t)]
    pub moments: MomentsArg,
}

#[derive(Debug, Args)]
pub(super) struct InjectArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    #[command(flatten)]
    pub donor: DonorArgs,
    /// Frequencies, by commas [default: all key frequencies of the donor]
    #[arg(long, value_name = "K", value_delimiter = ',')]
    pub frequencies: Vec<usize>,
    /// What is copied, by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [PartArg::Neurons])]
    pub parts: Vec<PartArg>,
    /// Most neurons, the strongest first [default: all of these frequencies]
    #[arg(long, value_name = "N")]
    pub neurons: Option<usize>,
    /// What the neurons are
    #[arg(long, value_enum, default_value_t)]
    pub control: ControlArg,
    /// Moments of the weights that are replaced; donor is for transplants
    #[arg(long, value_enum, default_value_t)]
    pub moments: MomentsArg,
    /// Seed of random directions and places
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).multiple(false))]
pub(super) struct AblateArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    /// Take these frequencies out of embedding and unembedding, by commas
    #[arg(long, value_name = "K", value_delimiter = ',', group = "target")]
    pub frequencies: Vec<usize>,
    /// Take all other frequencies out of embedding and unembedding
    #[arg(long, value_name = "K", value_delimiter = ',', group = "target")]
    pub keep_frequencies: Vec<usize>,
    /// Take out hidden neurons layer:index, by commas
    #[arg(long, value_name = "L:I", value_delimiter = ',', group = "target")]
    pub neurons: Vec<String>,
    /// Take out the neurons of these frequencies, by commas
    #[arg(long, value_name = "K", value_delimiter = ',', group = "target")]
    pub clusters: Vec<usize>,
    /// Take out the neurons with a purity below this
    #[arg(long, value_name = "X", group = "target")]
    pub purity_below: Option<f64>,
    /// Take out heads of attention block:head, by commas
    #[arg(long, value_name = "L:H", value_delimiter = ',', group = "target")]
    pub heads: Vec<String>,
    /// Take out tensors by the names that files have for them, by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', group = "target")]
    pub tensors: Vec<String>,
    /// What stands in the place of neurons
    #[arg(long, value_enum, default_value_t)]
    pub by: ByArg,
    /// Instead, take out random other neurons whose norms add up to those of the target
    #[arg(long)]
    pub random: bool,
    /// Seed of that choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Moments of the weights that are taken out; donor is for transplants
    #[arg(long, value_enum, default_value_t)]
    pub moments: MomentsArg,
}

#[derive(Debug, Args)]
pub(super) struct FreezeNormArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    /// Whose norm: each tensor's, or that of all weights
    #[arg(long, value_enum, default_value_t)]
    pub of: RegionsArg,
}

#[derive(Debug, Args)]
pub(super) struct NoiseArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    /// Expected norm of the noise over that of each tensor
    #[arg(long, value_name = "X", value_parser = not_negative)]
    pub scale: f64,
    #[command(flatten)]
    pub selection: TensorsArgs,
    /// Seed of the noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("to").required(true).multiple(false))]
pub(super) struct ScaleArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    /// Factor on every weight
    #[arg(long, value_name = "X", group = "to", value_parser = not_negative)]
    pub factor: Option<f64>,
    /// Run directory, or weights, whose norms each tensor gets
    #[arg(long, value_name = "RUN|W.safetensors", group = "to")]
    pub norms_of: Option<PathBuf>,
    /// Step of that run [default: the newest checkpoint]
    #[arg(long, value_name = "N", requires = "norms_of")]
    pub donor_step: Option<u64>,
    #[command(flatten)]
    pub selection: TensorsArgs,
}

#[derive(Debug, Args)]
pub(super) struct RewindArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    /// Earlier step whose weights the run kept; 0 for the initial weights
    #[arg(long, value_name = "STEP")]
    pub to: u64,
    #[command(flatten)]
    pub selection: TensorsArgs,
    /// Moments of the weights that are replaced; donor is for transplants
    #[arg(long, value_enum, default_value_t)]
    pub moments: MomentsArg,
}

#[derive(Debug, Args)]
pub(super) struct ResetMomentsArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    #[command(flatten)]
    pub selection: TensorsArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShuffleMomentsArgs {
    #[command(flatten)]
    pub branch: BranchArgs,
    #[command(flatten)]
    pub selection: TensorsArgs,
    /// Seed of the permutations
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0);
    number.ok_or_else(|| "expected a number of at least 0".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum MomentsArg {
    /// They stay as they are
    #[default]
    Keep,
    /// They begin at zero
    Zero,
    /// They come with the weights
    Donor,
}

impl MomentsArg {
    /// What it names.
    pub fn moments(self) -> Moments {
        match self {
            Self::Keep => Moments::Keep,
            Self::Zero => Moments::Zero,
            Self::Donor => Moments::Donor,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PartArg {
    /// Neurons in the clusters of the frequencies
    Neurons,
    /// The embedding's components at the frequencies
    Embedding,
    /// All of attention
    Attention,
    /// The unembedding's components at the frequencies
    Unembedding,
}

impl PartArg {
    /// What it names.
    pub fn part(self) -> Part {
        match self {
            Self::Neurons => Part::Neurons,
            Self::Embedding => Part::Embedding,
            Self::Attention => Part::Attention,
            Self::Unembedding => Part::Unembedding,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ControlArg {
    /// The donor's
    #[default]
    Donor,
    /// The donor's, with outputs exchanged among neurons of one frequency
    Shuffled,
    /// Random directions with the norms of the donor's
    Random,
    /// Zero: only what they overwrite is lost
    Empty,
}

impl ControlArg {
    /// What it names.
    pub fn control(self) -> Control {
        match self {
            Self::Donor => Control::Donor,
            Self::Shuffled => Control::Shuffled,
            Self::Random => Control::Random,
            Self::Empty => Control::Empty,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ByArg {
    /// Nothing
    #[default]
    Zero,
    /// Their mean activation over the training split
    Mean,
}

impl ByArg {
    /// What it names.
    pub fn by(self) -> By {
        match self {
            Self::Zero => By::Zero,
            Self::Mean => By::Mean,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum RegionsArg {
    #[default]
    Global,
    Tensor,
}

impl RegionsArg {
    /// What it names.
    pub fn regions(self) -> Regions {
        match self {
            Self::Global => Regions::Global,
            Self::Tensor => Regions::Tensor,
        }
    }
}
