//! Slots that are not due, and slots that have ended, are left as they are.

use std::sync::Arc;

use gmatrix::backend::{Executor, Values};
use gmatrix::plan::{Arena, BufferId, Kernel, PlanBuilder, Segment, View, call, control};

use crate::backends::Backend;
use crate::case::numbers;
use crate::run::backends;

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
