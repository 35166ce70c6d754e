//! The text of a specialised kernel: what all kernels share, what follows from the contract, and its body.

use std::fmt::Write as _;

use super::manifest::{self, SHARED};
use crate::backend::{Precision, places};
use crate::plan::{Access, Binding, Contract, Element, Kernel};

/// Value of `due` where a launch takes part in every step.
pub(super) const ALWAYS: u32 = u32::MAX;

/// What stands before a kernel: places that host and device must agree on, and the shared files that it asks for. None if
/// it is not in the manifest.
pub fn preamble(kernel: Kernel) -> Option<String> {
    let mut asked: Vec<&str> = imports(manifest::find(kernel)?.body).collect();
    // What is asked for stands before what asks for it.
    for (name, text) in SHARED.iter().rev() {
        if asked.contains(name) {
            asked.extend(imports(text));
        }
    }
    Some(assemble(|name| asked.contains(&name)))
}

/// The same for a kernel that asks for no shared file.
pub fn common() -> String {
    assemble(|_| false)
}

fn assemble(asked: impl Fn(&str) -> bool) -> String {
    let mut text = String::from("enum : unsigned {\n");
    for (name, value) in places::all() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {name} = {value},");
    }
    text.push_str("};\n");
    for (name, shared) in SHARED {
        if *name == "common" || asked(name) {
            text.push_str(shared);
        }
    }
    text
}

fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("// import "))
}

/// Complete CUDA C++ of one kernel; none if it is not in the manifest. In a namespace, where its constants may have names
/// that places have too.
pub fn source(kernel: Kernel, spec: &[u32], precision: Precision) -> Option<String> {
    let own = specialisation(kernel, spec, precision)?;
    Some(format!("{}namespace kernel {{\n{own}}}\n", preamble(kernel)?))
}

/// The text behind the preamble, so written that several specialisations may stand in namespaces of one file: constants,
/// `real`, `struct Launch` (what the host passes), `struct Args` (what the body gets, for one run), body, entry point.
pub fn specialisation(kernel: Kernel, spec: &[u32], precision: Precision) -> Option<String> {
    let found = manifest::find(kernel)?;
    let contract = kernel.contract();
    let active: Vec<&Binding> = contract.active_bindings(spec).collect();
    let params: Vec<String> = contract.params.iter().map(|name| parameter(contract, name)).collect();
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (constant, value) in contract.constants.iter().zip(spec) {
        let _ = writeln!(text, "enum : u32 {{ {} = {value} }};", constant.name);
    }
    let _ = writeln!(text, "enum : u32 {{ THREADS = {} }};", found.threads);
    let _ = writeln!(
        text,
        "typedef {} real;",
        match precision {
            Precision::F32 => "float",
            Precision::F64 => "double",
        }
    );
    // In the order of `launch::arguments`: what has eight bytes, then what has four.
    text.push_str("struct Launch {\n");
    for binding in &active {
        let _ = writeln!(text, "    {} {1};\n    u64 {1}_stride;", pointer(binding), binding.name);
    }
    text.push_str("    const u32* control;\n    u64 control_stride;\n    u64 groups;\n    u32 due;\n");
    for name in &params {
        let _ = writeln!(text, "    u32 {name};");
    }
    text.push_str("};\nstruct Args {\n");
    // Bindings that this specialisation lacks stand in code that it never reaches, but that must still compile.
    for binding in contract.bindings {
        let _ = writeln!(text, "    {} {};", pointer(binding), binding.name);
    }
    text.push_str("    const u32* control;\n");
    for name in &params {
        let _ = writeln!(text, "    u64 {name};");
    }
    text.push_str("};\n");
    text.push_str(found.body);
    let bound = contract.bindings.iter().map(|binding| {
        if active.iter().any(|other| other.name == binding.name) {
            format!("launch.{0} + slot * launch.{0}_stride", binding.name)
        } else {
            "nullptr".to_owned()
        }
    });
    let given = params.iter().map(|name| format!("launch.{name}"));
    let args: Vec<String> = bound.chain(["control".to_owned()]).chain(given).collect();
    let _ = write!(
        text,
        "
ENTRY void __launch_bounds__(THREADS) {}(const Launch launch) {{
    const u64 slot = blockIdx.z;
    const u64 group = u64(blockIdx.y) * gridDim.x + blockIdx.x;
    const u32* control = launch.control + slot * launch.control_stride;
    if ((launch.due != {ALWAYS}u && control[launch.due] == 0) || group >= launch.groups) {{
        return;
    }}
    const Args args = {{{}}};
    run(args, group);
}}
",
        contract.name,
        args.join(", ")
    );
    Some(text)
}

/// Name of a parameter in the source: some have the name of a binding, of which they count something.
fn parameter(contract: &Contract, name: &str) -> String {
    if contract.bindings.iter().any(|binding| binding.name == name) {
        format!("{name}_count")
    } else {
        name.to_owned()
    }
}

fn pointer(binding: &Binding) -> String {
    let element = match binding.element {
        Element::Real => "real",
        Element::Wide => "wide",
        Element::Word => "u32",
    };
    if binding.access == Access::Read {
        format!("const {element}*")
    } else {
        format!("{element}*")
    }
}
