//! What the series of a run say: dips, classes, falls of agreement, the budget of the norm.

use std::f64::consts::TAU;

use gmatrix::analysis::draws::Draws;
use gmatrix::analysis::episodes::{Episode, below, collapses};
use gmatrix::analysis::equilibrium::{Class, Equilibrium, Limits, Run, classify, sensitivity};
use gmatrix::analysis::instabilities::{Rule, find};
use gmatrix::analysis::norm_budget::{budgets, rate};
use gmatrix::analysis::period::Search;

use crate::{close, normals};

#[test]
fn stretches_below_a_threshold() {
    let steps = [0, 10, 20, 30, 40, 50, 60, 70];
    let values = [0.9, 0.4, 0.3, 0.6, f64::NAN, 0.45, 0.96, 0.2];
    let found = below(&steps, &values, 0.5, 0.95);
    assert_eq!(
        found,
        [
            Episode {
                first: 10,
                last: 20,
                ended: Some(30),
                lowest: 0.3,
                recovered: Some(60),
            },
            Episode {
                first: 50,
                last: 50,
                ended: Some(60),
                lowest: 0.45,
                recovered: Some(60),
            },
            Episode {
                first: 70,
                last: 70,
                ended: None,
                lowest: 0.2,
                recovered: None,
            },
        ]
    );
    assert_eq!(found.iter().map(Episode::length).collect::<Vec<_>>(), [20, 10, 0]);
    assert!(below(&[], &[], 0.5, 0.95).is_empty());
}

#[test]
fn collapses_come_after_grokking() {
    let steps = [0, 10, 20, 30, 40];
    let values = [0.1, 0.97, 0.3, 0.3, 0.99];
    let found = collapses(&steps, &values, 10);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].first, found[0].recovered), (20, Some(40)));
    assert!(collapses(&steps, &values, 40).is_empty());
}

struct Series {
    steps: Vec<u64>,
    train: Vec<f64>,
    test: Vec<f64>,
    loss: Vec<f64>,
    norm: Vec<f64>,
}

impl Series {
    /// 2,000 steps, every fifth measured: accuracies, log loss and norm as functions of the step, with a little noise on
    /// the latter two.
    fn new(test: impl Fn(f64) -> f64, log_loss: impl Fn(f64) -> f64, norm: impl Fn(f64) -> f64) -> Self {
        let steps: Vec<u64> = (0..2000).step_by(5).collect();
        let noise = normals(31, 2 * steps.len());
        let at = |of: &dyn Fn(f64) -> f64| steps.iter().map(|s| of(*s as f64)).collect::<Vec<f64>>();
        Self {
            train: vec![1.0; steps.len()],
            test: at(&test),
            loss: at(&log_loss)
                .iter()
                .zip(&noise)
                .map(|(l, e)| (l + 0.05 * e).exp())
                .collect(),
            norm: at(&norm)
                .iter()
                .zip(&noise[steps.len()..])
                .map(|(w, e)| w * (1.0 + 1e-4 * e))
                .collect(),
            steps,
        }
    }

    fn run(&self) -> Run<'_> {
        Run {
            steps: &self.steps,
            train_accuracy: &self.train,
            test_accuracy: &self.test,
            test_loss: &self.loss,
            weight_norm: &self.norm,
            restricted: None,
            diverged: false,
        }
    }
}

fn search() -> Search {
    Search {
        simulations: 199,
        resamples: 0,
        ..Search::default()
    }
}

fn class(run: &Run<'_>) -> Equilibrium {
    classify(run, &Limits::default(), &search()).unwrap()
}

fn still() -> Series {
    Series::new(|_| 1.0, |_| -14.0, |_| 30.0)
}

fn wave(t: f64) -> f64 {
    (TAU * t / 150.0).sin()
}

fn swinging() -> Series {
    Series::new(|t| 0.9 + 0.1 * wave(t), |t| -5.0 - 3.0 * wave(t), |t| 30.0 + wave(t))
}

#[test]
fn a_run_that_stands_still_is_a_fixed_point() {
    let series = still();
    let found = class(&series.run());
    assert_eq!(found.class, Class::FixedPoint);
    assert_eq!(found.evidence.window, (0, 1995));
    assert_eq!(found.evidence.test_accuracy, (1.0, 0.0));
    assert_eq!((found.evidence.dips, found.evidence.longest_dip), (0, None));
    assert!(!found.evidence.returned);
}

#[test]
fn a_run_that_swings_is_an_oscillation() {
    let series = swinging();
    let found = class(&series.run());
    assert_eq!(found.class, Class::Oscillation, "{found:?}");
    let evidence = found.evidence;
    close(evidence.loss_period.as_ref().unwrap().period / 150.0, 1.0, 0.02);
    close(evidence.norm_period.as_ref().unwrap().period / 150.0, 1.0, 0.02);
    close(evidence.loss_amplitude, 3.0, 0.05);
    close(evidence.norm_amplitude, 1.0 / 30.0, 0.002);
    close(evidence.periods, 1995.0 / 150.0, 0.02);
    // A swing of the norm alone is not enough, nor a small one of both.
    let norm = Series::new(|_| 0.97, |_| -5.0, |t| 30.0 + wave(t));
    assert_eq!(class(&norm.run()).class, Class::Hovering);
    let small = Series::new(|_| 0.97, |t| -5.0 - 0.6 * wave(t), |t| 30.0 + wave(t));
    assert_eq!(class(&small.run()).class, Class::Hovering);
}

#[test]
fn neither_still_nor_periodic_is_hovering() {
    let series = Series::new(|t| if t % 15.0 == 0.0 { 0.9 } else { 0.96 }, |_| -3.0, |_| 30.0);
    assert_eq!(class(&series.run()).class, Class::Hovering);
}

#[test]
fn a_run_that_loses_what_it_learnt_is_a_collapse() {
    let series = Series::new(
        |t| if (800.0..1400.0).contains(&t) { 0.1 } else { 1.0 },
        |_| -3.0,
        |_| 30.0,
    );
    let found = class(&series.run());
    assert_eq!(found.class, Class::Collapse);
    assert_eq!((found.evidence.dips, found.evidence.returned), (1, true));
    assert_eq!(found.evidence.longest_dip.unwrap().length(), 600);
    assert_eq!(found.evidence.restricted_share, None);
    // With the restricted loss measured, it must be back where it was before grokking.
    let restricted: Vec<f64> = series
        .steps
        .iter()
        .map(|s| if (800..1400).contains(s) { 4.0 } else { 0.1 })
        .collect();
    let with = |level: f64| Run {
        restricted: Some((&restricted, level)),
        ..series.run()
    };
    let back = class(&with(4.2));
    assert_eq!(back.class, Class::Collapse);
    close(back.evidence.restricted_share.unwrap(), 4.0 / 4.2, 1e-14);
    assert_ne!(class(&with(8.0)).class, Class::Collapse);
}

#[test]
fn dips_shorter_than_half_a_swing_are_none() {
    // The accuracy is below 0.5 in a fifth of each swing.
    let series = Series::new(
        |t| if wave(t) < -0.81 { 0.3 } else { 0.99 },
        |t| -5.0 - 3.0 * wave(t),
        |t| 30.0 + wave(t),
    );
    let found = class(&series.run());
    assert_eq!(found.class, Class::Oscillation);
    assert!(found.evidence.dips > 10);
}

#[test]
fn failed_runs() {
    let mut series = still();
    let diverged = Run {
        diverged: true,
        ..series.run()
    };
    assert_eq!(class(&diverged).class, Class::Failed);
    series.norm[399] = f64::INFINITY;
    assert_eq!(class(&series.run()).class, Class::Failed);
    // Before the window it does not count.
    series.norm.swap(0, 399);
    let limits = Limits {
        window: 1900,
        ..Limits::default()
    };
    assert_eq!(
        classify(&series.run(), &limits, &search()).unwrap().class,
        Class::FixedPoint
    );
    let mut series = still();
    // Forgotten in the last tenth.
    series.train[360..].fill(0.5);
    let found = class(&series.run());
    assert_eq!(found.class, Class::Failed);
    close(found.evidence.train_accuracy, 0.5, 0.01);
    let mut series = still();
    series.test.fill(f64::NAN);
    assert_eq!(class(&series.run()).class, Class::Failed);
}

#[test]
fn only_the_window_counts() {
    let mut series = still();
    series.test[..100].fill(0.1);
    let limits = Limits {
        window: 1000,
        ..Limits::default()
    };
    let found = classify(&series.run(), &limits, &search()).unwrap();
    assert_eq!((found.class, found.evidence.window), (Class::FixedPoint, (1000, 1995)));
}

#[test]
fn a_run_of_few_values_has_a_class_without_a_period() {
    let series = still();
    let few = Run {
        steps: &series.steps[..10],
        train_accuracy: &series.train[..10],
        test_accuracy: &series.test[..10],
        test_loss: &series.loss[..10],
        weight_norm: &series.norm[..10],
        ..series.run()
    };
    let found = class(&few);
    assert_eq!(found.class, Class::FixedPoint);
    assert!(found.evidence.loss_period.is_none() && found.evidence.loss_amplitude.is_nan());
    let wrong = Run {
        steps: &series.steps[..11],
        ..few
    };
    let error = classify(&wrong, &Limits::default(), &search()).unwrap_err().to_string();
    assert!(error.contains("differ in length"), "{error}");
    let empty = Run {
        steps: &[],
        train_accuracy: &[],
        test_accuracy: &[],
        test_loss: &[],
        weight_norm: &[],
        ..few
    };
    assert!(classify(&empty, &Limits::default(), &search()).is_err());
}

#[test]
fn sensitivity_moves_one_limit_at_a_time() {
    let series = Series::new(
        |t| if (800.0..1400.0).contains(&t) { 0.4 } else { 0.97 },
        |t| -5.0 - 1.2 * wave(t),
        |t| 30.0 + wave(t),
    );
    let run = series.run();
    let limits = Limits::default();
    let found = classify(&run, &limits, &search()).unwrap();
    assert_eq!(found.class, Class::Collapse);
    let moved = sensitivity(&run, &found.evidence, &limits, &[0.5, 1.0, 1.5]);
    assert_eq!(moved.len(), 21);
    let of = |name: &str, factor: f64| moved.iter().find(|(n, f, _)| *n == name && *f == factor).unwrap().2;
    // An accuracy of 0.4 is no collapse below 0.25, and the run swings.
    assert_eq!(of("collapsed", 0.5), Class::Oscillation);
    for (name, factor, class) in &moved {
        if (*name, *factor) != ("collapsed", 0.5) {
            assert_eq!(*class, Class::Collapse, "{name} {factor}");
        }
    }
    let series = Series::new(|_| 0.98, |t| -5.0 - 1.2 * wave(t), |t| 30.0 + wave(t));
    let run = series.run();
    let found = classify(&run, &limits, &search()).unwrap();
    let moved = sensitivity(&run, &found.evidence, &limits, &[0.5, 1.5]);
    let others: Vec<_> = moved.iter().filter(|(.., class)| *class != found.class).collect();
    assert_eq!(others, [&("loss_amplitude", 1.5, Class::Hovering)]);
}

/// Agreement that wanders a little around 0.3, with falls planted at these places.
fn agreement(n: usize, falls: &[usize]) -> (Vec<u64>, Vec<f64>) {
    let mut draws = Draws::new(12, 0);
    let mut values: Vec<f64> = (0..n)
        .map(|k| 0.3 + 0.02 * (k as f64 / 400.0).sin() + 0.01 * draws.uniform())
        .collect();
    for &place in falls {
        values[place] -= 0.1;
    }
    ((0..n as u64).map(|k| 100 + k).collect(), values)
}

#[test]
fn falls_are_found_and_merged() {
    let (steps, values) = agreement(400, &[50, 53, 57, 62, 200, 201, 390]);
    let found = find(&steps, &values, 0, 1000, &Rule::default());
    // 53 and 57 are fewer than 5 steps after the last, 62 is not.
    assert_eq!(found.falls, [(150, 157), (162, 162), (300, 301), (490, 490)]);
    assert_eq!((found.values, found.steps), (400, 400));
    close(found.rate(), 4.0 / 400.0, 1e-15);
    assert!((0.001..0.005).contains(&found.mad), "{}", found.mad);
    // A rise is no fall.
    let risen: Vec<f64> = values.iter().map(|x| -x).collect();
    assert!(find(&steps, &risen, 0, 1000, &Rule::default()).falls.is_empty());
}

#[test]
fn nothing_outside_the_window_enters() {
    let (steps, values) = agreement(400, &[150, 180]);
    let within = find(&steps, &values, 200, 300, &Rule::default());
    let mut other = values.clone();
    for (step, value) in steps.iter().zip(&mut other) {
        if !(200..=300).contains(step) {
            *value = -1e6;
        }
    }
    assert_eq!(find(&steps, &other, 200, 300, &Rule::default()), within);
    assert_eq!(within.falls, [(250, 250), (280, 280)]);
    assert_eq!((within.values, within.steps), (101, 101));
    let nothing = find(&steps, &values, 5000, 6000, &Rule::default());
    assert!(nothing.falls.is_empty() && nothing.rate().is_nan() && nothing.mad.is_nan());
}

#[test]
fn white_noise_falls_as_often_as_the_rule_implies() {
    // MAD of a normal is 0.6745 sd: P(x < -3 MAD) = 0.0215. The running median of 51 has some 0.17 sd of noise itself,
    // which makes it a little more.
    let values = normals(8, 20_000);
    let steps: Vec<u64> = (0..20_000).collect();
    let rule = Rule {
        apart: 1,
        ..Rule::default()
    };
    let rate = find(&steps, &values, 0, 20_000, &rule).rate();
    assert!((0.018..0.026).contains(&rate), "{rate}");
    let deep = Rule { depth: 6.0, ..rule };
    assert!(find(&steps, &values, 0, 20_000, &deep).rate() < 2e-4);
}

#[test]
fn the_rate_warms_up() {
    for (step, expected) in [(0, 0.01), (4, 0.05), (9, 0.1), (50, 0.1)] {
        close(rate(0.1, 10, step), expected, 1e-16);
    }
    assert_eq!(rate(0.1, 0, 0), 0.1);
}

#[test]
fn the_budget_of_the_norm_closes() {
    // AdamW-like updates of random direction: D = -lr wd theta + d.
    let (decay, dimension, warmup, lr) = (0.7, 40, 5, 0.03);
    let mut draws = Draws::new(6, 0);
    let mut theta: Vec<f64> = (0..dimension).map(|_| draws.normal()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut norms, mut updates, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..60 {
        let shrink = rate(lr, warmup, step) * decay;
        let d: Vec<f64> = (0..dimension).map(|_| 0.02 * draws.normal()).collect();
        let update: Vec<f64> = theta.iter().zip(&d).map(|(w, d)| d - shrink * w).collect();
        let square = dot(&theta, &theta);
        norms.push(square.sqrt());
        updates.push(dot(&update, &update).sqrt());
        expected.push([
            (shrink * shrink - 2.0 * shrink) * square,
            2.0 * (1.0 - shrink) * dot(&theta, &d),
            dot(&d, &d),
            -dot(&theta, &d) / (square * dot(&d, &d)).sqrt(),
        ]);
        for (w, u) in theta.iter_mut().zip(&update) {
            *w += u;
        }
    }
    let steps: Vec<u64> = (0..60).collect();
    let found = budgets(&steps, &norms, &updates, |step| rate(lr, warmup, step), decay);
    assert_eq!(found.len(), 59);
    for (budget, [damping, along, square, alignment]) in found.iter().zip(&expected) {
        close(budget.damping, *damping, 1e-13);
        close(budget.drive_along, *along, 1e-12);
        close(budget.drive_square, *square, 1e-12);
        close(budget.alignment, *alignment, 1e-9);
        close(budget.damping + budget.drive(), budget.change, 1e-13);
        let k = budget.step as usize;
        close(budget.change, norms[k + 1].powi(2) - norms[k].powi(2), 1e-12);
    }
}

#[test]
fn a_budget_needs_the_next_step() {
    let found = budgets(
        &[0, 1, 3, 4, 5],
        &[1.0, 1.1, 1.2, f64::NAN, 1.3],
        &[0.2; 5],
        |_| 0.1,
        0.5,
    );
    assert_eq!(found.iter().map(|budget| budget.step).collect::<Vec<_>>(), [0]);
    // Decay alone: d is 0, the weights shrink by 1 - lr wd, and there is no direction.
    let found = budgets(&[0, 1], &[2.0, 1.0], &[1.0, 0.5], |_| 1.0, 0.5);
    close(found[0].damping, -3.0, 1e-15);
    assert_eq!((found[0].drive(), found[0].change), (0.0, -3.0));
    assert!(found[0].alignment.is_nan());
}

#[test]
#[should_panic(expected = "as many steps as norms")]
fn budgets_need_series_of_one_length() {
    budgets(&[0, 1], &[1.0], &[1.0, 1.0], |_| 0.1, 0.5);
}
