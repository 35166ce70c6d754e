//! What training side by side gains on the CPU: steps a second of 32 small runs in one pack, against one run on one thread
//! and against runs one after another on all threads.
//!
//! `cargo run --release --example packs`

use std::time::Instant;

use gmatrix::Result;
use gmatrix::backend::{Precision, cpu_executor_for};
use gmatrix::config::{Config, Layers, Preset};
use gmatrix::trainer::{Experiment, Trainer};

const RUNS: usize = 32;
const CHUNKS: usize = 6;

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
    let mut best = [0.0f64; 3];
    for _ in 0..3 {
        best[0] = best[0].max(one.install(|| steps_per_second(&config, 1))?);
        best[1] = best[1].max(steps_per_second(&config, 1)?);
        best[2] = best[2].max(steps_per_second(&config, RUNS)?);
    }
    let [alone, in_turn, packed] = best;
    println!("one run on one thread              {alone:8.0} steps/s");
    println!("runs one after another, {threads} threads {in_turn:8.0} steps/s");
    println!("{RUNS} runs in a pack, {threads} threads      {packed:8.0} steps/s");
    println!(
        "a pack over {threads} times one thread: {:.2}; over runs one after another: {:.2}",
        packed / (threads as f64 * alone),
        packed / in_turn
    );
    Ok(())
}

/// Steps a second of so many runs side by side, all together, without their first chunk.
fn steps_per_second(config: &Config, runs: usize) -> Result<f64> {
    let program = Experiment::new(config)?.program()?;
    let executor = cpu_executor_for(program.plan.clone(), Precision::F32, runs)?;
    let mut trainer = Trainer::new(program, executor, runs);
    for slot in 0..runs {
        let mut config = config.clone();
        config.task.seed = slot as u64;
        trainer.fill(slot, slot as u32, &Experiment::new(&config)?)?;
    }
    trainer.run_chunk(50)?;
    let begin = Instant::now();
    let mut made = 0;
    // As many steps for one run as for many, so that both are timed over a while.
    for _ in 0..CHUNKS * RUNS.div_ceil(4 * runs) {
        trainer.run_chunk(50)?;
        made += 50 * runs;
    }
    Ok(made as f64 / begin.elapsed().as_secs_f64())
}
