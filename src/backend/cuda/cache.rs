//! Compiled kernels on disk, so that no source is compiled twice by one compiler for one architecture.
//!
//! An entry is a file that begins with all that its image follows from, and ends with a checksum. Any number of processes
//! may use one directory: entries appear whole, by renaming, and two processes that compile the same source write the
//! same entry. An entry that is damaged, or that is about something else under the same name, is compiled anew and
//! replaced; a directory that cannot be written to costs time only.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;

/// First bytes of an entry; another layout gets another number.
const MAGIC: &[u8; 16] = b"gmatrix image 1\n";

/// What an image follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageKey<'a> {
    /// Complete text of the kernel.
    pub source: &'a str,
    /// The compiler's options, in order.
    pub options: &'a [String],
    /// The architecture, as `sm_90`.
    pub architecture: &'a str,
    /// The compiler and its version.
    pub compiler: &'a str,
}

impl ImageKey<'_> {
    /// All of it, each part behind its length, so that no two keys have the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let parts = [self.compiler, self.architecture];
        for part in parts
            .into_iter()
            .chain(self.options.iter().map(String::as_str))
            .chain([self.source])
        {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// A directory of compiled kernels.
#[derive(Debug, Clone)]
pub struct ImageCache {
    directory: PathBuf,
}

impl ImageCache {
    /// In this directory, which is made when the first entry is written.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The user's: `gmatrix/cuda` in `XDG_CACHE_HOME`, `LOCALAPPDATA` or `~/.cache`, whichever is the first there is.
    pub fn of_user() -> Option<Self> {
        Self::among(|name| std::env::var_os(name).map(PathBuf::from))
    }

    fn among(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<Self> {
        // Of a relative path nobody would know where it is.
        let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("LOCALAPPDATA"))
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
        Some(Self::new(base.join("gmatrix").join("cuda")))
    }

    /// The image that belongs to a key: from the disk, else what `compile` gives, which is then kept.
    ///
    /// # Errors
    /// Those of `compile`; nothing is kept then.
    pub fn image(&self, key: &ImageKey, compile: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let key = key.bytes();
        let path = self.directory.join(format!("{:016x}.image", hash(&key)));
        if let Some(image) = fs::read(&path).ok().and_then(|entry| image_of(&entry, &key)) {
            return Ok(image);
        }
        let image = compile()?;
        if let Err(error) = store(&path, &entry_of(&key, &image)) {
            tracing::warn!("{}: a compiled kernel cannot be kept: {error}", path.display());
        }
        Ok(image)
    }
}

/// Magic, length and bytes of the key, length and bytes of the image, checksum of all before it.
fn entry_of(key: &[u8], image: &[u8]) -> Vec<u8> {
    let mut entry = MAGIC.to_vec();
    for part in [key, image] {
        entry.extend((part.len() as u64).to_le_bytes());
        entry.extend(part);
    }
    entry.extend(hash(&entry).to_le_bytes());
    entry
}

/// The image of an undamaged entry about this key.
fn image_of(entry: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let (body, checksum) = entry.split_last_chunk::<8>()?;
    if hash(body).to_le_bytes() != *checksum {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?;
    let (found, rest) = part_of(rest)?;
    let (image, rest) = part_of(rest)?;
    (found == key && rest.is_empty()).then(|| image.to_vec())
}

/// The part that begins here, behind its length, and what follows it.
fn part_of(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)
}

/// Writes to a name that no other thread or process uses, and renames that.
fn store(path: &Path, entry: &[u8]) -> std::io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let unfinished = path.with_extension(format!("{}-{number}.unfinished", std::process::id()));
    let written = fs::write(&unfinished, entry).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // Frees the space where the disk is full; the first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// FNV-1a of 64 bits, the same on every machine and in every version: it names entries and finds damage, no more.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::error::Error;

    fn key<'a>(source: &'a str, options: &'a [String]) -> ImageKey<'a> {
        ImageKey {
            source,
            options,
            architecture: "sm_90",
            compiler: "NVRTC 13.0",
        }
    }

    /// What the cache gives for a key, and whether it compiled.
    fn ask(cache: &ImageCache, key: &ImageKey, image: &[u8]) -> (Vec<u8>, bool) {
        let mut compiled = false;
        let found = cache.image(key, || {
            compiled = true;
            Ok(image.to_vec())
        });
        (found.expect("an image"), compiled)
    }

    /// The only entry of a directory.
    fn entry(directory: &Path) -> PathBuf {
        let mut files = fs::read_dir(directory).expect("a directory");
        let file = files.next().expect("an entry").expect("a file").path();
        assert!(files.next().is_none(), "one entry and nothing beside it");
        file
    }

    #[test]
    fn the_same_key_is_compiled_once_and_every_part_of_it_counts() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = ImageCache::new(directory.path().join("made/when/needed"));
        let options = ["-a".to_owned(), "-b".to_owned()];
        let first = key("source", &options);
        assert_eq!(ask(&cache, &first, b"image"), (b"image".to_vec(), true));
        assert_eq!(ask(&cache, &first, b"another"), (b"image".to_vec(), false));
        // The same characters, parted otherwise.
        let joined = ["-a-b".to_owned()];
        let others = [
            key("sources", &options),
            key("source", &options[..1]),
            key("source", &joined),
            ImageKey {
                architecture: "sm_80",
                ..first
            },
            ImageKey {
                compiler: "NVRTC 13.1",
                ..first
            },
        ];
        for (k, other) in others.iter().enumerate() {
            assert_eq!(ask(&cache, other, &[k as u8]), (vec![k as u8], true));
        }
        assert_eq!(ask(&cache, &first, b"another"), (b"image".to_vec(), false));
    }

    #[test]
    fn damaged_entries_are_compiled_anew_and_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = ImageCache::new(directory.path());
        let key = key("source", &[]);
        ask(&cache, &key, b"image");
        let path = entry(directory.path());
        let whole = fs::read(&path).expect("an entry");
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
        damaged.extend((0..whole.len()).map(|k| {
            let mut entry = whole.clone();
            entry[k] ^= 0x10;
            entry
        }));
        damaged.push([&whole[..], b"more"].concat());
        for contents in damaged {
            fs::write(&path, &contents).expect("written");
            assert_eq!(ask(&cache, &key, b"again"), (b"again".to_vec(), true));
            assert_eq!(ask(&cache, &key, b"unused"), (b"again".to_vec(), false));
        }
    }

    #[test]
    fn an_entry_about_another_key_under_the_same_name_is_not_taken() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = ImageCache::new(directory.path());
        let key = key("source", &[]);
        ask(&cache, &key, b"image");
        let path = entry(directory.path());
        fs::write(&path, entry_of(b"another key", b"another image")).expect("written");
        assert_eq!(ask(&cache, &key, b"image"), (b"image".to_vec(), true));
    }

    #[test]
    fn what_does_not_compile_is_not_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = ImageCache::new(directory.path());
        let key = key("source", &[]);
        let failed = cache.image(&key, || Err(Error::device("no compiler")));
        assert_eq!(failed.expect_err("no image").to_string(), "no compiler");
        assert_eq!(ask(&cache, &key, b"image"), (b"image".to_vec(), true));
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_costs_time_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        fs::write(&file, "not a directory").expect("written");
        let cache = ImageCache::new(file);
        for _ in 0..2 {
            assert_eq!(ask(&cache, &key("source", &[]), b"image"), (b"image".to_vec(), true));
        }
    }

    #[test]
    fn many_may_ask_at_once_while_entries_are_damaged() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = ImageCache::new(directory.path());
        let sources: Vec<String> = (0..4).map(|k| format!("source {k}")).collect();
        // Large enough that a write is not a single instant.
        let image_of = |source: &str| source.as_bytes().repeat(20_000);
        let compiled = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (cache, sources, compiled, directory) = (&cache, &sources, &compiled, directory.path());
                scope.spawn(move || {
                    for turn in 0..20 {
                        let source = &sources[(thread + turn) % sources.len()];
                        let image = cache.image(&key(source, &[]), || {
                            compiled.fetch_add(1, Ordering::Relaxed);
                            Ok(image_of(source))
                        });
                        assert_eq!(image.expect("an image"), image_of(source));
                        if thread == 0 && turn % 5 == 0 {
                            let files = fs::read_dir(directory).expect("a directory").flatten();
                            let damaged = files
                                .map(|file| file.path())
                                .find(|path| path.extension().is_some_and(|e| e == "image"));
                            fs::write(damaged.expect("an entry"), "damaged").expect("written");
                        }
                    }
                });
            }
        });
        assert!((4..160).contains(&compiled.load(Ordering::Relaxed)));
        let unfinished = fs::read_dir(directory.path()).expect("a directory").flatten();
        assert!(
            unfinished
                .map(|file| file.path())
                .all(|path| path.extension().is_some_and(|e| e == "image"))
        );
    }

    #[test]
    fn the_users_cache_is_where_the_environment_says() {
        let of = |given: &'static [(&'static str, &'static str)]| {
            let cache = ImageCache::among(|name| given.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v)));
            cache.map(|cache| cache.directory)
        };
        assert_eq!(
            of(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]),
            Some(PathBuf::from("/c/gmatrix/cuda"))
        );
        assert_eq!(
            of(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]),
            Some(PathBuf::from("/h/.cache/gmatrix/cuda"))
        );
        assert_eq!(of(&[]), None);
    }
}
