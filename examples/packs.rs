//! What training side by side gains on the CPU: steps a second of 32 small runs in one pack, against one run on one thread
//! and against runs one after another on all threads. Steps a second of CPU time tell what a step costs on a machine that
//! does something else as well (Linux only).
//!
//! `cargo run --release --example packs`

use std::fs;
use std::time::Instant;

use gmatrix::Result;
use gmatrix::backend::{Precision, cpu_executor_for};
use gmatrix::config::{Config, Layers, Preset};
use gmatrix::trainer::{Experiment, Trainer};

const RUNS: usize = 32;
const CHUNKS: usize = 2;

/// Steps a second, of time and of CPU time.
#[derive(Clone, Copy, Default)]
struct Rate {
    wall: f64,
    cpu: f64,
}

fn main() -> Result<()> {
    let mut layers = Layers::new(Preset::Quick);
    for setting in ["task.p=31", "model.d_model=32", "model.d_mlp=128", "train.stop=never"] {
        layers = layers.set(setting)?;
    }
    let config = layers.build()?;
    let threads = rayon::current_num_threads();
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    // Turn by turn, so that what else the machine does falls on all alike.
    let mut best = [Rate::default(); 3];
    for _ in 0..3 {
        let found = [
            one.install(|| rate(&config, 1))?,
            rate(&config, 1)?,
            rate(&config, RUNS)?,
        ];
        for (best, found) in best.iter_mut().zip(found) {
            best.wall = best.wall.max(found.wall);
            best.cpu = best.cpu.max(found.cpu);
        }
    }
    let [alone, in_turn, packed] = best;
    for (what, rate) in [
        ("one run on one thread".to_owned(), alone),
        (format!("runs one after another, {threads} threads"), in_turn),
        (format!("{RUNS} runs in a pack, {threads} threads"), packed),
    ] {
        println!(
            "{what:38} {:6.0} steps/s  {:6.0} steps a CPU second",
            rate.wall, rate.cpu
        );
    }
    println!(
        "a pack over {threads} times one thread: {:.2}; over runs one after another: {:.2}; a CPU second over one of one thread: {:.2}",
        packed.wall / (threads as f64 * alone.wall),
        packed.wall / in_turn.wall,
        packed.cpu / alone.cpu
    );
    Ok(())
}

/// Steps of so many runs side by side, all together, without their first chunk.
fn rate(config: &Config, runs: usize) -> Result<Rate> {
    let program = Experiment::new(config)?.program()?;
    let executor = cpu_executor_for(program.plan.clone(), Precision::F32, runs)?;
    let mut trainer = Trainer::new(program, executor, runs);
    for slot in 0..runs {
        let mut config = config.clone();
        config.task.seed = slot as u64;
        trainer.fill(slot, slot as u32, &Experiment::new(&config)?)?;
    }
    trainer.run_chunk(50)?;
    let (begin, cpu_begin) = (Instant::now(), cpu_seconds());
    // More steps of one run than of each of many, so that both are timed over a while.
    let chunks = CHUNKS * RUNS.div_ceil(4 * runs);
    for _ in 0..chunks {
        trainer.run_chunk(50)?;
    }
    let made = (chunks * 50 * runs) as f64;
    Ok(Rate {
        wall: made / begin.elapsed().as_secs_f64(),
        cpu: made / (cpu_seconds() - cpu_begin),
    })
}

/// CPU time of this process so far, in ticks of a hundredth of a second; NaN where the system does not say.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    // User and system time are the 14th and 15th field, of which two stand before the bracket.
    let ticks: Vec<f64> = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|x| x.parse().ok())
        .collect();
    if ticks.len() == 2 {
        (ticks[0] + ticks[1]) / 100.0
    } else {
        f64::NAN
    }
}
