//! Whole courses of the control block: what is due, when a run memorises, groks and ends.

use gmatrix::backend::Values;
use gmatrix::plan::{Kernel, Segment, control};
use gmatrix::stats::columns;

use crate::backends::Backend;
use crate::case::words;
use crate::cases::control::{block, step};
use crate::run::{backends, outputs};

const SCALARS: usize = control::RATES + columns::PROPERTIES;

/// How a run went.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    memorised: Option<u32>,
    grokked: Option<u32>,
    /// Steps done when it ended, and why.
    ended: (u32, u32),
    evaluations: u32,
}

/// What a run is like.
struct Run<'a> {
    evaluate_every: u32,
    steps: u32,
    /// Steps after grokking at which it ends.
    after: u32,
    /// Train and test accuracy at a step.
    accuracy: &'a dyn Fn(u32) -> [f64; 2],
    /// The loss of a step's batch.
    loss: &'a dyn Fn(u32) -> f64,
}

impl Run<'_> {
    /// Runs the three phases of every step on a backend until the run ends.
    fn course(&self, backend: &Backend) -> Course {
        let mut state = block(0);
        state[control::EVALUATIONS] = 0;
        state[control::every(Segment::Evaluate)] = self.evaluate_every;
        state[control::MAX_STEPS] = self.steps;
        state[control::STOP_AFTER_GROKKING] = self.after;
        let mut state = Values::Words(state);
        let mut history = Values::Numbers(vec![0.0; 2 * control::HISTORY]);
        loop {
            let now = words(&state)[control::STEP];
            let [train, test] = (self.accuracy)(now);
            for phase in 0..3 {
                let mut scalars = vec![0.5; SCALARS];
                scalars[control::BATCH_LOSS] = (self.loss)(now);
                // Accuracies are stale unless an evaluation is due: the kernel must not look at them then.
                let due = words(&state)[control::due(Segment::Evaluate)] != 0;
                scalars[control::RATES + columns::TRAIN_ACCURACY] = if due { train } else { 1.0 };
                scalars[control::RATES + columns::TEST_ACCURACY] = if due { test } else { 1.0 };
                // The launch itself needs a slot that runs.
                let settings = Values::Numbers(vec![0.5; control::SETTINGS]);
                let call = [state.clone(), settings, Values::Numbers(scalars), history.clone()];
                let out = outputs(&step(phase, call), backend).expect("a launch");
                (state, history) = (out["block"].clone(), out["history"].clone());
                let block = words(&state);
                if block[control::ACTIVE] == 0 {
                    let first = |place: usize| block[place].checked_sub(1);
                    return Course {
                        memorised: first(control::MEMORISED),
                        grokked: first(control::GROKKED),
                        ended: (block[control::STEP], block[control::ENDED]),
                        evaluations: block[control::EVALUATIONS],
                    };
                }
            }
        }
    }

    /// The same from the definitions, with the whole series in hand.
    fn expected(&self) -> Course {
        let mut course = Course {
            memorised: None,
            grokked: None,
            ended: (0, 0),
            evaluations: 0,
        };
        let mut tests: Vec<(u32, f64)> = Vec::new();
        for now in 0.. {
            if !(self.loss)(now).is_finite() {
                course.ended = (now, control::ENDED_DIVERGED);
                return course;
            }
            if now % self.evaluate_every == 0 {
                let [train, test] = (self.accuracy)(now);
                course.evaluations += 1;
                tests.push((now, test));
                let mut last: Vec<f64> = tests.iter().filter(|(at, _)| at + 50 > now).map(|(_, x)| *x).collect();
                last.sort_by(f64::total_cmp);
                let median = 0.5 * (last[(last.len() - 1) / 2] + last[last.len() / 2]);
                if train >= 0.99 && course.memorised.is_none() {
                    course.memorised = Some(now);
                }
                if median >= 0.95 && course.grokked.is_none() {
                    course.grokked = Some(now);
                }
            }
            let done = now + 1;
            let grokked = course
                .grokked
                .is_some_and(|at| self.after != u32::MAX && done >= at + self.after);
            if done >= self.steps {
                course.ended = (done, control::ENDED_STEPS);
                return course;
            }
            if grokked {
                course.ended = (done, control::ENDED_GROKKED);
                return course;
            }
        }
        unreachable!("every run ends")
    }
}

fn agree(run: &Run, backend: &Backend) -> Course {
    let course = run.course(backend);
    assert_eq!(course, run.expected());
    course
}

#[test]
fn control_finds_transitions_and_ends() {
    let fine = |_: u32| 1.0;
    let learns = |now: u32| [f64::from(now) / 40.0, (f64::from(now) - 60.0) / 30.0].map(|x: f64| x.clamp(0.0, 1.0));
    // Above the line at single evaluations only: the median never is.
    let flickers = |now: u32| [1.0, if now % 4 == 3 { 1.0 } else { 0.2 }];
    // Collapses after grokking.
    let collapses = |now: u32| [1.0, if (50..100).contains(&now) { 1.0 } else { 0.0 }];
    for backend in backends(Kernel::Control, None) {
        for evaluate_every in [1, 3, 10, 50, 70] {
            let run = |accuracy, steps: u32, after: u32| Run {
                evaluate_every,
                steps,
                after,
                accuracy,
                loss: &fine,
            };
            let course = agree(&run(&learns, 300, u32::MAX), &backend);
            assert_eq!(course.ended, (300, control::ENDED_STEPS));
            let course = agree(&run(&learns, 400, 25), &backend);
            assert_eq!(
                course.ended,
                (course.grokked.expect("it groks") + 25, control::ENDED_GROKKED)
            );
            agree(&run(&learns, 100, 0), &backend);
            agree(&run(&collapses, 200, 120), &backend);
            // Never groks: censored, ended by its steps.
            if evaluate_every < 10 {
                let course = agree(&run(&flickers, 130, 10), &backend);
                assert_eq!((course.grokked, course.ended.1), (None, control::ENDED_STEPS));
            }
        }
    }
}

#[test]
fn control_ends_a_run_whose_loss_is_not_finite() {
    let accuracy = |_: u32| [0.5, 0.5];
    for backend in backends(Kernel::Control, None) {
        for bad in [f64::NAN, f64::INFINITY] {
            let loss = |now: u32| if now == 17 { bad } else { 2.0 };
            let run = Run {
                evaluate_every: 10,
                steps: 40,
                after: 5,
                accuracy: &accuracy,
                loss: &loss,
            };
            let course = agree(&run, &backend);
            assert_eq!(course.ended, (17, control::ENDED_DIVERGED));
        }
    }
}
