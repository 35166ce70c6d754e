//! Chunks that the device begins before the last one's rows are read.

use gmatrix::backend::wgpu::WgpuExecutor;
use gmatrix::backend::{Executor, Values};
use gmatrix::plan::Segment;
use gmatrix::record::{EndReason, MetricsRow};
use gmatrix::trainer::Experiment;

use super::support::{WGPU, experiment, trainer};
use super::supported;

/// Rows of two runs, bit by bit, and all that they leave on the device.
type Left = (Vec<(u32, u64, Vec<u64>)>, Vec<(String, Vec<u64>)>);

fn left(experiments: &[Experiment], ahead: u64) -> Left {
    let mut trainer = trainer(WGPU, experiments);
    let ended = |end: Option<EndReason>| end.is_some();
    let mut rows: Vec<MetricsRow> = Vec::new();
    while !(0..experiments.len()).all(|slot| ended(trainer.status(slot).expect("filled").end)) {
        rows.extend(trainer.run_chunk_ahead(7, ahead).expect("trained"));
    }
    let of_values = |values: Values| -> Vec<u64> {
        match values {
            Values::Numbers(numbers) => numbers.into_iter().map(f64::to_bits).collect(),
            Values::Words(words) => words.into_iter().map(u64::from).collect(),
        }
    };
    let mut states = Vec::new();
    for slot in 0..experiments.len() {
        let state = trainer.state(slot).expect("state").into_iter();
        states.extend(state.map(|(name, _, values)| (format!("{name} of run {slot}"), of_values(values))));
    }
    let bits = |row: MetricsRow| (row.run, row.step, row.values.iter().map(|x| x.to_bits()).collect());
    let mut rows: Vec<_> = rows.into_iter().map(bits).collect();
    rows.sort();
    (rows, states)
}

#[test]
fn wgpu_steps_ahead_leave_rows_and_states_as_they_are() {
    if !supported() {
        return;
    }
    // The first ends within a chunk while the second goes on; both end with a chunk on its way.
    let experiments = ["train.steps=17", "train.steps=45"].map(|steps| experiment(&[steps]));
    let (rows, states) = left(&experiments, 0);
    assert_eq!(rows.len(), 17 + 45);
    let (rows_ahead, states_ahead) = left(&experiments, 7);
    assert!(rows_ahead == rows, "rows differ");
    for (ahead, expected) in states_ahead.iter().zip(&states) {
        assert!(ahead == expected, "{} differs", expected.0);
    }
}

#[test]
fn wgpu_copies_hold_what_was_there_when_they_were_asked_for() {
    if !supported() {
        return;
    }
    let program = experiment(&[]).program().expect("a plan");
    let mut executor = WgpuExecutor::new(program.plan.clone(), 2).expect("an executor");
    assert!(executor.is_asynchronous());
    let (id, buffer) = program.plan.persistent().next().expect("the parameters");
    let numbers = |x: f64| Values::Numbers(vec![x; buffer.len()]);
    let mut copies = Vec::new();
    for x in [1.0, 2.0, 3.0] {
        executor.upload(1, id, &numbers(x)).expect("uploaded");
        executor.submit(&[Segment::Begin]).expect("submitted");
        copies.push(executor.request(&[(0, id), (1, id)]).expect("asked for"));
    }
    // The last first: each has its own memory.
    for x in [3.0, 2.0, 1.0] {
        let copy = copies.pop().expect("a copy");
        assert_eq!(copy().expect("copied"), [numbers(0.0), numbers(x)]);
    }
    executor.set_profiling(true).expect("a clock");
    assert!(!executor.is_asynchronous());
}
