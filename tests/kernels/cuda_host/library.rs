//! Sources compiled for this machine, each with the runtime of `tests/cuda_host` into a library of its own. Libraries
//! are named by what they are made of, and kept between test runs.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gmatrix::backend::{Precision, cuda};
use gmatrix::plan::Kernel;
use gmatrix::{Error, ErrorKind, Result};

/// Without contraction, so that results do not depend on what the compiler fuses on this machine.
const FLAGS: [&str; 7] = [
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-Wall",
    "-Werror=uninitialized",
];

/// Where arrays of shared memory and what lies outside of a launch's bindings are watched, too.
const WATCHED: [&str; 4] = ["-fsanitize=address", "-fsanitize-sections=gmatrix_shared", "-O1", "-g1"];

/// Set in a process whose libraries are built with AddressSanitizer, which it must have loaded before them.
pub const WATCH: &str = "GMATRIX_CUDA_HOST_WATCH";

/// Whether libraries are built so that accesses outside of bindings and arrays end the process.
pub fn is_watched() -> bool {
    std::env::var_os(WATCH).is_some()
}

/// The precisions that are compiled: where errors of indices are sought, one will do.
fn precisions() -> &'static [Precision] {
    if is_watched() {
        &[Precision::F32]
    } else {
        &[Precision::F32, Precision::F64]
    }
}

/// All flags: where the processor has it, `fma` becomes an instruction, which gives the same as the library's function.
fn flags() -> Vec<&'static str> {
    let mut flags = FLAGS.to_vec();
    if is_watched() {
        flags.extend(WATCHED);
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        flags.push("-mfma");
    }
    flags
}

const RUNTIME: [(&str, &str); 4] = [
    ("host.cpp", include_str!("../../cuda_host/host.cpp")),
    ("host.hpp", include_str!("../../cuda_host/host.hpp")),
    ("fiber.hpp", include_str!("../../cuda_host/fiber.hpp")),
    ("watch.hpp", include_str!("../../cuda_host/watch.hpp")),
];

type Launch = unsafe extern "C" fn(u32, *const c_void, usize, *const u32, u32, *mut c_char, usize) -> c_int;
type Guard = unsafe extern "C" fn(*const c_void, usize, c_int);

/// A compiled source.
#[derive(Debug)]
pub struct Library {
    launch: Launch,
    guard: Guard,
    /// What `launch` lies in.
    _library: libloading::Library,
}

impl Library {
    /// Runs one of its specialisations over a grid, threads and blocks in this order (0 ascending, 1 descending, else
    /// shuffled). Arguments are the bytes of the specialisation's `struct Launch`.
    ///
    /// # Errors
    /// What rule of CUDA a thread broke.
    ///
    /// # Safety
    /// The addresses among the arguments must be good for what the kernel does with them.
    pub unsafe fn launch(
        &self,
        specialisation: u32,
        arguments: &[u8],
        grid: [u32; 3],
        order: u32,
    ) -> Result<(), String> {
        // The struct holds addresses, so its bytes must be aligned as they are.
        let words: Vec<u64> = arguments
            .chunks_exact(8)
            .map(|bytes| u64::from_ne_bytes(bytes.try_into().expect("eight bytes")))
            .collect();
        let mut message: [c_char; 256] = [0; 256];
        // SAFETY: the function has this type in host.cpp and checks the length of the arguments, which the caller
        // vouches for; the message ends in 0.
        let (code, message) = unsafe {
            let code = (self.launch)(
                specialisation,
                words.as_ptr().cast(),
                arguments.len(),
                grid.as_ptr(),
                order,
                message.as_mut_ptr(),
                message.len(),
            );
            (code, CStr::from_ptr(message.as_ptr()))
        };
        if code == 0 {
            Ok(())
        } else {
            Err(message.to_string_lossy().into_owned())
        }
    }
}

impl Library {
    /// Closes memory to kernels, or opens it again; without effect where nothing is watched.
    pub fn guard(&self, memory: &[u8], closed: bool) {
        // SAFETY: the function has this type in host.cpp, and marks memory without touching it.
        unsafe { (self.guard)(memory.as_ptr().cast(), memory.len(), c_int::from(closed)) }
    }
}

/// The compiler's name, once it has shown that it is there.
pub fn compiler() -> Result<OsString> {
    static COMPILER: OnceLock<Result<OsString, String>> = OnceLock::new();
    let found = COMPILER.get_or_init(|| {
        let name = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        match Command::new(&name).arg("--version").output() {
            Ok(output) if output.status.success() => Ok(name),
            Ok(output) => Err(format!("{} --version: {}", name.display(), output.status)),
            Err(error) => Err(format!("no C++ compiler {}: {error}", name.display())),
        }
    });
    found
        .clone()
        .map_err(|why| Error::unsupported(format!("cuda-host: {why}")))
}

/// All specialisations of a kernel in the precisions that there are, f32 before f64; compiled once, while others that need it wait.
pub fn of(kernel: Kernel) -> Result<Arc<Library>> {
    type Made = Arc<OnceLock<Result<Arc<Library>, String>>>;
    static LIBRARIES: Mutex<BTreeMap<Kernel, Made>> = Mutex::new(BTreeMap::new());
    compiler()?;
    let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
    let made = libraries.entry(kernel).or_default().clone();
    drop(libraries);
    let library = made.get_or_init(|| compile(kernel.name(), &kernel_text(kernel)).map_err(|error| error.to_string()));
    library.clone().map_err(|log| {
        ErrorKind::Compile {
            kernel: kernel.name().to_owned(),
            log,
        }
        .into()
    })
}

/// Place of a specialisation among those of its kernel.
pub fn place(kernel: Kernel, spec: &[u32], precision: Precision) -> u32 {
    let all = kernel.contract().specialisations();
    let place = all.iter().position(|other| other == spec);
    let place = place.expect("values of the contract's constants");
    let of_precision = precisions().iter().position(|other| *other == precision);
    (precisions().len() * place + of_precision.expect("a precision that is compiled")) as u32
}

fn kernel_text(kernel: Kernel) -> String {
    let mut parts = Vec::new();
    for spec in kernel.contract().specialisations() {
        for precision in precisions() {
            parts.push(cuda::specialisation(kernel, &spec, *precision).expect("a kernel of the manifest"));
        }
    }
    let preamble = cuda::preamble(kernel).expect("a kernel of the manifest");
    file(kernel.name(), &preamble, &parts)
}

/// Specialisations of a kernel in one file, behind its preamble, with the table that the runtime looks them up in.
pub fn file(name: &str, preamble: &str, parts: &[String]) -> String {
    let mut text = format!("#include \"host.hpp\"\n{preamble}");
    let mut table = String::new();
    for (place, part) in parts.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "namespace s{place} {{\n{part}}}");
        let _ = writeln!(
            table,
            "    {{[](const void* launch) {{ s{place}::{name}(*static_cast<const s{place}::Launch*>(launch)); }}, \
             s{place}::THREADS, sizeof(s{place}::Launch)}},"
        );
    }
    let _ = writeln!(
        text,
        "const cuda_host::Specialisation cuda_host::SPECIALISATIONS[] = {{\n{table}}};"
    );
    text
}

/// Compiles a text to a library and loads it.
pub fn compile(name: &str, text: &str) -> Result<Arc<Library>> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_host");
    std::fs::create_dir_all(&directory).map_err(|error| Error::io(&directory, error))?;
    for (file, contents) in RUNTIME {
        // By name and contents, so that a test run never sees another's half-written file.
        store(&directory.join(digest(&contents)), file, contents)?;
    }
    let includes: Vec<String> = RUNTIME
        .iter()
        .map(|(_, contents)| format!("-I{}", directory.join(digest(contents)).display()))
        .collect();
    let runtime = made(&directory, "runtime", "o", &RUNTIME, |to| {
        let mut command = Command::new(compiler()?);
        command.args(flags()).args(&includes).arg("-c").arg("-o").arg(to);
        command.arg(directory.join(digest(&RUNTIME[0].1)).join(RUNTIME[0].0));
        Ok(command)
    })?;
    let path = made(&directory, name, "so", &(RUNTIME, text), |to| {
        let source = format!("{name}-{}.cpp", digest(text));
        store(&directory, &source, text)?;
        let mut command = Command::new(compiler()?);
        // Constants and helpers of the preamble that this kernel has no use for.
        command
            .args(flags())
            .args(["-Wno-unused-variable", "-Wno-unused-function", "-shared"]);
        command
            .args(&includes)
            .arg("-o")
            .arg(to)
            .arg(directory.join(source))
            .arg(&runtime);
        Ok(command)
    })?;
    let failed = |error: libloading::Error| Error::io(&path, error);
    // SAFETY: the library is the one just made; nothing runs when it is loaded, and the functions have these types.
    unsafe {
        let library = libloading::Library::new(&path).map_err(failed)?;
        let launch = *library.get::<Launch>(b"gmatrix_cuda_host_launch").map_err(failed)?;
        let guard = *library.get::<Guard>(b"gmatrix_cuda_host_guard").map_err(failed)?;
        Ok(Arc::new(Library {
            launch,
            guard,
            _library: library,
        }))
    }
}

/// A file that a command makes, unless it is there already. It gets its name when it is complete.
fn made(
    directory: &Path,
    name: &str,
    ending: &str,
    from: &(impl Hash + ?Sized),
    command: impl FnOnce(&Path) -> Result<Command>,
) -> Result<PathBuf> {
    let path = directory.join(format!("{name}-{}.{ending}", digest(&(flags(), from))));
    if path.exists() {
        return Ok(path);
    }
    let unfinished = unfinished(&path);
    let output = command(&unfinished)?
        .output()
        .map_err(|error| Error::io(&path, error))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || log.contains("warning:") {
        return Err(ErrorKind::Compile {
            kernel: name.to_owned(),
            log: log.into_owned(),
        }
        .into());
    }
    std::fs::rename(&unfinished, &path).map_err(|error| Error::io(&path, error))?;
    Ok(path)
}

fn store(directory: &Path, file: &str, contents: &str) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
    let path = directory.join(file);
    if path.exists() {
        return Ok(());
    }
    let unfinished = unfinished(&path);
    std::fs::write(&unfinished, contents).map_err(|error| Error::io(&path, error))?;
    std::fs::rename(&unfinished, &path).map_err(|error| Error::io(&path, error))
}

/// A name that no other thread or process uses.
fn unfinished(path: &Path) -> PathBuf {
    let own = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    path.with_extension(format!("{own}.part"))
}

fn digest(what: &(impl Hash + ?Sized)) -> String {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
