//! A run is the same to the bit alone, in any slot, beside any neighbour, on any number of threads, in any chunks, and
//! stopped and restored.

use gmatrix::backend::{Precision, Values};
use gmatrix::config::{Config, LossKind, MlpInput, OptimizerKind, Regions};
use gmatrix::model::Layout;
use gmatrix::record::{EndReason, Run, TensorSet};
use gmatrix::trainer::{Experiment, RecordedRun};

use crate::support::{
    PRECISIONS, Trace, alone, experiment, finish, minibatch, mlp, shaped, trace, trainer, transformer,
};

fn cases() -> [(&'static str, Experiment); 4] {
    [
        ("transformer", experiment(&transformer())),
        ("minibatch", experiment(&minibatch())),
        ("mlp", experiment(&mlp())),
        ("shaped", experiment(&shaped())),
    ]
}

fn each(mut test: impl FnMut(&str, &Experiment, Precision, &Trace, &[String])) {
    for (name, experiment) in cases() {
        for precision in PRECISIONS {
            let (expected, columns) = alone(&experiment, precision);
            assert_eq!(expected.rows.len(), 24, "{name}: a row at every step");
            assert_eq!(expected.status.end, Some(EndReason::Steps));
            test(
                &format!("{name} {precision:?}"),
                &experiment,
                precision,
                &expected,
                &columns,
            );
        }
    }
}

/// The same kind of run with another seed, learning rate and weight decay.
fn neighbour(config: &Config, k: u64) -> Experiment {
    let mut config = config.clone();
    config.task.seed += k;
    let optimizer = &mut config.optimizer;
    optimizer.lr = (optimizer.lr.at(0) * (1.0 + 0.3 * k as f64)).into();
    optimizer.weight_decay = (optimizer.weight_decay.at(0) * (1.0 + k as f64)).into();
    config.optimizer.warmup += k as u32;
    experiment(&config)
}

fn diverging(config: &Config, precision: Precision) -> Experiment {
    let mut config = config.clone();
    // Adam's steps are as long as its rate, clipped ones as long as that, and LayerNorm forgives long weights: only
    // products that overflow end it.
    let lr: f64 = match (config.optimizer.kind, precision) {
        (OptimizerKind::Adam | OptimizerKind::Nesterov, Precision::F32) => 1e20,
        (OptimizerKind::Adam | OptimizerKind::Nesterov, Precision::F64) => 1e80,
        _ => 1e6,
    };
    config.optimizer.lr = lr.into();
    if config.optimizer.hold_norm != Regions::None {
        // Held weights stay as long as they are held.
        config.optimizer.hold_factor = lr.into();
    }
    experiment(&config)
}

fn short(config: &Config) -> Experiment {
    let mut config = config.clone();
    config.task.seed += 100;
    config.train.steps = 5;
    experiment(&config)
}

#[test]
fn a_run_is_the_same_in_any_slot_beside_any_neighbour() {
    each(|what, experiment, precision, expected, columns| {
        let mut trainer = trainer(experiment, precision, 8);
        for slot in [0, 7] {
            trainer.fill(slot, slot as u32, experiment).unwrap();
        }
        for slot in [1, 2, 4, 6] {
            let other = neighbour(&experiment.config, slot as u64);
            trainer.fill(slot, slot as u32, &other).unwrap();
        }
        trainer.fill(3, 3, &diverging(&experiment.config, precision)).unwrap();
        trainer.fill(5, 5, &short(&experiment.config)).unwrap();
        let rows = finish(&mut trainer, 8);
        for slot in [0, 7] {
            let found = trace(&mut trainer, slot, &rows);
            found.assert_same(expected, columns, &format!("{what} slot {slot}"));
        }
        let ends = |slot: usize| trainer.status(slot).unwrap().end;
        assert_eq!(
            (ends(3), ends(5)),
            (Some(EndReason::Diverged), Some(EndReason::Steps)),
            "{what}"
        );
        let other = trace(&mut trainer, 4, &rows);
        assert_ne!(other.weights, expected.weights, "{what}: the neighbours are others");
    });
}

#[test]
fn a_refilled_slot_remembers_nothing() {
    each(|what, experiment, precision, expected, columns| {
        let mut trainer = trainer(experiment, precision, 3);
        trainer.fill(0, 0, &short(&experiment.config)).unwrap();
        trainer.fill(1, 1, &diverging(&experiment.config, precision)).unwrap();
        trainer.fill(2, 2, &neighbour(&experiment.config, 2)).unwrap();
        trainer.run_chunk(5).unwrap();
        assert_eq!(trainer.status(0).unwrap().end, Some(EndReason::Steps));
        trainer.fill(0, 10, experiment).unwrap();
        let mut rows = Vec::new();
        while trainer.status(1).unwrap().end.is_none() {
            rows.extend(trainer.run_chunk(1).unwrap());
        }
        trainer.fill(1, 11, experiment).unwrap();
        rows.extend(finish(&mut trainer, 3));
        for slot in [0, 1] {
            let found = trace(&mut trainer, slot, &rows);
            found.assert_same(expected, columns, &format!("{what} refilled slot {slot}"));
        }
    });
}

#[test]
fn threads_do_not_matter() {
    each(|what, experiment, precision, expected, columns| {
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (found, _) = pool.install(|| alone(experiment, precision));
            found.assert_same(expected, columns, &format!("{what} {threads} threads"));
        }
    });
}

#[test]
fn chunks_do_not_matter() {
    each(|what, experiment, precision, expected, columns| {
        for chunk in [1, 5, 50] {
            let mut other = experiment.clone();
            other.config.train.chunk = chunk;
            let (found, _) = alone(&other, precision);
            found.assert_same(expected, columns, &format!("{what} chunks of {chunk}"));
        }
    });
}

#[test]
fn a_restored_run_goes_on_as_if_never_stopped() {
    each(|what, experiment, precision, expected, columns| {
        for stop in [1, 5, 8, 11, 23] {
            let mut first = trainer(experiment, precision, 1);
            first.fill(0, 0, experiment).unwrap();
            let mut rows = Vec::new();
            while first.status(0).unwrap().step < stop {
                let left = stop - first.status(0).unwrap().step;
                rows.extend(first.run_chunk(left).unwrap());
            }
            let state: Vec<(String, Values)> = first
                .state(0)
                .unwrap()
                .into_iter()
                .map(|(name, _, values)| (name, values))
                .collect();
            // In another slot, after another run, beside one that goes on.
            let mut second = trainer(experiment, precision, 2);
            second.fill(0, 9, &neighbour(&experiment.config, 1)).unwrap();
            second.fill(1, 8, &neighbour(&experiment.config, 2)).unwrap();
            second.run_chunk(7).unwrap();
            second.fill(1, 0, experiment).unwrap();
            second.restore(1, &state).unwrap();
            rows.extend(finish(&mut second, 2));
            let found = trace(&mut second, 1, &rows);
            found.assert_same(expected, columns, &format!("{what} restored at {stop}"));
        }
    });
}

/// Weights as in memory, from the tensors of a weights file.
fn arena(file: &TensorSet, experiment: &Experiment) -> Vec<f64> {
    let layout = Layout::new(&experiment.shape);
    let mut weights = vec![0.0; layout.len];
    for external in &layout.externals {
        let tensor = file.get(&external.name).unwrap();
        let numbers = match tensor.elements::<f32>() {
            Ok(numbers) => numbers.into_iter().map(f64::from).collect(),
            Err(_) => tensor.elements::<f64>().unwrap(),
        };
        for (k, number) in external.indices(&layout).zip(numbers) {
            weights[k] = number;
        }
    }
    weights
}

#[test]
fn a_state_survives_the_file_it_is_kept_in() {
    each(|what, experiment, precision, expected, columns| {
        let new = || RecordedRun::new(trainer(experiment, precision, 1), experiment, "cpu").unwrap();
        let mut first = new();
        let mut rows = first.run_chunk(7, 7).unwrap().rows;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        first.state().unwrap().write(&path).unwrap();
        let mut second = new();
        second.restore(&TensorSet::read(&path).unwrap()).unwrap();
        assert_eq!(second.step(), 7);
        let mut ended = None;
        while ended.is_none() {
            let chunk = second.run_chunk(24, 24).unwrap();
            rows.extend(chunk.rows);
            ended = chunk.ended;
        }
        let found = Trace {
            rows,
            weights: arena(&second.weights().unwrap(), experiment),
            status: expected.status,
        };
        found.assert_same(expected, columns, &format!("{what} from a file"));
    });
}

#[test]
fn a_diverging_run_keeps_its_last_finite_weights() {
    for (name, experiment) in cases() {
        for precision in PRECISIONS {
            let diverging = diverging(&experiment.config, precision);
            let (found, columns) = alone(&diverging, precision);
            let what = format!("{name} {precision:?}");
            assert_eq!(found.status.end, Some(EndReason::Diverged), "{what}");
            assert!(
                found.weights.iter().all(|w| w.is_finite()),
                "{what}: weights are not finite"
            );
            // The step that could not be made has no row, nor has any later one.
            let steps: Vec<u64> = found.rows.iter().map(|row| row.step).collect();
            assert_eq!(steps, (0..found.status.step).collect::<Vec<_>>(), "{what}");
            // They are the weights after the last step that has a row: a run that ends there has them too.
            let mut until = diverging.clone();
            until.config.train.steps = found.status.step as u32;
            let (last, _) = alone(&until, precision);
            assert_eq!(last.status.end, Some(EndReason::Steps), "{what}");
            assert_eq!(last.weights, found.weights, "{what}");
            let loss = columns.iter().position(|column| column == "batch_loss").unwrap();
            assert!(found.rows.iter().all(|row| row.values[loss].is_finite()), "{what}");
        }
    }
}

/// Without hidden layers the loss stays finite until the weights themselves overflow.
#[test]
fn weights_that_would_overflow_end_the_run_and_stay_finite() {
    for kind in [OptimizerKind::Sgd, OptimizerKind::Momentum, OptimizerKind::Adamw] {
        for precision in PRECISIONS {
            let mut config = mlp();
            config.model.input = MlpInput::OneHot;
            config.model.hidden = Vec::new();
            config.loss.kind = LossKind::CrossEntropy;
            config.optimizer.kind = kind;
            config.optimizer.lr = 1e30.into();
            config.optimizer.weight_decay = 1.0.into();
            let (found, _) = alone(&experiment(&config), precision);
            let what = format!("{kind:?} {precision:?}");
            assert_eq!(found.status.end, Some(EndReason::Diverged), "{what}");
            assert!(found.weights.iter().all(|w| w.is_finite()), "{what}");
            assert!(found.rows.iter().all(|row| row.step < found.status.step), "{what}");
        }
    }
}
