//! Every shader in every specialisation, parsed and validated by naga, against its kernel's contract: bindings in
//! order, their access and elements, what the body does with them, workgroup memory and size. Needs no GPU.
#![cfg(feature = "wgpu")]

use gmatrix::backend::wgpu::{kernels, source};
use gmatrix::plan::{Access, Element, Kernel};
use wgpu::naga;

/// WebGPU's default limits.
const WORKGROUP_BYTES: u32 = 16 * 1024;
const INVOCATIONS: u32 = 256;
const STORAGE_BUFFERS: usize = 8;

struct Shader {
    name: String,
    module: naga::Module,
    info: naga::valid::ModuleInfo,
}

fn parse(kernel: Kernel, spec: &[u32], writable: &[bool]) -> Result<Shader, String> {
    let name = format!("{} {spec:?}", kernel.name());
    let text = source(kernel, spec, writable).ok_or_else(|| format!("{name}: an import does not exist"))?;
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string_with_path(&text, &name))?;
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
    let info = validator
        .validate(&module)
        .map_err(|e| e.emit_to_string_with_path(&text, &name))?;
    Ok(Shader { name, module, info })
}

/// All shaders, with bindings as the contract declares them and with all of them writable.
fn shaders() -> Vec<(Kernel, Vec<u32>, bool, Shader)> {
    let mut all = Vec::new();
    let mut errors = Vec::new();
    for kernel in kernels() {
        for spec in kernel.contract().specialisations() {
            let count = kernel.contract().active_bindings(&spec).count();
            for widened in [false, true] {
                match parse(kernel, &spec, &vec![widened; count]) {
                    Ok(shader) => all.push((kernel, spec.clone(), widened, shader)),
                    Err(error) => errors.push(error),
                }
            }
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    all
}

fn element(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<Element> {
    let naga::TypeInner::Array { base, .. } = module.types[ty].inner else {
        return None;
    };
    match module.types[base].inner {
        naga::TypeInner::Scalar(naga::Scalar::F32) => Some(Element::Real),
        naga::TypeInner::Scalar(naga::Scalar::U32) => Some(Element::Word),
        naga::TypeInner::Vector {
            size: naga::VectorSize::Bi,
            scalar: naga::Scalar::F32,
        } => Some(Element::Wide),
        _ => None,
    }
}

#[test]
fn wgpu_bindings_are_those_of_the_contract() {
    for (kernel, spec, widened, shader) in shaders() {
        let name = &shader.name;
        let contract = kernel.contract();
        let mut expected: Vec<(String, Element, bool)> = contract
            .active_bindings(&spec)
            .map(|b| (b.name.to_owned(), b.element, widened || b.access.writes()))
            .collect();
        if !contract.bindings.iter().any(|b| b.name == "block") {
            expected.push(("control".into(), Element::Word, false));
        }
        assert!(
            expected.len() <= STORAGE_BUFFERS,
            "{name}: {} storage buffers",
            expected.len()
        );
        let mut found: Vec<(u32, String, Element, bool)> = shader
            .module
            .global_variables
            .iter()
            .filter_map(|(_, global)| {
                let naga::AddressSpace::Storage { access } = global.space else {
                    return None;
                };
                let place = global.binding.expect("storage is bound");
                assert_eq!(place.group, 0, "{name}");
                let element = element(&shader.module, global.ty).unwrap_or_else(|| panic!("{name}: {global:?}"));
                let writable = access.contains(naga::StorageAccess::STORE);
                Some((
                    place.binding,
                    global.name.clone().unwrap_or_default(),
                    element,
                    writable,
                ))
            })
            .collect();
        found.sort_by_key(|(binding, ..)| *binding);
        let places: Vec<u32> = found.iter().map(|(binding, ..)| *binding).collect();
        assert_eq!(places, (0..expected.len() as u32).collect::<Vec<_>>(), "{name}");
        let found: Vec<_> = found
            .into_iter()
            .map(|(_, name, element, access)| (name, element, access))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn wgpu_bodies_use_bindings_as_the_contract_allows() {
    for (kernel, spec, widened, shader) in shaders() {
        if !widened {
            continue; // naga itself rejects a store to what is declared `read`.
        }
        let name = &shader.name;
        let uses = shader.info.get_entry_point(0);
        for binding in kernel.contract().active_bindings(&spec) {
            let (handle, _) = shader
                .module
                .global_variables
                .iter()
                .find(|(_, global)| global.name.as_deref() == Some(binding.name))
                .unwrap_or_else(|| panic!("{name}: no {}", binding.name));
            let used = uses[handle];
            assert!(!used.is_empty(), "{name}: {} is not used", binding.name);
            let writes = used.contains(naga::valid::GlobalUse::WRITE);
            assert_eq!(
                writes,
                binding.access != Access::Read,
                "{name}: {} {used:?}",
                binding.name
            );
        }
    }
}

#[test]
fn wgpu_workgroups_fit_default_limits() {
    for (_, _, _, shader) in shaders() {
        let name = &shader.name;
        let module = &shader.module;
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("sizes of a valid module");
        let bytes: u32 = module
            .global_variables
            .iter()
            .filter(|(_, global)| global.space == naga::AddressSpace::WorkGroup)
            .map(|(_, global)| layouter[global.ty].size)
            .sum();
        assert!(bytes <= WORKGROUP_BYTES, "{name}: {bytes} bytes of workgroup memory");
        let [entry] = module.entry_points.as_slice() else {
            panic!("{name}: {} entry points", module.entry_points.len());
        };
        assert_eq!(entry.name, "main", "{name}");
        let threads: u32 = entry.workgroup_size.iter().product();
        assert!(threads <= INVOCATIONS, "{name}: {threads} invocations");
    }
}

#[test]
fn wgpu_headers_are_those_of_the_cpu_kernels() {
    // Name and meaning, then the bindings: two paragraphs, of which parameters, order and imports are a backend's own.
    let head = |text: &str, mark: &str| -> Vec<String> {
        let lines = text.lines().map_while(|line| line.strip_prefix(mark)).map(str::trim);
        let mut paragraphs = 0;
        lines
            .take_while(|line| {
                paragraphs += usize::from(line.is_empty());
                paragraphs < 2 && !line.contains("params ") && !line.starts_with("import ")
            })
            .map(str::to_owned)
            .collect()
    };
    let root = env!("CARGO_MANIFEST_DIR");
    for kernel in kernels() {
        let name = kernel.name();
        let read = |path: String| std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let wgsl = read(format!("{root}/shaders/{name}.wgsl"));
        let cpu = read(format!("{root}/src/backend/cpu/kernels/{name}.rs"));
        assert_eq!(head(&wgsl, "//"), head(&cpu, "//!"), "{name}");
    }
}
