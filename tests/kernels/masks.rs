//! Slots that are not due, and slots that have ended, are left as they are.

use std::sync::Arc;

use gmatrix::ErrorKind;
use gmatrix::backend::{Executor, Values};
use gmatrix::plan::{Arena, BufferId, Kernel, PlanBuilder, Segment, View, call, control};

use crate::backends::{BACKENDS, Backend};
use crate::case::numbers;
use crate::cases;
use crate::compare::same_bits;
use crate::run::{backends, contents, guarded, run};

/// out = input for slots that take part in `segment`, whose control blocks are given.
fn copied(backend: &Backend, segment: Segment, blocks: &[Vec<u32>]) -> Vec<Vec<f64>> {
    let mut builder = PlanBuilder::new();
    let block = builder.buffer(Arena::Control, "control", &[control::WORDS]);
    let input = builder.buffer(Arena::Scratch, "input", &[33]);
    let out = builder.buffer(Arena::Scratch, "out", &[33]);
    builder.segment(segment);
    builder.op("copy", vec![call(Kernel::Copy, &[], &[input, out], &[33])]);
    let plan = Arc::new(builder.finish().expect("a plan"));
    let id = |view: View| -> BufferId {
        let View::Part { buffer, .. } = view else {
            unreachable!("buffers are parts")
        };
        buffer
    };
    let mut executor: Box<dyn Executor> = (backend.make)(plan, blocks.len()).expect("an executor");
    for (slot, words) in blocks.iter().enumerate() {
        executor
            .upload(slot, id(block), &Values::Words(words.clone()))
            .expect("an upload");
        executor
            .upload(slot, id(input), &Values::Numbers(vec![slot as f64 + 1.0; 33]))
            .expect("an upload");
        executor
            .upload(slot, id(out), &Values::Numbers(vec![-1.0; 33]))
            .expect("an upload");
    }
    executor.submit(&[segment]).expect("a launch");
    let all = (0..blocks.len()).map(|slot| executor.download(slot, id(out)).expect("a download"));
    all.map(|values| numbers(&values).to_vec()).collect()
}

#[test]
fn copy_leaves_slots_alone_that_are_not_due() {
    for backend in backends(Kernel::Copy, None) {
        for segment in Segment::ALL {
            // A step begins in every active slot; the rest follows the due flags.
            let flag = if segment == Segment::Begin {
                control::ACTIVE
            } else {
                control::due(segment)
            };
            let block = |on: bool| {
                let mut block = vec![u32::from(!on); control::WORDS];
                block[flag] = u32::from(on);
                block
            };
            let found = copied(
                &backend,
                segment,
                &[block(true), block(false), block(true), block(false)],
            );
            for (slot, out) in found.iter().enumerate() {
                let expected = if slot % 2 == 0 { slot as f64 + 1.0 } else { -1.0 };
                assert!(
                    out.iter().all(|x| *x == expected),
                    "{} {segment:?}, slot {slot}: {out:?}",
                    backend.title()
                );
            }
        }
    }
}

#[test]
fn copy_runs_no_segment_that_was_not_submitted() {
    for backend in backends(Kernel::Copy, None) {
        let mut builder = PlanBuilder::new();
        let out = builder.buffer(Arena::Scratch, "out", &[3]);
        let input = builder.buffer(Arena::Scratch, "input", &[3]);
        builder.segment(Segment::Gram);
        builder.op("copy", vec![call(Kernel::Copy, &[], &[input, out], &[3])]);
        let plan = Arc::new(builder.finish().expect("a plan"));
        let mut executor = (backend.make)(plan.clone(), 1).expect("an executor");
        let [out, input] = ["out", "input"].map(|name| plan.find(name).expect("a buffer"));
        executor
            .upload(0, input, &Values::Numbers(vec![1.0; 3]))
            .expect("an upload");
        executor.submit(&[Segment::Step, Segment::Update]).expect("no launch");
        assert_eq!(
            executor.download(0, out).expect("a download"),
            Values::Numbers(vec![0.0; 3])
        );
        executor.submit(&[Segment::Gram]).expect("a launch");
        assert_eq!(
            executor.download(0, out).expect("a download"),
            Values::Numbers(vec![1.0; 3])
        );
    }
}

/// A slot that is not due keeps every bit, of every kernel, in the midst of one that is.
fn idle_slot_is_left_alone(on: &[Backend]) {
    for kernel in Kernel::ALL {
        let case = cases::of(*kernel).swap_remove(0);
        if kernel.contract().bindings.iter().any(|binding| binding.name == "block") {
            continue; // Those read the block themselves; their own cases have idle blocks.
        }
        let block = |due: bool| {
            let mut block = vec![0; control::WORDS];
            block[control::due(Segment::Step)] = u32::from(due);
            Values::Words(block)
        };
        let place = case.buffers.iter().position(|buffer| buffer.arena == Arena::Control);
        let case = match place {
            Some(_) => case,
            None => case.beside("block", Arena::Control, control::WORDS, Box::new(move |_| block(true))),
        };
        let place = place.unwrap_or(case.buffers.len() - 1);
        for backend in on {
            let slots: Vec<Vec<Values>> = [true, false]
                .map(|due| {
                    let mut contents = contents(&case, 1, backend);
                    if !due {
                        contents[place] = block(false);
                    }
                    contents
                })
                .into();
            let after = match run(&case, backend, &slots) {
                Ok(after) => after,
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => {
                    println!("Unsupported: {} on {}: {error}", case.title(), backend.title());
                    continue;
                }
                Err(error) => panic!("{} on {}: {error}", case.title(), backend.title()),
            };
            for ((buffer, before), after) in case.buffers.iter().zip(&slots[1]).zip(&after[1]) {
                let expected = guarded(before, buffer.arena, buffer.access);
                let changed = same_bits(&expected, after);
                assert!(
                    changed.is_empty(),
                    "{} on {}: {} changed",
                    case.title(),
                    backend.title(),
                    buffer.name
                );
            }
        }
    }
}

#[test]
fn an_idle_slot_is_left_alone_by_every_kernel() {
    idle_slot_is_left_alone(BACKENDS);
}

#[cfg(feature = "cudarc")]
#[test]
fn a_cuda_device_leaves_an_idle_slot_alone_in_every_kernel() {
    idle_slot_is_left_alone(&crate::backends::CUDA);
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_leaves_an_idle_slot_alone_in_every_kernel() {
    idle_slot_is_left_alone(&[crate::backends::WGPU]);
}
