//! A training loop of one's own, which looks at the run as it goes: `cargo run --release --example custom_loop`
//!
//! It trains two runs side by side that differ in their weight decay, prints what their gradients do, and stops as soon
//! as one of them generalises.

use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::config::{Config, Preset};
use gmatrix::trainer::{Experiment, Trainer};

fn main() -> gmatrix::Result<()> {
    let decays = [1.0, 0.3];
    let experiments = decays
        .iter()
        .map(|decay| {
            let mut config: Config = Preset::Quick.config();
            (config.task.p, config.optimizer.weight_decay) = (31, (*decay).into());
            Experiment::new(&config)
        })
        .collect::<gmatrix::Result<Vec<_>>>()?;

    let program = experiments[0].program()?;
    let executor = CpuExecutor::<f32>::new(program.plan.clone(), experiments.len())?;
    let mut trainer = Trainer::new(program, Box::new(executor), experiments.len());
    for (slot, experiment) in experiments.iter().enumerate() {
        trainer.fill(slot, slot as u32, experiment)?;
    }
    let column = |trainer: &Trainer, name: &str| trainer.columns().iter().position(|known| known == name);
    let (loss, rank) = (column(&trainer, "test_loss"), column(&trainer, "raw.erank_sigma"));
    let (Some(loss), Some(rank)) = (loss, rank) else {
        return Err(gmatrix::Error::config(
            "the plan measures neither test loss nor effective rank",
        ));
    };

    for _ in 0..40 {
        for row in trainer.run_chunk(50)? {
            if row.values[loss].is_finite() && row.values[rank].is_finite() {
                let (decay, loss, rank) = (decays[row.run as usize], row.values[loss], row.values[rank]);
                println!(
                    "weight decay {decay}, step {:5}: test loss {loss:7.3}, effective rank {rank:6.1}",
                    row.step
                );
            }
        }
        let grokked = (0..decays.len()).find(|slot| trainer.status(*slot).is_some_and(|run| run.grokked.is_some()));
        if let Some(slot) = grokked {
            println!("weight decay {} has grokked", decays[slot]);
            break;
        }
    }
    Ok(())
}
