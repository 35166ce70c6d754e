//! Adapters and the device: what is there, and how its failures become errors of ours.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::record::{Key, UNIFORM, layout_entry};
use crate::error::{Error, Result};

/// One adapter, as `gmatrix devices` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterSummary {
    /// Its name, as the driver tells it.
    pub name: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` or `Other`.
    pub kind: String,
    /// Driver and its version.
    pub driver: String,
    /// Whether it is hardware, and not a program on the CPU.
    pub hardware: bool,
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// Invocations of a workgroup.
    pub max_invocations: u32,
}

impl AdapterSummary {
    fn new(adapter: &wgpu::Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        Self {
            name: info.name,
            backend: format!("{:?}", info.backend),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            hardware: info.device_type != wgpu::DeviceType::Cpu,
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_invocations: limits.max_compute_invocations_per_workgroup,
        }
    }
}

fn instance() -> wgpu::Instance {
    // `WGPU_BACKEND` picks one of the backends, as in other programs on wgpu.
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

/// Adapters that could run kernels, the best first.
fn usable(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    adapters
}

/// All adapters, the one that an executor takes first.
pub fn adapters() -> Vec<AdapterSummary> {
    usable(&instance()).iter().map(AdapterSummary::new).collect()
}

/// The adapter that an executor takes.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`], saying why there is none.
pub fn probe() -> Result<AdapterSummary> {
    let instance = instance();
    best(&instance).map(|adapter| AdapterSummary::new(&adapter))
}

fn best(instance: &wgpu::Instance) -> Result<wgpu::Adapter> {
    if let Some(adapter) = usable(instance).into_iter().next() {
        return Ok(adapter);
    }
    // Asked for one, wgpu says what each of its backends lacks.
    pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .map_err(|why| Error::unsupported(format!("wgpu: {why}")))
}

/// Places within a binding are u32.
pub(super) const LARGEST_BINDING: u64 = 0xffff_ff00;

/// What of an adapter an executor takes, as far as it is there.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceOptions {
    /// Sizes of buffers and bindings are at most these; the other limits are asked for as they are.
    pub limits: wgpu::Limits,
    /// Features that are used where the adapter has them.
    pub features: wgpu::Features,
}

impl Default for DeviceOptions {
    /// WebGPU's default limits wherever it runs, so that kernels behave alike, but buffers as large as the adapter's; and
    /// its clock, which only profiles need.
    fn default() -> Self {
        Self {
            limits: wgpu::Limits {
                max_storage_buffer_binding_size: LARGEST_BINDING,
                max_buffer_size: u64::MAX,
                ..wgpu::Limits::default()
            },
            features: wgpu::Features::TIMESTAMP_QUERY,
        }
    }
}

/// A device with its queue.
#[derive(Debug)]
pub(super) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub summary: AdapterSummary,
    /// Layout of a launch's uniform block, the same for all.
    pub uniform_layout: wgpu::BindGroupLayout,
    /// What has been compiled so far.
    pipelines: Mutex<HashMap<Key, Compiled>>,
    /// The first failure that no error scope caught: a lost device, or an error the driver reports late.
    fault: Arc<Mutex<Option<String>>>,
}

/// A pipeline with the layout of its arguments.
pub(super) type Compiled = (wgpu::ComputePipeline, wgpu::BindGroupLayout);

/// The device that the executors of this process share, as long as one of them lives.
static SHARED: Mutex<Weak<Gpu>> = Mutex::new(Weak::new());

impl Gpu {
    /// The device of the process, with all that was compiled on it; a new one if there is none, or it has failed.
    pub fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gpu) = shared.upgrade().filter(|gpu| gpu.healthy().is_ok()) {
            return Ok(gpu);
        }
        let gpu = Arc::new(Self::new(&DeviceOptions::default())?);
        *shared = Arc::downgrade(&gpu);
        Ok(gpu)
    }

    /// A device of its own.
    pub fn new(options: &DeviceOptions) -> Result<Self> {
        let adapter = best(&instance())?;
        let summary = AdapterSummary::new(&adapter);
        let wanted = &options.limits;
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gmatrix"),
            required_limits: wgpu::Limits {
                max_storage_buffer_binding_size: wanted.max_storage_buffer_binding_size.min(summary.max_binding),
                max_buffer_size: wanted.max_buffer_size.min(summary.max_buffer),
                ..wanted.clone()
            },
            required_features: adapter.features() & options.features,
            ..wgpu::DeviceDescriptor::default()
        }))
        .map_err(|why| Error::unsupported(format!("wgpu: {} gives no device: {why}", summary.name)))?;
        let fault = Arc::new(Mutex::new(None));
        let keep = |fault: &Arc<Mutex<Option<String>>>, message: String| {
            fault
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(message);
        };
        let late = Arc::clone(&fault);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| keep(&late, error.to_string())));
        let lost = Arc::clone(&fault);
        device.set_device_lost_callback(move |reason, message| {
            let why = if message.is_empty() {
                format!("{reason:?}").to_lowercase()
            } else {
                message
            };
            keep(&lost, format!("the device was lost: {why}"));
        });
        let uniform_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("uniforms"),
            entries: &[layout_entry(
                0,
                wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: NonZeroU64::new(UNIFORM),
                },
            )],
        });
        let gpu = Self {
            device,
            queue,
            summary,
            uniform_layout,
            pipelines: Mutex::default(),
            fault,
        };
        gpu.healthy().map(|()| gpu)
    }

    /// What has been compiled so far.
    pub fn pipelines(&self) -> MutexGuard<'_, HashMap<Key, Compiled>> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`; whatever wgpu finds wrong with it becomes an error that starts with `what`.
    pub fn checked<T>(&self, what: impl Fn() -> String, work: impl FnOnce() -> T) -> Result<T> {
        let failed = |why: String| {
            // wgpu lists causes over several lines.
            let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
            Error::device(format!("{}: {line}", what()))
        };
        let healthy = || self.healthy().map_err(|fault| failed(fault.to_string()));
        // What is asked of a lost device wgpu drops without a word.
        healthy()?;
        let result = self.scoped(work).map_err(failed)?;
        healthy().map(|()| result)
    }

    /// Runs `work`, or tells in wgpu's own words what it finds wrong with it.
    pub fn scoped<T>(&self, work: impl FnOnce() -> T) -> std::result::Result<T, String> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let result = work();
        let errors = [
            pollster::block_on(validation.pop()),
            pollster::block_on(internal.pop()),
            pollster::block_on(memory.pop()),
        ];
        match errors.into_iter().flatten().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(result),
        }
    }

    /// The first failure that no scope caught.
    pub fn healthy(&self) -> Result<()> {
        match &*self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(Error::device(format!("wgpu, {}: {fault}", self.summary.name))),
            None => Ok(()),
        }
    }

    /// Ends the device, as a driver that gives up does.
    pub fn destroy(&self) {
        self.device.destroy();
        // The callback that notes it comes from here.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }
}
