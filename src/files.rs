//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Begin of the names of unfinished files; no reader looks at them.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// Writes `path` anew: to another name in the same directory, flushed to the disk, renamed, and the directory flushed.
/// Killed at any instant, `path` holds what it held before or all that `write` wrote.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    replace_inner(path, write).map_err(|e| Error::io(path, format!("cannot be written: {e}")))
}

fn replace_inner(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let unfinished = unfinished_name(path);
    let written = (|| {
        let mut file = BufWriter::new(File::create(&unfinished)?);
        write(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        // Frees the space where the disk is full; a leftover is harmless, so the first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
        return written;
    }
    sync_directory(parent(path))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    // Windows cannot open directories as files and makes renames durable by itself.
    if cfg!(unix) {
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}

fn unfinished_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!("{UNFINISHED}{name}"))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
