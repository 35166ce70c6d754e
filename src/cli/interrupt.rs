//! Ctrl-C: the first asks for a checkpoint, the second does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::INTERRUPTED;
use crate::error::{Error, Result};

/// A flag that the first Ctrl-C (or termination signal, as of a batch system) sets.
pub(super) fn flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("interrupted: ends with a checkpoint after this chunk; once more ends at once");
    })
    .map_err(|e| Error::device(format!("Ctrl-C cannot be caught: {e}")))?;
    Ok(flag)
}
