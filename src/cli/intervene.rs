//! `gmatrix intervene ARM RUN`

use std::process::ExitCode;

use super::intervene_args::{AblateArgs, ArmArgs, BranchArgs, InjectArgs, InterveneArgs};
use super::{engine, output};
use crate::error::{Error, Result};
use crate::intervention::{Ablation, Arm, Donor, Injection, Request, ScaleTo, Selection, Target, layer_and_index};

pub(super) fn run(args: &InterveneArgs) -> Result<ExitCode> {
    let branch = branch_of(&args.arm);
    let request = Request {
        from: &branch.from,
        step: branch.step,
        out: &branch.out,
        settings: &branch.set,
        arguments: std::env::args().skip(1).collect(),
    };
    let found = engine::intervene(&arm(&args.arm)?, &request)?;
    let out = branch.out.display();
    output::print(&format!(
        "{out}: begins at step {} of {}; {} of {} weights changed, by a distance of {:.6}\n",
        found.step,
        branch.from.display(),
        found.changed,
        found.parameters,
        found.distance
    ))?;
    eprintln!("go on with: gmatrix train --resume {out}");
    Ok(ExitCode::SUCCESS)
}

fn branch_of(arm: &ArmArgs) -> &BranchArgs {
    match arm {
        ArmArgs::Set(args) | ArmArgs::DecayOnly(args) => &args.branch,
        ArmArgs::Transplant(args) => &args.branch,
        ArmArgs::Inject(args) => &args.branch,
        ArmArgs::Ablate(args) => &args.branch,
        ArmArgs::FreezeNorm(args) => &args.branch,
        ArmArgs::Noise(args) => &args.branch,
        ArmArgs::Scale(args) => &args.branch,
        ArmArgs::Rewind(args) => &args.branch,
        ArmArgs::ResetMoments(args) => &args.branch,
        ArmArgs::ShuffleMoments(args) => &args.branch,
    }
}

fn arm(args: &ArmArgs) -> Result<Arm> {
    Ok(match args {
        ArmArgs::Set(_) => Arm::Set,
        ArmArgs::DecayOnly(_) => Arm::DecayOnly,
        ArmArgs::Transplant(args) => {
            if args.selection.is_empty() {
                return Err(Error::config(
                    "transplant: nothing is chosen, expected --tensors or --groups",
                ));
            }
            Arm::Transplant {
                donor: args.donor.donor(),
                selection: args.selection.selection(),
                moments: args.moments.moments(),
            }
        }
        ArmArgs::Inject(args) => Arm::Inject(injection(args)),
        ArmArgs::Ablate(args) => Arm::Ablate(ablation(args)?),
        ArmArgs::FreezeNorm(args) => Arm::FreezeNorm(args.of.regions()),
        ArmArgs::Noise(args) => Arm::Noise {
            scale: args.scale,
            selection: args.selection.selection(),
            seed: args.seed,
        },
        ArmArgs::Scale(args) => Arm::Scale {
            to: match (&args.norms_of, args.factor) {
                (Some(path), _) => ScaleTo::NormsOf(Donor {
                    path: path.clone(),
                    step: args.donor_step,
                }),
                (None, factor) => ScaleTo::Factor(factor.unwrap_or(1.0)),
            },
            selection: args.selection.selection(),
        },
        ArmArgs::Rewind(args) => Arm::Rewind {
            step: args.to,
            selection: args.selection.selection(),
            moments: args.moments.moments(),
        },
        ArmArgs::ResetMoments(args) => Arm::ResetMoments(args.selection.selection()),
        ArmArgs::ShuffleMoments(args) => Arm::ShuffleMoments {
            selection: args.selection.selection(),
            seed: args.seed,
        },
    })
}

fn injection(args: &InjectArgs) -> Injection {
    Injection {
        donor: args.donor.donor(),
        frequencies: args.frequencies.clone(),
        parts: args.parts.iter().map(|part| part.part()).collect(),
        neurons: args.neurons.unwrap_or(usize::MAX),
        control: args.control.control(),
        moments: args.moments.moments(),
        seed: args.seed,
    }
}

fn ablation(args: &AblateArgs) -> Result<Ablation> {
    let places = |flag: &str, texts: &[String]| -> Result<Vec<(usize, usize)>> {
        let parsed = texts.iter().map(|text| layer_and_index(text));
        parsed
            .collect::<Result<_>>()
            .map_err(|e| Error::config(format!("--{flag} {e}")))
    };
    let target = if let Some(purity) = args.purity_below {
        Target::Impure(purity)
    } else if !args.frequencies.is_empty() {
        Target::Frequencies(args.frequencies.clone())
    } else if !args.keep_frequencies.is_empty() {
        Target::OtherFrequencies(args.keep_frequencies.clone())
    } else if !args.clusters.is_empty() {
        Target::Clusters(args.clusters.clone())
    } else if !args.neurons.is_empty() {
        Target::Neurons(places("neurons", &args.neurons)?)
    } else if !args.heads.is_empty() {
        Target::Heads(places("heads", &args.heads)?)
    } else {
        Target::Tensors(Selection {
            tensors: args.tensors.clone(),
            groups: Vec::new(),
        })
    };
    Ok(Ablation {
        target,
        by: args.by.by(),
        random: args.random,
        seed: args.seed,
        moments: args.moments.moments(),
    })
}
