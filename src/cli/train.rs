//! `gmatrix train`

use std::path::Path;
use std::process::ExitCode;

use super::args::{BackendArg, DeviceArgs, PrecisionArg, TrainArgs};
use super::progress::Progress;
use super::{FAILED, INTERRUPTED, engine, interrupt, output, stages};
use crate::config::{Config, Layers, Preset};
use crate::error::{Error, Result};
use crate::record::{EndReason, Resumed, Run, RunDirectory, RunInfo, record};

/// Where runs without `--out` go.
pub(super) const RUNS: &str = "runs";

pub(super) fn run(args: &TrainArgs) -> Result<ExitCode> {
    let code = match &args.resume {
        Some(dir) if stages::is_at(dir) => stages::go_on(dir, args),
        Some(dir) => resume(dir, args),
        None => start(args),
    };
    code.map(ExitCode::from)
}

fn start(args: &TrainArgs) -> Result<u8> {
    let (name, configs) = configurations(args)?;
    let config = &configs[0];
    if args.print_plan {
        output::print(&engine::plan_table(config, args.device)?)?;
        return Ok(0);
    }
    let name = format!("{name}-{}", config.task.seed);
    if configs.len() > 1 {
        return stages::start(&name, &configs, args);
    }
    begin(config, args, || match &args.out {
        Some(out) => RunDirectory::create(out, config),
        None => RunDirectory::create_numbered(Path::new(RUNS), &name, config),
    })
}

/// A run in a new directory.
pub(super) fn start_in(out: &Path, config: &Config, args: &TrainArgs) -> Result<u8> {
    begin(config, args, || RunDirectory::create(out, config))
}

fn begin(config: &Config, args: &TrainArgs, directory: impl FnOnce() -> Result<RunDirectory>) -> Result<u8> {
    // First the run, then its directory: what the device cannot do leaves no directory behind.
    let (mut run, timings) = engine::open_run(config, args.device, args)?;
    let directory = directory()?;
    let info = RunInfo {
        seed: config.task.seed,
        ..RunInfo::default()
    };
    let code = go_on(run.as_mut(), &directory, config, info, args)?;
    timings.finish(args)?;
    Ok(code)
}

/// Goes on with the run in a directory.
pub(super) fn resume(dir: &Path, args: &TrainArgs) -> Result<u8> {
    let found = match RunDirectory::resume(dir)? {
        Resumed::Finished(info) => {
            if !dir.join("report.html").exists() {
                engine::report(dir)?;
            }
            output::print(&format!("{}: is finished: {}\n", dir.display(), summary(&info)))?;
            return Ok(0);
        }
        Resumed::Unfinished(found) => found,
    };
    let device = same_device(args.device, &found.info)?;
    let (mut run, timings) = engine::open_run(&found.config, device, args)?;
    if let Some(checkpoint) = &found.checkpoint {
        run.restore(&checkpoint.state)?;
        tracing::info!("resumed at step {}", checkpoint.step);
    }
    let code = go_on(run.as_mut(), &found.directory, &found.config, found.info, args)?;
    timings.finish(args)?;
    Ok(code)
}

fn go_on(run: &mut dyn Run, directory: &RunDirectory, config: &Config, info: RunInfo, args: &TrainArgs) -> Result<u8> {
    let interrupted = interrupt::flag()?;
    let mut progress = Progress::new(args.quiet);
    let recorded = record(run, directory, &config.train, info, &mut progress, &interrupted);
    progress.finish();
    let info = recorded?;
    let dir = directory.path().display();
    output::print(&format!("{dir}: {}\n", summary(&info)))?;
    let reason = info.ended.map(|ended| ended.reason);
    if reason == Some(EndReason::Interrupted) {
        eprintln!("go on with: gmatrix train --resume {dir}");
        return Ok(INTERRUPTED);
    }
    if config.train.weights_every > 0 && config.task.op.is_modular() {
        // What the run recorded does not depend on it, and the report is due in any case.
        if let Err(why) = engine::structure(directory.path(), args.device) {
            tracing::warn!("no structure: {why}");
        }
    }
    engine::report(directory.path())?;
    Ok(match reason {
        Some(EndReason::Diverged) => FAILED,
        _ => 0,
    })
}

/// The configurations of all stages, mostly one, and the name for their directory: that of the preset, or of the file where
/// no preset is named.
fn configurations(args: &TrainArgs) -> Result<(String, Vec<Config>)> {
    let preset = match &args.preset {
        Some(name) => name
            .parse()
            .map_err(|e| Error::config(format!("--preset {name}: {e}")))?,
        None => Preset::default(),
    };
    let layers = Layers::new(preset);
    let stages = match &args.config {
        Some(path) => layers.file_in_stages(path)?,
        None => vec![layers],
    };
    let built = stages.into_iter().map(|stage| {
        let set = |layers: Layers, setting: &String| layers.set(setting);
        args.set.iter().try_fold(stage, set)?.build()
    });
    let configs = built.collect::<Result<Vec<_>>>()?;
    let stem = args
        .config
        .as_ref()
        .filter(|_| args.preset.is_none())
        .and_then(|path| path.file_stem());
    let name = stem.map_or_else(|| preset.to_string(), |stem| stem.to_string_lossy().into_owned());
    Ok((name, configs))
}

/// A run goes on where it began: another backend or precision would give other numbers from there on.
fn same_device(asked: DeviceArgs, info: &RunInfo) -> Result<DeviceArgs> {
    let recorded_backend = match info.backend.as_str() {
        "cuda" => BackendArg::Cuda,
        "wgpu" => BackendArg::Wgpu,
        "cpu" => BackendArg::Cpu,
        // Killed before the first run.json: nothing is measured yet, any device will do.
        _ => return Ok(asked),
    };
    let recorded_precision = if info.precision == "f64" {
        PrecisionArg::F64
    } else {
        PrecisionArg::F32
    };
    if asked.backend != BackendArg::Auto && asked.backend != recorded_backend {
        return Err(Error::config(format!(
            "--backend {}: the run was started with {}; leave the flag out to go on there",
            asked.backend.name(),
            info.backend
        )));
    }
    if let Some(precision) = asked.precision.filter(|precision| *precision != recorded_precision) {
        return Err(Error::config(format!(
            "--precision {}: the run was started with {}; leave the flag out to go on so",
            precision.precision().name(),
            info.precision
        )));
    }
    Ok(DeviceArgs {
        backend: recorded_backend,
        precision: Some(recorded_precision),
    })
}

/// How a run ended, in a line.
fn summary(info: &RunInfo) -> String {
    let mut text = match info.ended {
        Some(ended) => match ended.reason {
            EndReason::Steps => format!("all {} steps made", ended.step),
            EndReason::Grokked => format!("grokked, ended at step {}", ended.step),
            EndReason::Diverged => format!("diverged at step {}; the last finite weights are kept", ended.step),
            EndReason::Interrupted => format!("interrupted at step {}", ended.step),
        },
        None => format!("at step {}", info.step),
    };
    for (what, step) in [("memorised", info.memorised_step), ("grokked", info.grokked_step)] {
        if let Some(step) = step {
            text += &format!(", {what} at {step}");
        }
    }
    text + &format!(
        " ({:.0} steps/s on {} {})",
        info.timings.steps_per_second, info.backend, info.device
    )
}
