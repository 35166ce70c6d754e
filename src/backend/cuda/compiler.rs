//! NVRTC: from a kernel's text to an image that the driver loads.

use std::ffi::{CString, c_int};

use cudarc::nvrtc::result::{self, NvrtcError};
use cudarc::nvrtc::sys;

use super::cache::{ImageCache, ImageKey};
use super::source::source;
use crate::backend::Precision;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Kernel;

/// The compiler, set to a device's architecture.
#[derive(Debug)]
pub(super) struct Compiler {
    /// Its version, as a part of the cache's keys.
    name: String,
    /// `sm_90` for machine code; `compute_90` for PTX, which the driver compiles for a device that NVRTC does not know yet.
    architecture: String,
    options: Vec<String>,
    cache: Option<ImageCache>,
}

fn failed(what: &str, error: NvrtcError) -> Error {
    Error::device(format!("cuda: {what}: {:?}", error.0))
}

/// NVRTC's version, if it is there.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if it cannot be loaded.
pub(super) fn version() -> Result<(u32, u32)> {
    // SAFETY: NVRTC runs nothing of note when it is loaded.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::unsupported(
            "cuda: NVRTC, which compiles the kernels, cannot be loaded (libnvrtc, of the CUDA toolkit)",
        ));
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both are valid for writing.
    unsafe { sys::nvrtcVersion(&mut major, &mut minor) }
        .result()
        .map_err(|e| failed("asking for NVRTC's version", e))?;
    Ok((major.unsigned_abs(), minor.unsigned_abs()))
}

/// Architectures it compiles for, such as 90, ascending.
fn architectures() -> Result<Vec<u32>> {
    let mut count: c_int = 0;
    let ask = |e| failed("asking for NVRTC's architectures", e);
    // SAFETY: the count is valid for writing.
    unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) }
        .result()
        .map_err(ask)?;
    let mut found = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: there is room for as many as there are.
    unsafe { sys::nvrtcGetSupportedArchs(found.as_mut_ptr()) }
        .result()
        .map_err(ask)?;
    let mut found: Vec<u32> = found.into_iter().map(c_int::unsigned_abs).collect();
    found.sort_unstable();
    Ok(found)
}

/// `sm_90` if it is among the architectures; else, in PTX, the newest of those that are older.
fn architecture((major, minor): (u32, u32), known: &[u32]) -> Option<String> {
    let own = 10 * major + minor;
    if known.contains(&own) {
        return Some(format!("sm_{own}"));
    }
    let older = known.iter().filter(|other| **other < own).max()?;
    Some(format!("compute_{older}"))
}

impl Compiler {
    /// The compiler for devices of this compute capability.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] without NVRTC, or if it is too new for the device.
    pub fn new(capability: (u32, u32)) -> Result<Self> {
        let (major, minor) = version()?;
        let architecture = architecture(capability, &architectures()?).ok_or_else(|| {
            Error::unsupported(format!(
                "cuda: NVRTC {major}.{minor} compiles no more for compute capability {}.{}, an older one does",
                capability.0, capability.1
            ))
        })?;
        Ok(Self {
            name: format!("NVRTC {major}.{minor}"),
            options: vec![format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned()],
            architecture,
            cache: ImageCache::of_user(),
        })
    }

    /// The image of a specialised kernel: from the disk, or compiled. Any number of threads may ask at once.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] with the compiler's log.
    pub fn image(&self, kernel: Kernel, spec: &[u32], precision: Precision) -> Result<Vec<u8>> {
        let text = source(kernel, spec, precision).expect("lowering has checked that the kernel is there");
        let title = format!("{} {spec:?} {}", kernel.name(), precision.name());
        let compile = || self.compile(kernel.name(), &title, &text);
        match &self.cache {
            Some(cache) => {
                let key = ImageKey {
                    source: &text,
                    options: &self.options,
                    architecture: &self.architecture,
                    compiler: &self.name,
                };
                cache.image(&key, compile)
            }
            None => compile(),
        }
    }

    fn compile(&self, name: &str, title: &str, text: &str) -> Result<Vec<u8>> {
        let text = CString::new(text).expect("kernels' texts hold no zeros");
        let name = CString::new(format!("{name}.cu")).expect("kernels' names hold no zeros");
        let ask = |e| failed(&format!("compiling kernel {title}"), e);
        let program = result::create_program(&text, Some(&name)).map_err(ask)?;
        let image = self.image_of(program, title);
        // SAFETY: the program is the one just made, and text and name have outlived it.
        unsafe { result::destroy_program(program) }.map_err(ask)?;
        image
    }

    fn image_of(&self, program: sys::nvrtcProgram, title: &str) -> Result<Vec<u8>> {
        let ask = |e| failed(&format!("compiling kernel {title}"), e);
        // SAFETY: the program lives.
        let compiled = unsafe { result::compile_program(program, &self.options) };
        if let Err(error) = compiled {
            // SAFETY: as above.
            let log = unsafe { result::get_program_log(program) }.unwrap_or_default();
            let log: Vec<u8> = log.into_iter().map(|c| c as u8).filter(|c| *c != 0).collect();
            return Err(ErrorKind::Compile {
                kernel: title.to_owned(),
                log: format!("{:?}: {}", error.0, String::from_utf8_lossy(&log).trim()),
            }
            .into());
        }
        if self.architecture.starts_with("compute_") {
            // SAFETY: as above.
            let text = unsafe { result::get_ptx(program) }.map_err(ask)?;
            return Ok(text.into_iter().map(|c| c as u8).collect());
        }
        let mut size = 0;
        // SAFETY: as above; the image has the room that was asked for.
        unsafe {
            sys::nvrtcGetCUBINSize(program, &mut size).result().map_err(ask)?;
            let mut image = vec![0_u8; size];
            sys::nvrtcGetCUBIN(program, image.as_mut_ptr().cast())
                .result()
                .map_err(ask)?;
            Ok(image)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::architecture;

    #[test]
    fn cuda_compiles_to_machine_code_where_nvrtc_knows_the_device() {
        let known = [75, 80, 86, 89, 90, 100, 120];
        assert_eq!(architecture((9, 0), &known).as_deref(), Some("sm_90"));
        assert_eq!(architecture((8, 9), &known).as_deref(), Some("sm_89"));
        assert_eq!(architecture((8, 7), &known).as_deref(), Some("compute_86"));
        assert_eq!(architecture((13, 0), &known).as_deref(), Some("compute_120"));
        assert_eq!(architecture((7, 0), &known), None);
    }
}
