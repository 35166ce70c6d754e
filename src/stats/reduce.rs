//! Reductions over parameters: fixed blocks, then their rows in order.

use crate::plan::{Arena, BLOCK, Kernel, KernelCall, PlanBuilder, View, call};

/// Room for `width` sums of every block of `len` parameters.
pub fn partial(builder: &mut PlanBuilder, len: usize, width: usize) -> View {
    builder.buffer(Arena::WideScratch, "partial", &[len.div_ceil(BLOCK), width])
}

/// out `[width]` = sums of the rows of `partial`.
pub fn sum_rows(partial: View, out: View) -> KernelCall {
    let width = out.len();
    call(
        Kernel::SumRows,
        &[],
        &[partial, out],
        &[partial.len() / width.max(1), width],
    )
}

/// Adds `out [1]` = x . y.
pub fn dot(builder: &mut PlanBuilder, label: &str, x: View, y: View, out: View) {
    let partial = partial(builder, x.len(), 1);
    builder.op(
        label,
        vec![
            call(Kernel::Dot, &[], &[x, y, partial], &[x.len()]),
            sum_rows(partial, out),
        ],
    );
}
