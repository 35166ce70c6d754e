//! Devices with small limits, and devices that fail.

use std::sync::Arc;

use gmatrix::ErrorKind;
use gmatrix::backend::wgpu::{DeviceOptions, WgpuExecutor, capabilities};
use gmatrix::backend::{Executor, Values};
use gmatrix::plan::{Arena, Element, Kernel, Plan, PlanBuilder, Segment, View, call, lower};
use gmatrix::record::MetricsRow;
use gmatrix::trainer::{Experiment, Trainer};

use super::support::{WGPU, experiment, trainer};
use super::supported;

/// Bytes that the largest argument of a plan has in one run, and that its largest arena has.
fn largest(plan: &Plan) -> (u64, u64) {
    let bytes = |arena: Arena, elements: usize| {
        let size = if arena.element() == Element::Wide { 8 } else { 4 };
        (elements * size) as u64
    };
    let launches = lower(plan, &capabilities()).expect("every kernel is there");
    let arguments = launches.iter().flat_map(|launch| &launch.bindings);
    let argument = arguments.map(|binding| bytes(binding.arena, binding.len)).max();
    let arena = Arena::ALL.iter().map(|arena| bytes(*arena, plan.stride(*arena))).max();
    (argument.expect("a launch"), arena.expect("an arena"))
}

/// Options with bindings of at most so many bytes.
fn bindings(bytes: u64) -> DeviceOptions {
    let mut options = DeviceOptions::default();
    options.limits.max_storage_buffer_binding_size = bytes;
    options
}

/// Run, step and the bits of the values.
type Row = (u32, u64, Vec<u64>);

/// Rows, bit by bit, and weights after some steps.
fn trained(mut trainer: Trainer, slots: usize) -> (Vec<Row>, Vec<Vec<f64>>) {
    let rows = trainer.run_chunk(5).expect("trained").into_iter();
    let bits = |row: MetricsRow| (row.run, row.step, row.values.iter().map(|x| x.to_bits()).collect());
    let weights = (0..slots).map(|slot| trainer.weights(slot).expect("weights")).collect();
    (rows.map(bits).collect(), weights)
}

#[test]
fn wgpu_launches_are_split_over_runs_where_bindings_are_small() {
    if !supported() {
        return;
    }
    let all = ["stats.gram_every=2", "stats.decompose_every=2", "stats.samples=30"];
    let of_seed = |seed: u32| experiment(&[&all[..], &[&format!("task.seed={seed}")]].concat());
    let experiments: Vec<Experiment> = (0..5).map(of_seed).collect();
    let expected = trained(trainer(WGPU, &experiments), 5);
    let program = experiments[0].program().expect("a plan");
    let (argument, arena) = largest(&program.plan);
    // Two runs of the largest arena exceed it, so that its launches go one run at a time, others two or more.
    let limit = (argument + 256).next_multiple_of(256);
    assert!(2 * arena > limit);
    let small = |plan: Arc<Plan>, runs: usize| -> Box<dyn Executor> {
        Box::new(WgpuExecutor::with_options(plan, runs, &bindings(limit)).expect("it is split"))
    };
    assert!(trained(trainer(&small, &experiments), 5) == expected);
}

/// A plan that copies between two buffers of an arena.
fn copying(len: usize) -> (Arc<Plan>, [View; 2]) {
    let mut builder = PlanBuilder::new();
    let views = ["from", "to"].map(|name| builder.buffer(Arena::Scratch, name, &[len]));
    builder.segment(Segment::Step);
    builder.op("copied", vec![call(Kernel::Copy, &[], &views, &[len])]);
    (Arc::new(builder.finish().expect("a plan")), views)
}

#[test]
fn wgpu_arenas_may_exceed_a_binding_but_no_argument_may() {
    if !supported() {
        return;
    }
    let len = 50_001;
    let (plan, [from, to]) = copying(len);
    let (View::Part { buffer: from, .. }, View::Part { buffer: to, .. }) = (from, to) else {
        unreachable!("buffer() makes parts")
    };
    let bytes = 4 * len as u64;
    let options = bindings(bytes + 256);
    let mut executor = WgpuExecutor::with_options(plan.clone(), 3, &options).expect("each argument fits");
    let numbers = |slot: usize| Values::Numbers((0..len).map(|k| (k * (slot + 1)) as f64).collect());
    for slot in 0..3 {
        executor.upload(slot, from, &numbers(slot)).expect("uploaded");
    }
    executor.submit(&[Segment::Step]).expect("copied");
    for slot in 0..3 {
        assert_eq!(executor.download(slot, to).expect("read"), numbers(slot), "slot {slot}");
    }
    let refused = |options: &DeviceOptions, named: &[&str]| {
        let error = WgpuExecutor::with_options(plan.clone(), 1, options).expect_err("too small");
        assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
        let error = error.to_string();
        assert!(named.iter().all(|name| error.contains(name)), "{error}");
    };
    let (needed, most) = (bytes.to_string(), (bytes - 4).to_string());
    refused(
        &bindings(bytes - 4),
        &["copied", "argument", "copy", &needed, &most, "fewer samples"],
    );
    let mut options = DeviceOptions::default();
    options.limits.max_buffer_size = 1 << 18;
    refused(&options, &["Scratch", "262144", "fewer runs"]);
}

#[test]
fn wgpu_pipelines_that_the_driver_refuses_are_errors_with_the_kernels_name() {
    if !supported() {
        return;
    }
    let (plan, _) = copying(10);
    let mut options = DeviceOptions::default();
    options.limits.max_compute_invocations_per_workgroup = 64;
    options.limits.max_compute_workgroup_size_x = 64;
    let error = WgpuExecutor::with_options(plan, 1, &options).expect_err("a workgroup of 256 threads");
    let ErrorKind::Compile { kernel, log } = error.kind() else {
        panic!("{error}");
    };
    assert!(kernel.starts_with("copy") && log.contains("256"), "{error}");
}

#[test]
fn wgpu_devices_that_are_lost_are_errors_that_say_where() {
    if !supported() {
        return;
    }
    let (plan, [View::Part { buffer, .. }, _]) = copying(10) else {
        unreachable!("buffer() makes parts")
    };
    let own = || WgpuExecutor::with_options(plan.clone(), 1, &DeviceOptions::default()).expect("an executor");
    let numbers = Values::Numbers(vec![1.0; 10]);
    let mut lost = own();
    // A copy that is on its way when the device goes comes home or fails, but never waits for ever.
    let pending = lost.request(&[(0, buffer)]).expect("asked for");
    lost.destroy_device();
    if let Ok(values) = pending() {
        assert_eq!(values, [Values::Numbers(vec![0.0; 10])]);
    }
    let check = |result: gmatrix::Result<()>, named: &str| {
        let error = result.expect_err("there is no device");
        assert!(matches!(error.kind(), ErrorKind::Device(_)), "{error}");
        let error = error.to_string();
        assert!(
            error.contains(named) && error.contains("the device was lost"),
            "{error}"
        );
    };
    check(lost.submit(&[Segment::Step]), "segments step");
    check(lost.upload(0, buffer, &numbers), "upload of from");
    check(lost.download(0, buffer).map(|_| ()), "download of from");
    check(lost.request(&[(0, buffer)]).map(|_| ()), "download of from");
    // Another executor has another device.
    let mut next = own();
    next.upload(0, buffer, &numbers).expect("uploaded");
    assert_eq!(next.download(0, buffer).expect("read"), numbers);
}

#[test]
fn wgpu_profiles_say_what_they_lack() {
    if !supported() {
        return;
    }
    let options = DeviceOptions {
        features: wgpu::Features::empty(),
        ..DeviceOptions::default()
    };
    let mut executor = WgpuExecutor::with_options(copying(10).0, 1, &options).expect("an executor");
    let error = executor.set_profiling(true).expect_err("no clock");
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    assert!(error.to_string().contains("timestamp queries"), "{error}");
    // It goes on without.
    executor.submit(&[Segment::Step]).expect("copied");
}
