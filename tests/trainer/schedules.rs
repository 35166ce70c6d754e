//! Hyper-parameters and measurements on schedules, as the device follows them.

use gmatrix::backend::{Precision, Values};
use gmatrix::config::{Config, GradientFilter, OptimizerKind};
use gmatrix::model::TensorGroup;
use gmatrix::optimizer::settings;
use gmatrix::plan::control;
use gmatrix::schedule::{Cadence, DenseCadence, Interpolation, LogCadence, MAX_POINTS, Transition};

use crate::support::{alone, experiment, finish, minibatch, schedule, trace, trainer, transformer};

fn column(columns: &[String], name: &str) -> usize {
    columns.iter().position(|column| column == name).unwrap()
}

/// Without decay and memory, update and gradient differ by the learning rate of the step.
#[test]
fn the_learning_rate_follows_its_schedule() {
    for kind in [Interpolation::Linear, Interpolation::Step] {
        let mut config = transformer();
        config.optimizer.kind = OptimizerKind::Sgd;
        config.optimizer.weight_decay = 0.0.into();
        config.optimizer.warmup = 0;
        let points = [(3, 0.1), (4, 0.3), (11, 0.02), (17, 0.0), (20, 0.05)];
        config.optimizer.lr = schedule(&points, kind);
        let (trace, columns) = alone(&experiment(&config), Precision::F64);
        let [update, gradient] = ["update_norm", "gradient_norm"].map(|name| column(&columns, name));
        for row in &trace.rows {
            let last = points.iter().rposition(|(at, _)| u64::from(*at) <= row.step);
            let expected = match last {
                None => points[0].1,
                Some(k) if kind == Interpolation::Linear && k + 1 < points.len() => {
                    let ((x0, y0), (x1, y1)) = (points[k], points[k + 1]);
                    y0 + (y1 - y0) * (row.step as f64 - f64::from(x0)) / f64::from(x1 - x0)
                }
                Some(k) => points[k].1,
            };
            let found = row.values[update] / row.values[gradient];
            assert!((found - expected).abs() < 1e-12, "{kind:?} step {}: {found}", row.step);
        }
    }
}

/// Switched at a step, a hyper-parameter does what it does in a run that is handed over at that step.
#[test]
fn a_switch_is_a_handover() {
    let turn: [fn(&mut Config, [f64; 2]); 8] = [
        |config, [before, after]| {
            config.optimizer.weight_decay = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
        |config, [before, after]| {
            let decay = schedule(&[(0, before), (8, after)], Interpolation::Step);
            config.optimizer.weight_decay_groups.insert(TensorGroup::Mlp, decay);
        },
        |config, [before, after]| {
            config.optimizer.lr = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
        |config, [before, after]| {
            config.optimizer.clip = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
        |config, [before, after]| {
            config.optimizer.beta1 = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
        |config, [before, after]| {
            config.optimizer.beta2 = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
        |config, [before, after]| {
            config.optimizer.eps = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
        |config, [before, after]| {
            config.optimizer.filter = GradientFilter::GrokfastEma;
            config.optimizer.filter_alpha = schedule(&[(0, before), (8, after)], Interpolation::Step);
        },
    ];
    for (which, turn) in turn.into_iter().enumerate() {
        let with = |values: [f64; 2]| {
            let mut config = minibatch();
            turn(&mut config, values);
            experiment(&config)
        };
        let (before, after) = (0.01, 0.3);
        let (expected, columns) = alone(&with([before, after]), Precision::F32);
        let (first, second) = (with([before, before]), with([after, after]));
        let mut one = trainer(&first, Precision::F32, 1);
        one.fill(0, 0, &first).unwrap();
        let mut rows = one.run_chunk(8).unwrap();
        let state: Vec<(String, Values)> = one.state(0).unwrap().into_iter().map(|(n, _, v)| (n, v)).collect();
        let mut two = trainer(&second, Precision::F32, 1);
        two.fill(0, 0, &second).unwrap();
        two.restore(0, &state).unwrap();
        rows.extend(finish(&mut two, 1));
        let found = trace(&mut two, 0, &rows);
        found.assert_same(&expected, &columns, &format!("switch {which}"));
        let (other, _) = alone(&first, Precision::F32);
        assert_ne!(other.weights, expected.weights, "switch {which} does something");
    }
}

/// Steps at which Gram matrices were measured, and when the run memorised.
fn measured(config: &Config) -> (Vec<u64>, Option<u64>) {
    let (trace, columns) = alone(&experiment(config), Precision::F32);
    let n = column(&columns, "n");
    let steps = trace.rows.iter().filter(|row| !row.values[n].is_nan());
    (steps.map(|row| row.step).collect(), trace.status.memorised)
}

#[test]
fn log_spaced_steps_are_evenly_many_per_decade() {
    let mut config = transformer();
    config.train.steps = 1001;
    config.train.chunk = 7;
    config.stats.decompose_every = 0.into();
    config.stats.gram_every = Cadence::Log(LogCadence { log: 4 });
    let (steps, _) = measured(&config);
    assert_eq!(steps[..8], [0, 1, 2, 3, 5, 8, 14, 24]);
    let of_decade = steps.iter().filter(|step| (100..1000).contains(*step)).count();
    assert_eq!(of_decade, 4, "{steps:?}");
}

#[test]
fn a_transition_is_followed_by_dense_measurements() {
    let mut config = transformer();
    config.optimizer.lr = 1e-2.into();
    config.train.steps = 300;
    config.train.chunk = 32;
    config.stats.decompose_every = 0.into();
    config.stats.gram_every = Cadence::Dense(DenseCadence {
        every: 25,
        dense: 2,
        around: Transition::Memorised,
        width: 9,
    });
    let (steps, memorised) = measured(&config);
    let noticed = memorised.expect("it memorises") + 1;
    let expected: Vec<u64> = (0..300)
        .filter(|step| step % 25 == 0 || (step % 2 == 0 && (noticed..noticed + 9).contains(step)))
        .collect();
    assert_eq!(steps, expected, "memorised at {memorised:?}");
    assert!(expected.len() > 14, "{expected:?}");
}

/// All schedules there are, each with as many points as there may be, and every group of weights with a decay of its
/// own: the settings of a run hold them.
#[test]
fn all_schedules_fit_into_the_settings() {
    let mut config = minibatch();
    let points: Vec<(u32, f64)> = (0..MAX_POINTS as u32)
        .map(|k| (3 * k, 0.01 + 0.001 * f64::from(k)))
        .collect();
    let full = schedule(&points, Interpolation::Linear);
    for number in [
        &mut config.model.dropout,
        &mut config.model.attention_mix,
        &mut config.optimizer.lr,
        &mut config.optimizer.weight_decay,
        &mut config.optimizer.beta1,
        &mut config.optimizer.beta2,
        &mut config.optimizer.eps,
        &mut config.optimizer.clip,
        &mut config.optimizer.filter_alpha,
        &mut config.optimizer.filter_lambda,
        &mut config.optimizer.l1,
        &mut config.optimizer.noise,
        &mut config.optimizer.hold_factor,
    ] {
        *number = full.clone();
    }
    for group in TensorGroup::ALL {
        config.optimizer.weight_decay_groups.insert(group, full.clone());
    }
    let settings = settings(&config);
    assert_eq!(settings.len(), control::SETTINGS);
    let (mut at, mut schedules) = (control::POINTS, 0);
    while settings[at + control::POINTS_COUNT] != 0.0 {
        at += control::POINTS_HEAD + 2 * settings[at + control::POINTS_COUNT] as usize;
        schedules += 1;
    }
    assert_eq!(schedules, 12 + TensorGroup::ALL.len());
}
