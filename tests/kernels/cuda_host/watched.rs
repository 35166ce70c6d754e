//! Kernels under AddressSanitizer, in a process of its own that has loaded it first: every case of every kernel, with all
//! memory closed that is not among a launch's bindings. An index that is off ends that process with a report.

use std::path::PathBuf;
use std::process::Command;

use gmatrix::backend::{Precision, cuda};
use rayon::prelude::*;

use super::library::{self, WATCH, compiler, file};
use crate::backends::BACKENDS;
use crate::cases;
use crate::run::{contents, run};

/// What of this file is run in the other process.
const WATCHED: [&str; 2] = ["every_case", "shared_arrays"];

/// The compiler's AddressSanitizer, as a library.
fn sanitizer() -> Result<PathBuf, String> {
    let compiler = compiler().map_err(|error| error.to_string())?;
    let output = Command::new(compiler).arg("-print-file-name=libasan.so").output();
    let output = output.map_err(|error| error.to_string())?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if path.is_absolute() {
        Ok(path)
    } else {
        Err("the C++ compiler has no libasan.so".to_owned())
    }
}

/// Runs a test of this file in a process with AddressSanitizer: whether it passed, and what it printed. None, after saying
/// why, if there is no sanitizer.
fn watched(test: &str) -> Option<(bool, String)> {
    let sanitizer = match sanitizer() {
        Ok(path) => path,
        Err(why) => {
            println!("Unsupported: {why}");
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|name| name == "cuda-host"),
                "cuda-host is required: {why}"
            );
            return None;
        }
    };
    assert!(WATCHED.contains(&test));
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            &format!("cuda_host::watched::{test}"),
        ])
        .env("LD_PRELOAD", sanitizer)
        // Fibers have stacks of their own, which must not be replaced; what a test leaves behind is no matter.
        .env("ASAN_OPTIONS", "detect_stack_use_after_return=0:detect_leaks=0")
        .env(WATCH, "1")
        .output()
        .expect("a process");
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Some((output.status.success(), format!("{}\n{out}{errors}", output.status)))
}

#[test]
fn cuda_kernels_stay_within_their_buffers() {
    let begun = std::time::Instant::now();
    if let Some((passed, text)) = watched("every_case") {
        assert!(passed && text.contains("1 passed"), "{text}");
        println!(
            "Ran: {} kernels in {:.0} s",
            cuda::kernels().len(),
            begun.elapsed().as_secs_f64()
        );
    }
}

#[test]
fn cuda_host_objects_to_an_index_beyond_a_shared_array() {
    if let Some((passed, text)) = watched("shared_arrays") {
        assert!(!passed && text.contains("global-buffer-overflow"), "{text}");
    }
}

#[test]
#[ignore = "needs a process with AddressSanitizer; `cuda_kernels_stay_within_their_buffers` makes one"]
fn every_case() {
    assert!(library::is_watched(), "see the reason why this is ignored");
    let is_ours = |name: &str, precision| name == "cuda-host" && precision == Precision::F32;
    let backend = BACKENDS
        .iter()
        .find(|b| is_ours(b.name, b.precision))
        .expect("a backend");
    cuda::kernels().into_par_iter().for_each(|kernel| {
        library::of(kernel).expect("a kernel that compiles");
    });
    for kernel in cuda::kernels() {
        for case in cases::of(kernel) {
            // The second slot shows strides that are off.
            let slots = [1, 2].map(|seed| contents(&case, seed, backend));
            run(&case, backend, &slots).unwrap_or_else(|error| panic!("{}: {error}", case.title()));
        }
    }
}

#[test]
#[ignore = "needs a process with AddressSanitizer; `cuda_host_objects_to_an_index_beyond_a_shared_array` makes one"]
fn shared_arrays() {
    let part = "enum : u32 { THREADS = 32 };\nstruct Launch {\n    wide* out;\n    u64 place;\n};\n\
                ENTRY void __launch_bounds__(THREADS) beyond(const Launch launch) {\n\
                __shared__ wide shared[THREADS];\nshared[threadIdx.x] = 1;\n__syncthreads();\n\
                launch.out[threadIdx.x] = shared[threadIdx.x + launch.place];\n}\n";
    let library = library::compile("beyond", &file("beyond", &cuda::common(), &[part.to_owned()]))
        .expect("a kernel that compiles");
    let mut out = [0.0; 32];
    let arguments = [out.as_mut_ptr() as u64, 1].map(u64::to_ne_bytes).concat();
    // SAFETY: `out` has a number for each thread; what is beyond the array ends the process before it does harm.
    unsafe { library.launch(0, &arguments, [1, 1, 1], 0) }.expect("no rule but that of arrays is broken");
}
