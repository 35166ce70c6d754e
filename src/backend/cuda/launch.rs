//! How a launch is made: its grid, and its arguments as bytes.

use super::manifest;
use super::source::ALWAYS;
use crate::backend::Precision;
use crate::error::{Error, Result};
use crate::plan::{Arena, Element, Launch, Plan, Segment, control};

/// Most blocks along the first axis of a grid.
const MAX_X: u64 = (1 << 31) - 1;
/// Most blocks along its other axes.
const MAX_YZ: u64 = 65_535;

/// Blocks of one run; as many threads each as the kernel's specialisation says.
fn groups(launch: &Launch) -> u64 {
    let source = manifest::find(launch.kernel).expect("lowering has checked that the kernel is there");
    (source.groups)(&launch.params, &launch.spec)
}

/// The grid of a launch over so many runs: blocks of one run along the first two axes, runs along the third. None if
/// there is nothing to do.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`] if it exceeds what a grid may have.
///
/// # Panics
/// If the kernel is not in the manifest, which `lower` checks.
pub fn grid(launch: &Launch, runs: usize) -> Result<Option<[u32; 3]>> {
    let groups = groups(launch);
    if groups == 0 || runs == 0 {
        return Ok(None);
    }
    let rows = groups.div_ceil(MAX_X);
    if rows > MAX_YZ || runs as u64 > MAX_YZ {
        return Err(Error::unsupported(format!(
            "{}: kernel {} needs a grid of {groups} blocks for each of {runs} runs, more than CUDA has",
            launch.label,
            launch.kernel.name()
        )));
    }
    Ok(Some([groups.div_ceil(rows) as u32, rows as u32, runs as u32]))
}

/// The one argument of a kernel, `struct Launch` of its source. `address` gives where an arena begins on the device.
///
/// # Panics
/// If the kernel is not in the manifest, which `lower` checks.
pub fn arguments(launch: &Launch, plan: &Plan, precision: Precision, address: impl Fn(Arena) -> u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |value: u64| bytes.extend(value.to_ne_bytes());
    for binding in &launch.bindings {
        let size = match binding.arena.element() {
            Element::Real => precision.bytes(),
            Element::Wide => 8,
            Element::Word => 4,
        };
        put(address(binding.arena) + (binding.start * size) as u64);
        put(plan.stride(binding.arena) as u64);
    }
    let control_stride = plan.stride(Arena::Control);
    put(address(Arena::Control));
    put(control_stride as u64);
    put(groups(launch));
    let due = match launch.segment {
        _ if control_stride == 0 => ALWAYS,
        Segment::Begin => control::ACTIVE as u32,
        segment => control::due(segment) as u32,
    };
    for word in [due].iter().chain(&launch.params) {
        bytes.extend(word.to_ne_bytes());
    }
    // The struct is as long as a multiple of its alignment.
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
