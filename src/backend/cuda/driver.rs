//! The objects of CUDA's driver that the executor needs. Each is freed when it is dropped, and each failed call becomes an
//! error that says what was tried. Calls need the context to be bound to the thread, see [`Context::bind`].

use std::ffi::{CStr, CString, c_void};
use std::sync::Arc;

use cudarc::driver::result::{self, DriverError, stream::StreamKind};
use cudarc::driver::sys;

use crate::error::{Error, Result};

/// A failed call in words: what was tried, the error's name, and what it means.
pub(super) fn failed(what: &str, error: DriverError) -> Error {
    let text = |found: Result<&CStr, DriverError>| {
        found.map_or_else(
            |_| "an unknown error".to_owned(),
            |text| text.to_string_lossy().into_owned(),
        )
    };
    Error::device(format!(
        "cuda: {what}: {} ({})",
        text(error.error_name()),
        text(error.error_string())
    ))
}

/// A handle of the driver, which any thread may use.
#[derive(Debug, Clone, Copy)]
struct Handle<T>(T);

// SAFETY: the driver's functions may be called from any thread that has the context bound, with any of its handles.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Handle<T> {}

/// A device's primary context, which all users of CUDA in a process share.
#[derive(Debug)]
pub(super) struct Context {
    device: sys::CUdevice,
    handle: Handle<sys::CUcontext>,
}

impl Context {
    /// The context of a device, bound to this thread.
    pub fn new(device: sys::CUdevice) -> Result<Arc<Self>> {
        // SAFETY: the device comes from the driver, which has been initialised.
        let handle = unsafe { result::primary_ctx::retain(device) }.map_err(|e| failed("opening the device", e))?;
        let context = Self {
            device,
            handle: Handle(handle),
        };
        context.bind()?;
        Ok(Arc::new(context))
    }

    /// Makes it the one that this thread's calls are about.
    pub fn bind(&self) -> Result<()> {
        // SAFETY: the context is retained until this is dropped.
        unsafe { result::ctx::set_current(self.handle.0) }.map_err(|e| failed("binding the context", e))
    }

    /// Bytes of memory that are free.
    pub fn free_memory(&self) -> Result<usize> {
        let (free, _) = result::mem_get_info().map_err(|e| failed("asking for the free memory", e))?;
        Ok(free)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once by `new`. Nobody is left who could be told of a failure, here and below.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// A queue of work, apart from the default one, so that it can be captured.
#[derive(Debug)]
pub(super) struct Stream {
    context: Arc<Context>,
    handle: Handle<sys::CUstream>,
}

impl Stream {
    pub fn new(context: &Arc<Context>) -> Result<Self> {
        let handle = result::stream::create(StreamKind::NonBlocking).map_err(|e| failed("making a stream", e))?;
        Ok(Self {
            context: context.clone(),
            handle: Handle(handle),
        })
    }

    /// Waits until all its work is done; tells of the first failure since.
    pub fn synchronize(&self) -> Result<(), DriverError> {
        // SAFETY: the stream lives.
        unsafe { result::stream::synchronize(self.handle.0) }
    }

    /// Puts what `work` submits into a graph instead of doing it.
    pub fn capture(&self, what: &str, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives, and this thread ends what it begins.
        unsafe { result::stream::begin_capture(self.handle.0, mode) }
            .map_err(|e| failed(&format!("{what}: beginning a graph"), e))?;
        let worked = work();
        // SAFETY: as above.
        let graph = unsafe { result::stream::end_capture(self.handle.0) };
        if let (Err(_), Ok(unfinished)) = (&worked, &graph) {
            // SAFETY: the graph is the one just made, and nobody will have it.
            let _ = unsafe { result::graph::destroy(*unfinished) };
        }
        worked?;
        let graph = graph.map_err(|e| failed(&format!("{what}: ending a graph"), e))?;
        // SAFETY: the graph is the one just made, and is needed no more once it is instantiated.
        let executable = unsafe {
            let executable = result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0));
            let _ = result::graph::destroy(graph);
            executable
        };
        Ok(Graph {
            handle: Handle(executable.map_err(|e| failed(&format!("{what}: preparing a graph"), e))?),
            context: self.context.clone(),
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: nothing refers to the stream any more.
            let _ = unsafe { result::stream::destroy(self.handle.0) };
        }
    }
}

/// Launches that the driver has prepared together.
#[derive(Debug)]
pub(super) struct Graph {
    context: Arc<Context>,
    handle: Handle<sys::CUgraphExec>,
}

impl Graph {
    /// # Safety
    /// What its launches refer to must live until the stream has done them.
    pub unsafe fn launch(&self, stream: &Stream) -> Result<(), DriverError> {
        // SAFETY: both live; the rest is the caller's.
        unsafe { result::graph::launch(self.handle.0, stream.handle.0) }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: the graph is used by nobody else.
            let _ = unsafe { result::graph::exec_destroy(self.handle.0) };
        }
    }
}

/// Memory of the device.
#[derive(Debug)]
pub(super) struct Memory {
    context: Arc<Context>,
    address: sys::CUdeviceptr,
    bytes: usize,
}

impl Memory {
    /// So many bytes, at least one.
    pub fn new(context: &Arc<Context>, bytes: usize, what: &str) -> Result<Self> {
        // SAFETY: the size is not 0.
        let address = unsafe { result::malloc_sync(bytes) };
        Ok(Self {
            context: context.clone(),
            address: address.map_err(|e| failed(&format!("{bytes} bytes for {what}"), e))?,
            bytes,
        })
    }

    pub fn address(&self) -> u64 {
        self.address
    }

    /// Fills it with zeros, behind the stream's other work.
    pub fn zero(&self, stream: &Stream) -> Result<()> {
        // SAFETY: the memory is this long, and freed only when the stream is done.
        unsafe { result::memset_d8_async(self.address, 0, self.bytes, stream.handle.0) }
            .map_err(|e| failed("clearing memory", e))
    }

    /// Writes bytes behind the stream's other work. The driver takes a copy of them before this returns.
    pub fn write(&self, first: usize, bytes: &[u8], stream: &Stream, what: &str) -> Result<()> {
        assert!(first + bytes.len() <= self.bytes, "within the memory");
        // SAFETY: the range lies within the memory; bytes that are not pinned are copied before the call returns.
        unsafe { result::memcpy_htod_async(self.address + first as u64, bytes, stream.handle.0) }
            .map_err(|e| failed(what, e))
    }

    /// Reads into pinned memory behind the stream's other work.
    ///
    /// # Safety
    /// `to` must live, and not be looked at, until the stream has done this.
    pub unsafe fn read(
        &self,
        first: usize,
        to: &mut Pinned,
        at: usize,
        bytes: usize,
        stream: &Stream,
        what: &str,
    ) -> Result<()> {
        assert!(
            first + bytes <= self.bytes && at + bytes <= to.bytes,
            "within both memories"
        );
        // SAFETY: both ranges lie within their memories; the rest is the caller's.
        unsafe {
            let to = std::slice::from_raw_parts_mut(to.pointer.0.add(at), bytes);
            result::memcpy_dtoh_async(to, self.address + first as u64, stream.handle.0)
        }
        .map_err(|e| failed(what, e))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: whoever used the memory is done, which its owner sees to.
            let _ = unsafe { result::free_sync(self.address) };
        }
    }
}

/// Memory of the host that the device can write to by itself.
#[derive(Debug)]
pub(super) struct Pinned {
    context: Arc<Context>,
    pointer: Handle<*mut u8>,
    bytes: usize,
}

impl Pinned {
    /// So many bytes, at least one, all zero.
    pub fn new(context: &Arc<Context>, bytes: usize) -> Result<Self> {
        // SAFETY: the size is not 0, and all of it is written before anybody reads it.
        let pointer = unsafe {
            let pointer =
                result::malloc_host(bytes, 0).map_err(|e| failed(&format!("{bytes} bytes on the host"), e))?;
            std::ptr::write_bytes(pointer.cast::<u8>(), 0, bytes);
            pointer
        };
        Ok(Self {
            context: context.clone(),
            pointer: Handle(pointer.cast()),
            bytes,
        })
    }

    pub fn len(&self) -> usize {
        self.bytes
    }

    /// # Safety
    /// No work may be under way that writes to it.
    pub unsafe fn contents(&self) -> &[u8] {
        // SAFETY: the memory is this long and has been written.
        unsafe { std::slice::from_raw_parts(self.pointer.0, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: as for `Memory`.
            let _ = unsafe { result::free_host(self.pointer.0.cast::<c_void>()) };
        }
    }
}

/// A point in a stream's work.
#[derive(Debug)]
pub(super) struct Event {
    context: Arc<Context>,
    handle: Handle<sys::CUevent>,
}

impl Event {
    /// An event to wait for, or one that also notes the time.
    pub fn new(context: &Arc<Context>, timed: bool) -> Result<Self> {
        let flags = if timed {
            sys::CUevent_flags::CU_EVENT_DEFAULT
        } else {
            sys::CUevent_flags::CU_EVENT_DISABLE_TIMING
        };
        Ok(Self {
            context: context.clone(),
            handle: Handle(result::event::create(flags).map_err(|e| failed("making an event", e))?),
        })
    }

    /// Marks the end of the work submitted so far.
    pub fn record(&self, stream: &Stream) -> Result<()> {
        // SAFETY: both live.
        unsafe { result::event::record(self.handle.0, stream.handle.0) }.map_err(|e| failed("recording an event", e))
    }

    /// Waits until the work before it is done.
    pub fn synchronize(&self) -> Result<(), DriverError> {
        // SAFETY: the event lives.
        unsafe { result::event::synchronize(self.handle.0) }
    }

    /// Seconds from an earlier event to this one, both past.
    pub fn seconds_since(&self, earlier: &Self) -> Result<f64> {
        // SAFETY: both live and note times.
        let milliseconds = unsafe { result::event::elapsed(earlier.handle.0, self.handle.0) };
        Ok(f64::from(milliseconds.map_err(|e| failed("reading a time", e))?) * 1e-3)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: the event is used by nobody else.
            let _ = unsafe { result::event::destroy(self.handle.0) };
        }
    }
}

/// A kernel's machine code on the device.
#[derive(Debug)]
pub(super) struct Module {
    context: Arc<Context>,
    handle: Handle<sys::CUmodule>,
    function: Handle<sys::CUfunction>,
}

impl Module {
    /// Loads an image, and finds the kernel in it.
    pub fn new(context: &Arc<Context>, image: &[u8], kernel: &str) -> Result<Self> {
        let name = CString::new(kernel).expect("kernels' names hold no zeros");
        // SAFETY: the image is one that NVRTC made: machine code, which tells its own length, or text that ends in 0.
        let handle = unsafe { result::module::load_data(image.as_ptr().cast()) }
            .map_err(|e| failed(&format!("loading kernel {kernel}"), e))?;
        let mut module = Self {
            context: context.clone(),
            handle: Handle(handle),
            function: Handle(std::ptr::null_mut()),
        };
        // SAFETY: the module is loaded.
        let function = unsafe { result::module::get_function(handle, name) };
        module.function = Handle(function.map_err(|e| failed(&format!("finding kernel {kernel}"), e))?);
        Ok(module)
    }

    /// Launches the kernel with one argument, a struct in the words of `argument`.
    ///
    /// # Safety
    /// The struct must be the kernel's, and the memory it refers to as the kernel expects until the stream has done this.
    pub unsafe fn launch(
        &self,
        [x, y, z]: [u32; 3],
        threads: u32,
        argument: &[u64],
        stream: &Stream,
    ) -> Result<(), DriverError> {
        let mut arguments = [argument.as_ptr().cast_mut().cast::<c_void>()];
        // SAFETY: the driver copies the argument, which it only reads, before the call returns; the rest is the caller's.
        unsafe {
            result::launch_kernel(
                self.function.0,
                (x, y, z),
                (threads, 1, 1),
                0,
                stream.handle.0,
                &mut arguments,
            )
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: no launch of it is under way, which executors see to.
            let _ = unsafe { result::module::unload(self.handle.0) };
        }
    }
}
