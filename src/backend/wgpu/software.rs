//! What Mesa's program for the CPU, llvmpipe, cannot run: it ends all loops of an invocation after 65,535 turns in all, and
//! says nothing. So what would turn more often there is refused.

use crate::error::{Error, Result};
use crate::plan::{Kernel, Launch};

/// Most samples of kernels whose turns grow with the square of their number, and where they stand among the parameters.
const MOST: [(Kernel, usize, u32); 4] = [
    (Kernel::Spectrum, 1, 150),
    (Kernel::Lanczos, 0, 64),
    (Kernel::RankStatistics, 0, 480),
    (Kernel::FormRanks, 0, 480),
];

/// Refuses launches that would give wrong numbers.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`], naming the first.
pub(super) fn check_turns(launches: &[Launch]) -> Result<()> {
    for launch in launches {
        let limit = MOST.iter().find(|(kernel, ..)| *kernel == launch.kernel);
        if let Some((kernel, place, most)) = limit.filter(|(_, place, most)| launch.params[*place] > *most) {
            return Err(Error::unsupported(format!(
                "wgpu: {}: llvmpipe ends loops after 65,535 turns, so kernel {} takes at most {most} samples there, not {}; \
                 a GPU or the CPU backend takes more",
                launch.label,
                kernel.name(),
                launch.params[*place]
            )));
        }
    }
    Ok(())
}
