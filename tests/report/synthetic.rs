//! Run directories made up for the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use gmatrix::config::Config;
use parquet::arrow::ArrowWriter;

/// Metrics in the making: a column is as long as the steps, NaN where not measured.
#[derive(Default)]
pub struct Run {
    steps: Vec<u64>,
    columns: BTreeMap<String, Vec<f64>>,
}

impl Run {
    /// A run with a row for every step from 0.
    pub fn of(steps: u64) -> Self {
        Self {
            steps: (0..steps).collect(),
            columns: BTreeMap::new(),
        }
    }

    /// A column measured every so many steps.
    pub fn column(&mut self, name: &str, every: u64, mut value: impl FnMut(f64) -> f64) -> &mut Self {
        let values = self
            .steps
            .iter()
            .map(|&step| {
                if step % every == 0 {
                    value(step as f64)
                } else {
                    f64::NAN
                }
            })
            .collect();
        self.columns.insert(name.to_owned(), values);
        self
    }

    /// Writes the configuration and the metrics.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir.join("metrics")).unwrap();
        fs::write(dir.join("config.toml"), Config::default().to_toml().unwrap()).unwrap();
        let steps: ArrayRef = Arc::new(Int64Array::from_iter_values(self.steps.iter().map(|s| *s as i64)));
        let runs: ArrayRef = Arc::new(Int32Array::from_iter_values(self.steps.iter().map(|_| 0)));
        let mut columns = vec![("step".to_owned(), steps, false), ("run".to_owned(), runs, false)];
        for (name, values) in &self.columns {
            let array: Float64Array = values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect();
            columns.push((name.clone(), Arc::new(array) as ArrayRef, true));
        }
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let file = fs::File::create(dir.join("metrics/part-00001000.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// From 0 to 1 around `at`.
fn rise(step: f64, at: f64, width: f64) -> f64 {
    1.0 / (1.0 + ((at - step) / width).exp())
}

/// Noise in [-1, 1), the same at every call with the same arguments.
fn noise(step: f64, salt: f64) -> f64 {
    let x = (step * 12.9898 + salt * 78.233).sin() * 43_758.545_3;
    2.0 * (x - x.floor()) - 1.0
}

/// A run of the default configuration that memorises, groks and ends, with every column that a chart shows.
pub fn full_run() -> Run {
    let mut run = Run::of(1481);
    let train_loss = |t: f64| 0.002 + 4.1 * (1.0 - rise(t, 90.0, 18.0)) + 0.02 * (1.0 - rise(t, 900.0, 90.0));
    let test_loss = |t: f64| 0.004 + (4.1 + 6.0 * rise(t, 160.0, 40.0)) * (1.0 - rise(t, 830.0, 45.0));
    run.column("train_loss", 10, move |t| train_loss(t) * (1.0 + 0.02 * noise(t, 1.0)))
        .column("test_loss", 10, move |t| test_loss(t) * (1.0 + 0.02 * noise(t, 2.0)))
        .column("train_accuracy", 10, |t| (0.017 + rise(t, 105.0, 9.0)).min(1.0))
        .column("test_accuracy", 10, |t| (0.004 + rise(t, 900.0, 30.0)).min(1.0))
        .column("batch_loss", 1, move |t| train_loss(t) * (1.0 + 0.05 * noise(t, 3.0)))
        .column("weight_norm", 1, |t| {
            29.0 + 14.0 * rise(t, 110.0, 35.0) - 18.0 * rise(t, 800.0, 110.0)
        })
        .column("gradient_norm", 1, move |t| {
            0.5 * train_loss(t).powf(0.8) * (1.0 + 0.3 * noise(t, 4.0))
        })
        .column("update_norm", 1, |t| {
            0.4 * (1.0 - 0.8 * rise(t, 900.0, 100.0)) * (1.0 + 0.1 * noise(t, 5.0))
        })
        .column("temporal_cosine", 1, |t| {
            if t == 0.0 {
                f64::NAN
            } else {
                0.93 - 0.5 * rise(t, 150.0, 30.0) + 0.2 * noise(t, 6.0) * rise(t, 100.0, 30.0)
            }
        })
        .column("momentum_cosine", 1, |t| {
            if t == 0.0 {
                f64::NAN
            } else {
                0.8 - 0.5 * rise(t, 150.0, 30.0) + 0.1 * noise(t, 7.0)
            }
        })
        .column("n_batch", 1, |_| 1740.0)
        .column("zero_gradients", 1, |_| 0.0)
        .column("per_sample_norm_mean", 1, move |t| 9.0 * train_loss(t).powf(0.7))
        .column("per_sample_norm_min", 1, move |t| {
            if t % 97.0 == 0.0 {
                0.0
            } else {
                0.4 * train_loss(t).powf(1.4) * (1.3 + noise(t, 8.0))
            }
        })
        .column("per_sample_norm_max", 1, move |t| {
            40.0 * train_loss(t).powf(0.5) * (1.2 + 0.3 * noise(t, 9.0))
        })
        .column("per_sample_norm_log_sd", 1, |t| {
            0.08 + 1.6 * rise(t, 120.0, 25.0) - 0.7 * rise(t, 900.0, 70.0)
        })
        .column("coherence", 1, |t| {
            0.002 + 0.09 * rise(t, 860.0, 60.0) + 0.05 * (1.0 - rise(t, 60.0, 20.0))
        })
        .column("coherence_unbiased", 1, |t| {
            0.0014 + 0.09 * rise(t, 860.0, 60.0) + 0.05 * (1.0 - rise(t, 60.0, 20.0))
        })
        .column("noise_trace", 1, move |t| {
            train_loss(t) * 30.0 * (1.0 + 0.2 * noise(t, 10.0))
        })
        // Not told from 0 between steps 300 and 400.
        .column("noise_g2", 1, move |t| {
            if (300.0..400.0).contains(&t) {
                0.02 * noise(t, 11.0)
            } else {
                train_loss(t) * 0.2 * (1.0 + 0.6 * noise(t, 12.0))
            }
        })
        .column("n", 50, |_| 512.0)
        .column("parameters", 50, |_| 38_592.0)
        .column("mean_cosine", 50, |t| {
            0.06 - 0.055 * rise(t, 90.0, 30.0) + 0.05 * rise(t, 860.0, 60.0)
        })
        .column("min_cosine", 50, |t| -0.2 - 0.3 * rise(t, 100.0, 40.0))
        .column("negative_fraction", 50, |t| {
            0.3 + 0.16 * rise(t, 100.0, 40.0) - 0.1 * rise(t, 860.0, 60.0)
        });
    for (gram, high, fall) in [("raw", 0.93, 0.62), ("cosine", 0.95, 0.35), ("centred", 0.92, 0.55)] {
        let share = move |t: f64| high - fall * rise(t, 850.0, 70.0) + 0.006 * noise(t, fall);
        let columns: [(&str, f64); 7] = [
            ("erank_sigma", 1.0),
            ("erank_lambda", 1.6),
            ("participation_ratio", 2.1),
            ("participation_ratio_population", 2.0),
            ("stable_rank", 3.5),
            ("null_erank_sigma", 0.08),
            ("null_erank_lambda", 0.15),
        ];
        for (column, power) in columns {
            run.column(&format!("{gram}.{column}"), 50, move |t| {
                512.0
                    * if column.starts_with("null") {
                        0.99 - power * fall * rise(t, 850.0, 70.0)
                    } else {
                        share(t).powf(power)
                    }
            });
        }
        run.column(&format!("{gram}.rank"), 50, |_| 512.0);
    }
    // Decomposed between the evaluations too: a series of its own.
    let slope = |x: f64, t: f64| {
        -x * (0.05 * (1.0 - rise(t, 120.0, 30.0)) + 0.02 * rise(t, 840.0, 40.0) * (1.0 - rise(t, 900.0, 40.0)) + 2e-6)
    };
    for (x, scale) in [("train_loss", 1.0), ("test_loss", -0.4)] {
        let parts = move |part: &str, t: f64| match part {
            "selection" => 0.3 * slope(scale, t) * (1.0 + 0.2 * noise(t, 13.0)),
            "lagged" => slope(scale, t) * (1.0 + 0.2 * noise(t, 14.0)),
            "noise" => 1e-5 * noise(t, 15.0),
            "decay" => -0.25 * slope(scale, t) + 3e-5,
            _ => 3e-2 * slope(scale, t) * noise(t, 16.0),
        };
        const PARTS: [&str; 5] = ["selection", "lagged", "noise", "decay", "second"];
        let predicted = move |t| PARTS[..4].iter().map(|part| parts(part, t)).sum::<f64>();
        run.column(&format!("predicted.{x}"), 50, predicted);
        run.column(&format!("measured.{x}"), 50, move |t| predicted(t) + parts("second", t));
        let value = move |t: f64| if x == "train_loss" { train_loss(t) } else { test_loss(t) };
        let total = move |t: f64| value(t + 1.0) - value(0.0);
        run.column(&format!("value.{x}"), 50, value)
            .column(&format!("ledger.total.{x}"), 50, total);
        let mut sum = 0.0;
        run.column(&format!("ledger.between.{x}"), 50, move |t| {
            sum += predicted(t) + parts("second", t);
            total(t) - sum
        });
        for part in PARTS {
            run.column(&format!("{part}.{x}"), 50, move |t| parts(part, t));
            let mut sum = 0.0;
            run.column(&format!("ledger.{part}.{x}"), 50, move |t| {
                sum += parts(part, t);
                sum
            });
        }
    }
    run.column("ntcov.train_loss.train_loss", 50, |t| {
        1e-3 + 0.8 * (1.0 - rise(t, 110.0, 20.0))
    })
    .column("ntcov.test_loss.test_loss", 50, |t| {
        1e-3 + 3.0 * (1.0 - rise(t, 850.0, 40.0))
    })
    .column("ntcov.train_loss.test_loss", 50, |t| {
        0.3 * (1.0 - rise(t, 70.0, 15.0)) - 0.02 + 0.05 * rise(t, 600.0, 60.0)
    })
    .column("ntcov.test_loss.train_loss", 50, |t| {
        0.3 * (1.0 - rise(t, 70.0, 15.0)) - 0.02 + 0.05 * rise(t, 600.0, 60.0)
    })
    .column("other.key_share", 50, |t| rise(t, 700.0, 100.0));
    run
}
