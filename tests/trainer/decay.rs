//! Decay of earlier steps that still is in the moments.

use gmatrix::config::{Batch, OptimizerKind};
use gmatrix::model::{Layout, TensorGroup};
use gmatrix::schedule::Interpolation;

use crate::ledger::{KINDS, PROPERTIES, close, config, dot, gradients, steps};
use crate::support::{experiment, schedule};

/// What is lagged, against the rules' recursions written out: the moment of gradients and the moment of decay, each
/// driven by its own alone.
#[test]
fn lagged_decay_is_a_moment_of_its_own() {
    for (kind, lr) in KINDS.into_iter().filter(|(kind, _)| kind.remembers_decay()) {
        let mut config = config(kind, lr, Batch::Full, 1);
        config.optimizer.weight_decay = schedule(&[(0, 0.1), (4, 0.3)], Interpolation::Linear);
        config
            .optimizer
            .weight_decay_groups
            .insert(TensorGroup::Mlp, 0.02.into());
        config.optimizer.l1 = 0.004.into();
        config.train.steps = 9;
        let experiment = experiment(&config);
        let layout = Layout::new(&experiment.shape);
        let [beta1, beta2, eps] =
            [&config.optimizer.beta1, &config.optimizer.beta2, &config.optimizer.eps].map(|x| x.at(0));
        let (mut of_gradients, mut of_decay) = (vec![0.0; layout.len], vec![0.0; layout.len]);
        let mut second = vec![0.0; layout.len];
        for (k, step) in steps(&experiment).iter().enumerate() {
            let gradients = gradients(&experiment, step);
            let gradient = &gradients[0].1;
            let t = k as f64 + 1.0;
            let lr = lr * t.min(3.0) / 3.0;
            let (mut lagged, mut decay_lagged) = (vec![0.0; layout.len], vec![0.0; layout.len]);
            for tensor in &layout.tensors {
                let decay = match tensor.group {
                    TensorGroup::Mlp => 0.02,
                    _ => config.optimizer.weight_decay.at(k as u64),
                };
                for place in tensor.offset..tensor.offset + tensor.len() {
                    let w = step.before[place];
                    let pull = decay * w + if w == 0.0 { 0.0 } else { 0.004 * w.signum() };
                    let g = gradient[place];
                    // How much of the moments before the step is in it, and how what is new enters them.
                    let (share, new) = match kind {
                        OptimizerKind::Adam => {
                            second[place] = beta2 * second[place] + (1.0 - beta2) * (g + pull).powi(2);
                            let root = (second[place] / (1.0 - beta2.powf(t))).sqrt() + eps;
                            (-lr * beta1 / (1.0 - beta1.powf(t)) / root, 1.0 - beta1)
                        }
                        OptimizerKind::Nesterov => (-lr * beta1 * beta1, 1.0),
                        _ => (-lr * beta1, 1.0),
                    };
                    lagged[place] = share * of_gradients[place];
                    decay_lagged[place] = share * of_decay[place];
                    of_gradients[place] = beta1 * of_gradients[place] + new * g;
                    of_decay[place] = beta1 * of_decay[place] + new * pull;
                }
            }
            for (name, gradient) in &gradients {
                let what = format!("{kind:?} step {k} {name}");
                for (part, expected) in [("lagged", &lagged), ("decay_lagged", &decay_lagged)] {
                    let scale = (dot(gradient, gradient) * dot(expected, expected)).sqrt();
                    // Adam divides by roots of second moments near zero, which hold fewer digits.
                    let scale = if kind == OptimizerKind::Adam {
                        1e3 * scale
                    } else {
                        scale
                    };
                    close(
                        step.of(part, name),
                        dot(gradient, expected),
                        scale,
                        &format!("{what} {part}"),
                    );
                }
            }
        }
    }
}

/// Without decay there is none that could be lagged.
#[test]
fn without_decay_none_is_lagged() {
    let mut config = config(OptimizerKind::Adam, 3e-3, Batch::Full, 1);
    config.optimizer.weight_decay = 0.0.into();
    for step in steps(&experiment(&config)) {
        for name in PROPERTIES {
            assert_eq!(step.of("decay_lagged", name), 0.0, "{name}");
        }
    }
}
