//! Every CUDA kernel compiled to machine code by NVRTC, which needs neither a GPU nor a driver. What each uses of
//! registers and shared memory is kept in `cuda_compile.csv` in the target directory.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use gmatrix::backend::Precision;
use gmatrix::backend::cuda::{ABSENT, kernels, source};
use gmatrix::plan::Kernel;

/// The architecture for which every specialisation is compiled.
const FIRST: u32 = 90;
/// Those for which they take turns: constants change which statements are compiled, the architecture how statements are,
/// so that each with each would say nothing new in five times the time. The first and the last specialisation, in which
/// flags are all off and all on, are compiled for all.
const OTHERS: [u32; 4] = [75, 80, 100, 120];

/// Shared memory that a block may have without being asked for at run time.
const SHARED_BYTES: u64 = 48 * 1024;
/// Bytes that a thread may spill: compilers keep some registers in memory around the divisions and roots they call.
const SPILLED_BYTES: u64 = 64;
/// Registers of a multiprocessor: a block must find room.
const REGISTERS: u64 = 64 * 1024;

type Program = *mut c_void;

/// NVRTC's functions, by their names without the prefix.
struct Nvrtc {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    code_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    /// What they lie in.
    _library: libloading::Library,
}

impl Nvrtc {
    fn load() -> Result<Self, String> {
        let names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];
        // SAFETY: NVRTC runs nothing of note when it is loaded, and its functions have these types since CUDA 11.
        unsafe {
            let library = names
                .iter()
                .find_map(|name| libloading::Library::new(name).ok())
                .ok_or_else(|| format!("none of {names:?} can be loaded"))?;
            let symbol = |error: libloading::Error| error.to_string();
            Ok(Self {
                version: *library.get(b"nvrtcVersion").map_err(symbol)?,
                create: *library.get(b"nvrtcCreateProgram").map_err(symbol)?,
                compile: *library.get(b"nvrtcCompileProgram").map_err(symbol)?,
                log_size: *library.get(b"nvrtcGetProgramLogSize").map_err(symbol)?,
                log: *library.get(b"nvrtcGetProgramLog").map_err(symbol)?,
                code_size: *library.get(b"nvrtcGetCUBINSize").map_err(symbol)?,
                destroy: *library.get(b"nvrtcDestroyProgram").map_err(symbol)?,
                _library: library,
            })
        }
    }

    fn version(&self) -> String {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both are valid for writing.
        unsafe { (self.version)(&mut major, &mut minor) };
        format!("{major}.{minor}")
    }

    /// Machine code for one architecture: whether it was made, and the compiler's log.
    fn compile(&self, name: &str, text: &str, architecture: u32) -> (bool, String) {
        let text = CString::new(text).expect("source without zeros");
        let name = CString::new(format!("{name}.cu")).expect("a name without zeros");
        let options = [
            format!("--gpu-architecture=sm_{architecture}"),
            "--std=c++17".to_owned(),
            "--ptxas-options=-v".to_owned(),
        ]
        .map(|option| CString::new(option).expect("an option without zeros"));
        let options = options.each_ref().map(|option| option.as_ptr());
        let mut program = null_mut();
        // SAFETY: all strings end in 0 and live until the program is destroyed; the log has the room it asks for.
        unsafe {
            let created = (self.create)(&mut program, text.as_ptr(), name.as_ptr(), 0, null(), null());
            assert_eq!(created, 0, "nvrtcCreateProgram");
            let compiled = (self.compile)(program, options.len() as c_int, options.as_ptr()) == 0;
            let mut size = 0;
            (self.log_size)(program, &mut size);
            let mut log = vec![0_u8; size.max(1)];
            (self.log)(program, log.as_mut_ptr().cast());
            let mut code = 0;
            (self.code_size)(program, &mut code);
            (self.destroy)(&mut program);
            let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
            (compiled && code > 0, log)
        }
    }
}

struct Job {
    kernel: Kernel,
    spec: Vec<u32>,
    precision: Precision,
    architecture: u32,
}

impl Job {
    fn title(&self) -> String {
        let precision = self.precision.name();
        format!(
            "{} {:?} {precision} sm_{}",
            self.kernel.name(),
            self.spec,
            self.architecture
        )
    }
}

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for kernel in kernels() {
        let specs = kernel.contract().specialisations();
        for (place, spec) in specs.iter().enumerate() {
            let ends = place == 0 || place == specs.len() - 1;
            let turn = OTHERS[place % OTHERS.len()];
            for architecture in [FIRST].into_iter().chain(OTHERS) {
                if !ends && architecture != FIRST && architecture != turn {
                    continue;
                }
                for precision in [Precision::F32, Precision::F64] {
                    jobs.push(Job {
                        kernel,
                        spec: spec.clone(),
                        precision,
                        architecture,
                    });
                }
            }
        }
    }
    jobs
}

/// The largest number before these words in the compiler's log, which has a line for every function that is not inlined.
fn number_before(log: &str, words: &str) -> Option<u64> {
    let places = log.match_indices(words).map(|(at, _)| &log[..at]);
    let numbers = places.filter_map(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    numbers.max()
}

/// Compiles one kernel; a line of the table, or what is wrong.
fn check(nvrtc: &Nvrtc, job: &Job) -> Result<String, String> {
    let text = source(job.kernel, &job.spec, job.precision).expect("a kernel of the manifest");
    let (compiled, log) = nvrtc.compile(job.kernel.name(), &text, job.architecture);
    let title = job.title();
    if !compiled || log.contains("warning") {
        return Err(format!("{title}: {log}"));
    }
    let registers = number_before(&log, " registers").ok_or_else(|| format!("{title}: no registers in {log}"))?;
    let shared = number_before(&log, " bytes smem").unwrap_or(0);
    let spills = number_before(&log, " bytes spill stores").ok_or_else(|| format!("{title}: no spills in {log}"))?;
    let threads = number_before(&text, " };\ntypedef").expect("the threads of a block");
    if spills > SPILLED_BYTES || shared > SHARED_BYTES || registers * threads > REGISTERS {
        return Err(format!(
            "{title}: {registers} registers for each of {threads} threads, {shared} bytes shared, {spills} bytes spilled"
        ));
    }
    let spec: Vec<String> = job.spec.iter().map(u32::to_string).collect();
    Ok(format!(
        "{},{},{},sm_{},{threads},{registers},{shared},{spills}",
        job.kernel.name(),
        spec.join(" "),
        job.precision.name(),
        job.architecture
    ))
}

#[test]
fn cuda_kernels_compile_for_every_architecture() {
    let nvrtc = match Nvrtc::load() {
        Ok(nvrtc) => nvrtc,
        Err(why) => {
            println!("Unsupported: nvrtc: {why}");
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|name| name == "nvrtc"),
                "nvrtc is required: {why}"
            );
            return;
        }
    };
    let jobs = jobs();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(check(&nvrtc, job));
        }
        done
    };
    let done: Vec<Result<String, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker"))
            .collect()
    });
    assert_eq!(done.len(), jobs.len());
    let (lines, wrong): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} do not compile as they must:\n{}",
        wrong.len(),
        jobs.len(),
        wrong.join("\n")
    );
    let mut lines: Vec<String> = lines.into_iter().filter_map(Result::ok).collect();
    lines.sort_unstable();
    let mut table = format!("# NVRTC {}\n", nvrtc.version());
    table.push_str("kernel,constants,precision,architecture,threads,registers,shared_bytes,spilled_bytes\n");
    for line in &lines {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{line}");
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_compile.csv");
    std::fs::write(&path, table).expect("the table");
    println!(
        "NVRTC {}: {} compiled, see {}",
        nvrtc.version(),
        lines.len(),
        path.display()
    );
}

#[test]
fn cuda_compile_check_sees_errors_and_limits() {
    let Ok(nvrtc) = Nvrtc::load() else {
        println!("Unsupported: nvrtc");
        return;
    };
    let (compiled, log) = nvrtc.compile(
        "wrong",
        "extern \"C\" __global__ void wrong(float* x) { *x = y; }",
        FIRST,
    );
    assert!(!compiled && log.contains("\"y\" is undefined"), "{log}");
    let text = "extern \"C\" __global__ void large(float* x) {\n__shared__ float s[13000];\ns[threadIdx.x] = x[0];\n\
                __syncthreads();\nx[threadIdx.x] = s[threadIdx.x ^ 1];\n}";
    let (compiled, log) = nvrtc.compile("large", text, FIRST);
    assert!(!compiled && log.contains("too much shared data"), "{log}");
}

/// A kernel is there, or there is a reason why it is not.
#[test]
fn cuda_kernels_are_listed_or_known_to_be_absent() {
    let known: Vec<Kernel> = kernels()
        .into_iter()
        .chain(ABSENT.iter().map(|(kernel, _)| *kernel))
        .collect();
    let forgotten: Vec<&str> = Kernel::ALL
        .iter()
        .filter(|kernel| !known.contains(kernel))
        .map(|kernel| kernel.name())
        .collect();
    for name in &forgotten {
        println!("Unsupported: cuda has no kernel {name}, and src/backend/cuda/manifest.rs does not say why");
    }
    let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
    assert!(
        forgotten.is_empty() || !required.split(',').any(|name| name == "cuda-host"),
        "neither listed nor absent: {forgotten:?}"
    );
}
