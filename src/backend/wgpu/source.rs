//! The text of a specialised shader: what follows from the contract, the shared files it asks for, and its body.

use std::fmt::Write as _;

use super::manifest::{self, SHARED};
use crate::backend::places;
use crate::plan::{Access, Binding, Contract, Element, Kernel};

/// Words at the head of a launch's uniform block, before parameters and bindings.
pub(super) const HEAD: [&str; 5] = ["grid_columns", "groups", "due", "zero", "control_stride"];

/// Value of `due` where a launch takes part in every step.
pub(super) const ALWAYS: u32 = u32::MAX;

/// Complete WGSL of one kernel; none if it is not in the manifest.
///
/// `writable` has one flag for each active binding: whether the launch writes to the arena it lies in. wgpu rejects a
/// buffer that one dispatch uses both as `read` and as `read_write`, so such a binding is declared `read_write` even
/// where the kernel only reads it.
pub fn source(kernel: Kernel, spec: &[u32], writable: &[bool]) -> Option<String> {
    let body = manifest::find(kernel)?.body;
    let contract = kernel.contract();
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (constant, value) in contract.constants.iter().zip(spec) {
        let _ = writeln!(text, "const {}: u32 = {value}u;", constant.name);
    }
    declare(&mut text, contract, spec, writable);
    for import in body.lines().filter_map(|line| line.strip_prefix("// import ")) {
        if import == "layout" {
            text.push_str(&layout(contract));
        } else {
            text.push_str(SHARED.iter().find(|(name, _)| *name == import)?.1);
        }
    }
    text.push_str(body);
    Some(text)
}

/// Whether this kernel binds the control block itself, so that it is not bound a second time.
pub(super) fn binds_control(contract: &Contract) -> bool {
    contract.bindings.iter().any(|binding| binding.name == "block")
}

fn element(binding: &Binding) -> &'static str {
    match binding.element {
        Element::Real => "f32",
        Element::Wide => "vec2<f32>",
        Element::Word => "u32",
    }
}

/// Bindings in the contract's order, the control block behind them, and the uniform block.
fn declare(text: &mut String, contract: &Contract, spec: &[u32], writable: &[bool]) {
    let _ = writeln!(text, "struct Launch {{");
    for field in HEAD.iter().chain(contract.params) {
        let _ = writeln!(text, "    {field}: u32,");
    }
    let active: Vec<&Binding> = contract.active_bindings(spec).collect();
    for binding in &active {
        let _ = writeln!(text, "    {0}_start: u32,\n    {0}_stride: u32,", binding.name);
    }
    let _ = writeln!(text, "}}\n@group(1) @binding(0) var<uniform> launch: Launch;");
    for (place, (binding, widened)) in active.iter().zip(writable).enumerate() {
        let (name, element) = (binding.name, element(binding));
        let access = if binding.access == Access::Read && !widened {
            "read"
        } else {
            "read_write"
        };
        let _ = writeln!(
            text,
            "@group(0) @binding({place}) var<storage, {access}> {name}: array<{element}>;\n\
             fn {name}_at(run: u32) -> u32 {{ return launch.{name}_start + run * launch.{name}_stride; }}"
        );
    }
    // Bindings that this specialisation lacks stand in code that it never reaches, but that must still compile.
    for binding in contract.bindings {
        if !active.iter().any(|other| other.name == binding.name) {
            let (name, element) = (binding.name, element(binding));
            let _ = writeln!(
                text,
                "var<private> {name}: array<{element}, 1>;\nfn {name}_at(run: u32) -> u32 {{ return 0u; }}"
            );
        }
    }
    let block = if binds_control(contract) {
        "block"
    } else {
        let _ = writeln!(
            text,
            "@group(0) @binding({}) var<storage, read> control: array<u32>;",
            active.len()
        );
        "control"
    };
    let _ = writeln!(
        text,
        "fn due(run: u32) -> bool {{\n    \
         return launch.due == {ALWAYS}u || {block}[run * launch.control_stride + launch.due] != 0u;\n}}\n\
         fn group_index(group: vec3<u32>) -> u32 {{ return group.y * launch.grid_columns + group.x; }}"
    );
}

/// Places that host and device must agree on, as constants; without those whose names the kernel gives to its own.
fn layout(contract: &Contract) -> String {
    let mut text = String::new();
    for (name, value) in places::all() {
        if contract.constants.iter().all(|own| own.name != name) {
            let _ = writeln!(text, "const {name}: u32 = {value}u;");
        }
    }
    text
}
