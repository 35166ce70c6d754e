//! The run itself: its control block and its rows of metrics.

use super::parts::{choice, no_flops, one, read, update};
use crate::plan::buffer::Element::{Wide, Word};

contracts! {
    /// Advances a slot's control block: what is due and the step's rates (PHASE 0), the guard against divergence
    /// before the update (1), transitions, end conditions and the next step (2).
    CONTROL = "control" {
        bindings: [update("block", Word), read("settings", Wide), update("scalars", Wide), update("history", Wide)],
        params: [],
        constants: [choice("PHASE", &[0, 1, 2])],
        items: one,
        flops: no_flops,
    }
    /// Copies the row's columns to the metrics ring with the run's id, its step and which columns are valid.
    ROW = "row" {
        bindings: [
            read("scalars", Wide), read("columns", Word), update("block", Word), update("ring", Wide),
            update("header", Word),
        ],
        params: [columns, capacity],
        constants: [],
        items: one,
        flops: no_flops,
    }
}
