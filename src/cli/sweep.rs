//! `gmatrix sweep SWEEP.toml`

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::SweepArgs;
use super::progress::{LINE_EVERY, clock};
use super::{INTERRUPTED, engine, interrupt, output, slurm};
use crate::error::{Error, Result};
use crate::sweep::{
    How, Pack, Progress, Shard, SweepDirectory, SweepSpec, Watcher, packs, profile_tables, profiles, seconds_per_step,
    work, write_sweep_trace,
};

/// Where sweeps without `--out` go.
const SWEEPS: &str = "sweeps";
/// Runs that a dry run shows at either end of the list.
const SHOWN: usize = 10;

pub(super) fn run(args: &SweepArgs) -> Result<ExitCode> {
    let spec = SweepSpec::read(&args.file)?;
    let shard = args
        .shard
        .as_ref()
        .map(|text| text.parse().map_err(|e| Error::config(format!("--shard {text}: {e}"))))
        .transpose()?;
    if args.dry_run {
        output::print(&plan(&spec, shard)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let out = args.out.clone().unwrap_or_else(|| default_directory(&args.file));
    // What cannot be run leaves no directory behind.
    packs(&spec)?;
    let directory = SweepDirectory::open(&out, &spec, args.resume || shard.is_some())?;
    if let Some(tasks) = args.slurm {
        return by_slurm(args, tasks, &directory, &spec);
    }
    let interrupted = interrupt::flag()?;
    let mut display = Display::new(args.quiet);
    let how = How {
        shard,
        make: &|plan, precision, runs| engine::executor_for(args.backend, &plan, precision, runs),
        profile: args.profile,
    };
    let worked = work(&directory, &spec, how, &mut display, &interrupted);
    display.finish();
    let dir = out.display();
    if !worked? {
        eprintln!("go on with: gmatrix sweep {} --out {dir} --resume", args.file.display());
        return Ok(ExitCode::from(INTERRUPTED));
    }
    engine::sweep_report(&directory, &spec)?;
    if args.profile {
        print_profile(&directory)?;
    }
    let Progress { ended, ended_here, .. } = display.last;
    let runs = if ended == 1 { "run" } else { "runs" };
    output::print(&format!("{dir}: {ended} {runs} ended, {ended_here} of them here\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints where the time of all workers so far went, and writes their trace.
fn print_profile(directory: &SweepDirectory) -> Result<()> {
    let profiles = profiles(directory)?;
    let trace = write_sweep_trace(directory, &profiles)?;
    output::print(&format!("{}\ntrace: {}\n", profile_tables(&profiles), trace.display()))
}

/// Leaves the runs to a job array.
fn by_slurm(args: &SweepArgs, tasks: u32, directory: &SweepDirectory, spec: &SweepSpec) -> Result<ExitCode> {
    slurm::submit(args, tasks, directory)?;
    if !args.wait {
        return Ok(ExitCode::SUCCESS);
    }
    let dir = directory.path();
    let ended = engine::sweep_report(directory, spec)?;
    if ended < spec.runs.len() {
        return Err(Error::io(
            dir,
            format!(
                "{ended} of {} runs have ended; the tasks' words are in slurm/, and --resume with the same flags goes on",
                spec.runs.len()
            ),
        ));
    }
    if args.profile {
        print_profile(directory)?;
    }
    output::print(&format!("{}: {ended} runs ended\n", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn default_directory(file: &Path) -> PathBuf {
    Path::new(SWEEPS).join(file.file_stem().unwrap_or_default())
}

/// The runs, what trains side by side, and what that takes.
fn plan(spec: &SweepSpec, shard: Option<Shard>) -> Result<String> {
    let mut rows = vec![
        ["run".to_owned()]
            .into_iter()
            .chain(spec.axes.iter().cloned())
            .collect(),
    ];
    let ours: Vec<_> = spec
        .runs
        .iter()
        .filter(|run| shard.is_none_or(|shard| shard.has(run.number)))
        .collect();
    for (k, run) in ours.iter().enumerate() {
        if k == SHOWN && ours.len() > 2 * SHOWN {
            rows.push(vec![format!("… {} more", ours.len() - 2 * SHOWN)]);
        }
        if k < SHOWN || k + SHOWN >= ours.len() {
            let values = spec.axes.iter().map(|axis| run.value(axis));
            rows.push([run.number.to_string()].into_iter().chain(values).collect());
        }
    }
    let mut text = output::table(&rows);
    if spec.skipped > 0 {
        text += &format!("left out by [[skip]]: {}\n", spec.skipped);
    }
    text += "\n";
    let threads = rayon::current_num_threads();
    let mut rows = vec![
        [
            "pack",
            "runs",
            "side by side",
            "memory, MB",
            "steps at most",
            "s/step",
            "hours at most",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mut total = 0.0;
    for (k, pack) in packs(spec)?.iter().enumerate() {
        let mut pack = pack.clone();
        pack.runs.retain(|number| shard.is_none_or(|shard| shard.has(*number)));
        if pack.runs.is_empty() {
            continue;
        }
        let (row, hours) = plan_of(spec, &pack, k, threads)?;
        rows.push(row);
        total += hours;
    }
    text += &output::table(&rows);
    text += &format!(
        "\n{} runs; about {total:.3} hours at most on {threads} threads, by a few steps of one run of each pack; \
         runs that stop early take less\n",
        ours.len()
    );
    Ok(text)
}

fn plan_of(spec: &SweepSpec, pack: &Pack, k: usize, threads: usize) -> Result<(Vec<String>, f64)> {
    let steps: u64 = pack
        .runs
        .iter()
        .map(|number| u64::from(spec.runs[*number as usize].config.train.steps))
        .sum();
    let seconds = seconds_per_step(spec, pack)?;
    let slots = pack.slots(spec.pack);
    let hours = steps as f64 * seconds / threads.min(pack.runs.len()) as f64 / 3600.0;
    let row = vec![
        k.to_string(),
        pack.runs.len().to_string(),
        slots.to_string(),
        format!("{:.1}", (slots * pack.bytes) as f64 / 1e6),
        steps.to_string(),
        format!("{seconds:.2e}"),
        format!("{hours:.3}"),
    ];
    Ok((row, hours))
}

/// Shows progress on stderr: a bar on a terminal, else a line every few seconds.
struct Display {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    begun: Instant,
    told: Option<Instant>,
    last: Progress,
}

impl Display {
    fn new(is_quiet: bool) -> Self {
        let bar = (!is_quiet && io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{bar:24} {msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            is_quiet,
            begun: Instant::now(),
            told: None,
            last: Progress::default(),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn text(&self) -> String {
        let Progress {
            runs,
            ended,
            training,
            steps,
            ..
        } = self.last;
        let seconds = self.begun.elapsed();
        let rate = steps as f64 / seconds.as_secs_f64();
        format!(
            "{ended} of {runs} runs ended, {training} training  {rate:.0} steps/s  {}",
            clock(Duration::from_secs(seconds.as_secs()))
        )
    }
}

impl Watcher for Display {
    fn progress(&mut self, progress: &Progress) {
        self.last = *progress;
        if let Some(bar) = &self.bar {
            bar.set_length(progress.runs as u64);
            bar.set_position(progress.ended as u64);
            bar.set_message(self.text());
        } else if !self.is_quiet && self.told.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.told = Some(Instant::now());
            eprintln!("{}", self.text());
        }
    }
}
