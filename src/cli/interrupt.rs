//! Ctrl-C: the first asks for a checkpoint, the second does not wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::INTERRUPTED;
use crate::error::{Error, Result};

/// A flag that the first Ctrl-C (or termination signal, as of a batch system) sets; the same whenever it is asked for.
pub(super) fn flag() -> Result<Arc<AtomicBool>> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(flag) = FLAG.get() {
        return Ok(Arc::clone(flag));
    }
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("interrupted: ends with a checkpoint after this chunk; once more ends at once");
    })
    .map_err(|e| Error::device(format!("Ctrl-C cannot be caught: {e}")))?;
    Ok(Arc::clone(FLAG.get_or_init(|| flag)))
}
