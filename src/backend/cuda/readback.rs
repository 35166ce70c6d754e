//! Copies from the device on their way: into pinned memory, behind the work submitted so far, with an event at their end.

use std::sync::{Arc, Mutex, PoisonError};

use super::driver::{Context, Event, Memory, Pinned, Stream, failed};
use crate::error::Result;

/// A piece of device memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub memory: &'a Memory,
    pub first: usize,
    pub bytes: usize,
}

/// Pinned memory that is not in use: making some takes the driver longer than most copies.
#[derive(Debug, Default, Clone)]
pub(super) struct Landings(Arc<Mutex<Vec<Pinned>>>);

/// Copies under way.
#[derive(Debug)]
pub(super) struct Copy {
    context: Arc<Context>,
    /// None once it was given back.
    landing: Option<Pinned>,
    event: Event,
    landings: Landings,
    what: String,
}

/// Copies begin where their elements are aligned.
const ALIGN: usize = 8;

impl Landings {
    /// Begins to copy pieces, one behind the other; returns the copy and where each begins.
    pub fn copy(
        &self,
        context: &Arc<Context>,
        stream: &Stream,
        what: &str,
        pieces: &[Piece],
    ) -> Result<(Copy, Vec<usize>)> {
        let mut places = Vec::with_capacity(pieces.len());
        let mut size = 0;
        for piece in pieces {
            places.push(size);
            size += piece.bytes.next_multiple_of(ALIGN);
        }
        let landing = {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = free.iter().position(|landing| landing.len() >= size);
            fits.map(|k| free.swap_remove(k))
        };
        let landing = match landing {
            Some(landing) => landing,
            None => Pinned::new(context, size.max(ALIGN))?,
        };
        let mut copy = Copy {
            context: context.clone(),
            landing: Some(landing),
            event: Event::new(context, false)?,
            landings: self.clone(),
            what: what.to_owned(),
        };
        let landing = copy.landing.as_mut().expect("not given back yet");
        let mut copied = Ok(());
        for (piece, at) in pieces.iter().zip(&places).filter(|(piece, _)| piece.bytes > 0) {
            // SAFETY: the copy keeps the landing until the event behind this has passed, and nobody looks at it before.
            copied = unsafe { piece.memory.read(piece.first, landing, *at, piece.bytes, stream, what) };
            if copied.is_err() {
                break;
            }
        }
        // Also behind copies of which a later one failed, since dropping waits for it.
        copy.event.record(stream)?;
        copied.map(|()| (copy, places))
    }
}

impl Copy {
    /// Waits for the copies, and shows their bytes.
    pub fn wait<T>(mut self, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.context.bind()?;
        self.event.synchronize().map_err(|e| failed(&self.what, e))?;
        let landing = self.landing.take().expect("not given back yet");
        // SAFETY: what was to be written to it is written.
        let read = read(unsafe { landing.contents() });
        let mut free = self.landings.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(landing);
        Ok(read)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.landing.is_some() && self.context.bind().is_ok() {
            // The device may still write there; a failure ends that, too.
            let _ = self.event.synchronize();
        }
    }
}
