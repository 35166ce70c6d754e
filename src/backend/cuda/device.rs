//! CUDA's devices: what is there, and why not; and the one that executors share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cudarc::driver::{result, sys};
use rayon::prelude::*;

use super::compiler::{self, Compiler};
use super::driver::{Context, Module, failed};
use crate::backend::Precision;
use crate::error::{Error, Result};
use crate::plan::Kernel;

/// The least compute capability: NVRTC 13 compiles for none below.
const CAPABILITY: (u32, u32) = (7, 5);

/// The least CUDA version that a driver must know. The bindings of CUDA 13 time events by a function that came with 12.8;
/// those of 12 need nothing newer than 12.0.
const DRIVER: (u32, u32) = if cfg!(feature = "cuda-12") { (12, 0) } else { (12, 8) };

/// One device, as `gmatrix devices` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSummary {
    /// Its place among the devices that the driver shows.
    pub ordinal: i32,
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    /// Memory in bytes.
    pub memory: u64,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Peak clock in MHz.
    pub clock_mhz: u32,
    /// The newest CUDA version that the driver knows.
    pub driver: (u32, u32),
}

impl DeviceSummary {
    fn new(ordinal: i32, driver: (u32, u32)) -> Result<Self> {
        let ask = |e| failed(&format!("asking about device {ordinal}"), e);
        let device = result::device::get(ordinal).map_err(ask)?;
        // SAFETY: the device is the one just named.
        let attribute = |which| unsafe { result::device::get_attribute(device, which) }.map_err(ask);
        let number = |which| attribute(which).map(i32::unsigned_abs);
        use sys::CUdevice_attribute as A;
        Ok(Self {
            ordinal,
            name: result::device::get_name(device).map_err(ask)?,
            capability: (
                number(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                number(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ),
            // SAFETY: as above.
            memory: unsafe { result::device::total_mem(device) }.map_err(ask)? as u64,
            multiprocessors: number(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            clock_mhz: number(A::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)? / 1000,
            driver,
        })
    }

    /// Refuses what is too old.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`], naming the device and its compute capability.
    pub fn check(&self) -> Result<()> {
        if self.capability >= CAPABILITY {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "cuda: {} has compute capability {}.{}, expected {}.{} or newer",
            self.name, self.capability.0, self.capability.1, CAPABILITY.0, CAPABILITY.1
        )))
    }
}

/// All devices that the driver shows, whether or not they can be used.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`], saying why there are none: no driver, one that is too old, or no device.
pub fn devices() -> Result<Vec<DeviceSummary>> {
    // SAFETY: the driver's library runs nothing of note when it is loaded.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::unsupported(
            "cuda: NVIDIA's driver is not installed (its library libcuda cannot be loaded)",
        ));
    }
    let mut version = 0;
    // SAFETY: the number is valid for writing; the function may be called before all others.
    unsafe { sys::cuDriverGetVersion(&mut version) }
        .result()
        .map_err(|e| failed("asking for the driver's version", e))?;
    let version = version.unsigned_abs();
    let driver = (version / 1000, version % 1000 / 10);
    if driver < DRIVER {
        return Err(Error::unsupported(format!(
            "cuda: the driver knows CUDA {}.{}, expected {}.{} or newer",
            driver.0, driver.1, DRIVER.0, DRIVER.1
        )));
    }
    let none = || Error::unsupported("cuda: the driver finds no device");
    result::init().map_err(|e| match e.0 {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => none(),
        _ => failed("initialising the driver", e),
    })?;
    let count = result::device::get_count().map_err(|e| failed("counting devices", e))?;
    if count == 0 {
        return Err(none());
    }
    (0..count).map(|ordinal| DeviceSummary::new(ordinal, driver)).collect()
}

/// The device that an executor takes: the first that can be used.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`], saying why there is none.
pub fn probe() -> Result<DeviceSummary> {
    let found = devices()?;
    let refused = found[0].check();
    let first = found.into_iter().find(|device| device.check().is_ok());
    let device = match first {
        Some(device) => device,
        None => return Err(refused.expect_err("no device passed the check")),
    };
    compiler::version()?;
    Ok(device)
}

/// What is compiled: a kernel, its constants, its precision.
pub(super) type Key = (Kernel, Vec<u32>, Precision);

/// A specialisation of a kernel on the device.
type Loaded = (Vec<u32>, Precision, Arc<Module>);

/// A device with all that was compiled and loaded for it.
#[derive(Debug)]
pub(super) struct Gpu {
    pub summary: DeviceSummary,
    compiler: Compiler,
    modules: Mutex<BTreeMap<Kernel, Vec<Loaded>>>,
    pub context: Arc<Context>,
}

/// The device that the executors of this process share, as long as one of them lives.
static SHARED: Mutex<Weak<Gpu>> = Mutex::new(Weak::new());

impl Gpu {
    /// The device of the process, with its context bound to this thread.
    pub fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gpu) = shared.upgrade() {
            gpu.context.bind()?;
            return Ok(gpu);
        }
        let summary = probe()?;
        let device = result::device::get(summary.ordinal).map_err(|e| failed("opening the device", e))?;
        let gpu = Arc::new(Self {
            compiler: Compiler::new(summary.capability)?,
            context: Context::new(device)?,
            summary,
            modules: Mutex::default(),
        });
        *shared = Arc::downgrade(&gpu);
        Ok(gpu)
    }

    fn loaded(&self, (kernel, spec, precision): &Key) -> Option<Arc<Module>> {
        let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kernel = modules.get(kernel)?.iter();
        let mut found = of_kernel.filter(|(s, p, _)| s == spec && p == precision);
        found.next().map(|(_, _, module)| module.clone())
    }

    /// Kernels ready to be launched, in the order asked for. What is neither loaded nor on the disk is compiled by as many
    /// threads as there are.
    pub fn modules(&self, keys: &[Key]) -> Result<Vec<Arc<Module>>> {
        let missing: BTreeSet<usize> = (0..keys.len())
            .filter(|k| self.loaded(&keys[*k]).is_none() && !keys[..*k].contains(&keys[*k]))
            .collect();
        let compiled: Vec<(usize, Vec<u8>)> = missing
            .into_par_iter()
            .map(|k| {
                let (kernel, spec, precision) = &keys[k];
                Ok((k, self.compiler.image(*kernel, spec, *precision)?))
            })
            .collect::<Result<_>>()?;
        for (k, image) in compiled {
            let (kernel, spec, precision) = &keys[k];
            let module = Arc::new(Module::new(&self.context, &image, kernel.name())?);
            let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
            let of_kernel = modules.entry(*kernel).or_default();
            of_kernel.push((spec.clone(), *precision, module));
        }
        let found = keys
            .iter()
            .map(|key| self.loaded(key).expect("loaded here or found before"));
        Ok(found.collect())
    }
}
