//! row — copies the row's columns to the metrics ring, if anything was measured at this step.
//!
//! in 0 scalars   in 1 columns [columns]: the segment that fills each   inout 2 block   inout 3 ring [capacity, columns]
//! inout 4 header [capacity, 2 + words]: run id, step, valid bits   params columns, capacity

use crate::backend::cpu::{Args, Scalar};
use crate::plan::{Segment, control};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [width, capacity] = args.params();
    let (scalars, segments) = (args.wide("scalars"), args.word("columns"));
    let block = args.word_mut("block");
    let scheduled = [Segment::Scalars, Segment::Evaluate, Segment::Gram, Segment::Decompose];
    if scheduled.iter().all(|segment| block[control::due(*segment)] == 0) {
        return;
    }
    let place = block[control::ROWS] as usize % capacity;
    args.wide_mut("ring")[place * width..][..width].copy_from_slice(&scalars[control::RATES..][..width]);
    let header_width = 2 + width.div_ceil(32);
    let header = &mut args.word_mut("header")[place * header_width..][..header_width];
    header.fill(0);
    header[0] = block[control::RUN];
    header[1] = block[control::STEP];
    for (column, segment) in segments.iter().enumerate() {
        if block[control::DUE + *segment as usize] != 0 {
            header[2 + column / 32] |= 1 << (column % 32);
        }
    }
    block[control::ROWS] += 1;
}
