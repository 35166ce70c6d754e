//! Small experiments, and what of a run is compared.

use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::{Executor, Precision};
use gmatrix::config::{
    Batch, Config, FurtherGram, GradientFilter, LossConfig, LossKind, MlpInput, ModelConfig, ModelKind,
    OptimizerConfig, OptimizerKind, Regions, Samples, StatsConfig, Stop, TaskConfig, TrainConfig,
};
use gmatrix::model::{Activation, Norm};
use gmatrix::record::MetricsRow;
use gmatrix::schedule::{Cadence, DenseCadence, Interpolation, LogCadence, Piecewise, Scheduled, Transition};
use gmatrix::trainer::{Experiment, Status, Trainer};

pub const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::F64];

/// A transformer on 29 of 49 sums modulo 7, full batch, with every statistic on a schedule of its own.
pub fn transformer() -> Config {
    Config {
        task: TaskConfig {
            p: 7,
            train_fraction: 0.6,
            seed: 3,
            ..TaskConfig::default()
        },
        model: ModelConfig {
            d_model: 12,
            heads: 2,
            d_mlp: 20,
            ..ModelConfig::default()
        },
        optimizer: OptimizerConfig {
            warmup: 3,
            ..OptimizerConfig::default()
        },
        train: TrainConfig {
            steps: 24,
            stop: Stop::Never,
            checkpoint_every: 8,
            weights_every: 0,
            chunk: 8,
        },
        stats: StatsConfig {
            scalars_every: 1.into(),
            evaluate_every: 3.into(),
            gram_every: 4.into(),
            decompose_every: 5.into(),
            samples: Samples::Count(10),
            properties: ["train_loss", "test_loss", "half_norm2", "log_odds:test:1", "prob:0:2"]
                .map(str::to_owned)
                .to_vec(),
            grams: FurtherGram::ALL.to_vec(),
            stream: 16,
            ..StatsConfig::default()
        },
        ..Config::default()
    }
}

/// Two pre-LayerNorm blocks on batches of 8 of the 29 samples: every fourth batch straddles two epochs.
pub fn minibatch() -> Config {
    let mut config = transformer();
    config.model.layers = 2;
    config.model.norm = Norm::Pre;
    config.model.activation = Activation::Gelu;
    config.optimizer.kind = OptimizerKind::Adam;
    config.optimizer.weight_decay = 0.01.into();
    config.optimizer.batch = Batch::Size(8);
    config.optimizer.beta1 = schedule(&[(0, 0.5), (10, 0.9)], Interpolation::Linear);
    config.optimizer.beta2 = schedule(&[(0, 0.9), (13, 0.99)], Interpolation::Step);
    config.optimizer.eps = schedule(&[(5, 1e-6), (20, 1e-8)], Interpolation::Linear);
    config
}

/// An MLP with biases, by gradient descent with momentum on squared errors.
pub fn mlp() -> Config {
    Config {
        model: ModelConfig {
            kind: ModelKind::Mlp,
            input: MlpInput::Embedding,
            d_model: 6,
            hidden: vec![14, 9],
            bias: true,
            ..ModelConfig::default()
        },
        loss: LossConfig { kind: LossKind::Mse },
        optimizer: OptimizerConfig {
            kind: OptimizerKind::Momentum,
            filter: GradientFilter::GrokfastMa,
            filter_lambda: 0.3.into(),
            filter_window: 5,
            lr: 0.05.into(),
            weight_decay: 0.01.into(),
            ..OptimizerConfig::default()
        },
        stats: StatsConfig {
            grams: FurtherGram::ALL
                .into_iter()
                .filter(|gram| *gram != FurtherGram::Preconditioned)
                .collect(),
            ..transformer().stats
        },
        ..transformer()
    }
}

/// Values at steps.
pub fn schedule(points: &[(u32, f64)], kind: Interpolation) -> Scheduled {
    Scheduled::Piecewise(Piecewise {
        steps: points.iter().map(|point| point.0).collect(),
        values: points.iter().map(|point| point.1).collect(),
        kind,
    })
}

/// The same with Nesterov's momentum on StableMax, with a gradient that is clipped, and everything on schedules.
pub fn shaped() -> Config {
    let mut config = minibatch();
    config.loss.kind = LossKind::Stablemax;
    config.optimizer.kind = OptimizerKind::Nesterov;
    config.optimizer.beta1 = schedule(&[(3, 0.8), (16, 0.95)], Interpolation::Linear);
    config.optimizer.lr = schedule(&[(0, 0.02), (9, 0.05), (14, 0.01)], Interpolation::Linear);
    config.optimizer.weight_decay = schedule(&[(6, 0.0), (12, 0.3)], Interpolation::Step);
    config.optimizer.clip = schedule(&[(0, 0.5), (20, 0.0)], Interpolation::Step);
    config.optimizer.filter = GradientFilter::GrokfastEma;
    config.optimizer.filter_alpha = 0.7.into();
    config.optimizer.filter_lambda = schedule(&[(0, 0.5), (15, 2.0)], Interpolation::Linear);
    config.optimizer.perpendicular = Regions::Tensor;
    config.optimizer.l1 = schedule(&[(0, 0.0), (11, 0.01)], Interpolation::Step);
    config.optimizer.noise = 0.01.into();
    config.optimizer.hold_norm = Regions::Global;
    config.optimizer.hold_factor = schedule(&[(4, 1.0), (20, 0.9)], Interpolation::Linear);
    config.model.dropout = schedule(&[(0, 0.1), (18, 0.3)], Interpolation::Linear);
    config.model.attention_mix = schedule(&[(2, 0.0), (19, 0.6)], Interpolation::Linear);
    config.stats.gram_every = Cadence::Log(LogCadence { log: 4 });
    config.stats.decompose_every = Cadence::Dense(DenseCadence {
        every: 7,
        dense: 2,
        around: Transition::Memorised,
        width: 5,
    });
    config
}

pub fn experiment(config: &Config) -> Experiment {
    Experiment::new(config).unwrap()
}

/// A trainer with empty slots, for experiments like this one.
pub fn trainer(like: &Experiment, precision: Precision, slots: usize) -> Trainer {
    let program = like.program().unwrap();
    let plan = program.plan.clone();
    let executor: Box<dyn Executor> = match precision {
        Precision::F32 => Box::new(CpuExecutor::<f32>::new(plan, slots).unwrap()),
        Precision::F64 => Box::new(CpuExecutor::<f64>::new(plan, slots).unwrap()),
    };
    Trainer::new(program, executor, slots)
}

/// All that a run leaves: its rows, its last weights, how it ended.
#[derive(Debug, Clone)]
pub struct Trace {
    pub rows: Vec<MetricsRow>,
    pub weights: Vec<f64>,
    pub status: Status,
}

impl Trace {
    /// Fails unless both are the same to the bit; the run's index may differ.
    pub fn assert_same(&self, other: &Self, columns: &[String], what: &str) {
        let steps = |trace: &Self| trace.rows.iter().map(|row| row.step).collect::<Vec<_>>();
        assert_eq!(steps(self), steps(other), "{what}: steps of the rows");
        for (a, b) in self.rows.iter().zip(&other.rows) {
            for ((x, y), column) in a.values.iter().zip(&b.values).zip(columns) {
                assert_eq!(
                    x.to_bits(),
                    y.to_bits(),
                    "{what}: step {} {column}: {x:e} and {y:e}",
                    a.step
                );
            }
        }
        let bits = |trace: &Self| trace.weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
        assert!(bits(self) == bits(other), "{what}: weights differ");
        let end = |trace: &Self| (trace.status.step, trace.status.end, trace.status.memorised);
        assert_eq!(end(self), end(other), "{what}");
    }
}

/// Goes on until every run has ended.
pub fn finish(trainer: &mut Trainer, slots: usize) -> Vec<MetricsRow> {
    let mut rows = Vec::new();
    while (0..slots).any(|slot| trainer.status(slot).is_some_and(|status| status.end.is_none())) {
        rows.extend(trainer.run_chunk(u64::MAX).unwrap());
    }
    rows
}

/// What the run in a slot left, given all rows.
pub fn trace(trainer: &mut Trainer, slot: usize, rows: &[MetricsRow]) -> Trace {
    let status = trainer.status(slot).unwrap();
    Trace {
        rows: rows.iter().filter(|row| row.run == status.run).cloned().collect(),
        weights: trainer.weights(slot).unwrap(),
        status,
    }
}

/// The run of this experiment with nobody beside it, and the names of its columns.
pub fn alone(experiment: &Experiment, precision: Precision) -> (Trace, Vec<String>) {
    let mut trainer = trainer(experiment, precision, 1);
    trainer.fill(0, 0, experiment).unwrap();
    let rows = finish(&mut trainer, 1);
    (trace(&mut trainer, 0, &rows), trainer.columns().to_vec())
}
