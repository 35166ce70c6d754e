//! Pressures on the weights beside the loss: what stands between the step's mean gradient and the optimiser ([`Shaping`]),
//! and what follows the update ([`Holding`]).

mod holding;
mod shaping;

pub use holding::Holding;
pub use shaping::Shaping;

use crate::config::Regions;
use crate::model::Network;
use crate::plan::{Kernel, KernelCall, PlanBuilder, View, call};
use crate::stats::reduce;

fn scale(x: View, factor: View, ends: View) -> KernelCall {
    call(Kernel::Scale, &[], &[x, factor, ends], &[x.len(), ends.len()])
}

/// Adds out `[regions]` = dot products within each region.
fn region_dots(builder: &mut PlanBuilder, label: &str, [x, y]: [View; 2], ends: View, out: View) {
    let partial = reduce::partial(builder, x.len(), ends.len());
    builder.op(
        label,
        vec![
            call(Kernel::RegionSums, &[], &[x, y, ends, partial], &[x.len(), ends.len()]),
            reduce::sum_rows(partial, out),
        ],
    );
}

/// Where every region ends among the parameters.
fn ends(builder: &mut PlanBuilder, net: &Network, regions: Regions) -> View {
    let tensors = net.layout.tensors.iter();
    let ends = match regions {
        Regions::Tensor => tensors.map(|tensor| (tensor.offset + tensor.len()) as u32).collect(),
        Regions::None | Regions::Global => vec![net.layout.len as u32],
    };
    builder.table("region_ends", ends)
}
