//! Images as they are published: the IDX files of MNIST and its kin, and the binary files of CIFAR.
//!
//! A pixel x of 0 to 255 becomes the input x/255. The pixels of an image are in the order of the file: rows of a grey
//! image; of a CIFAR image all rows in red, then in green, then in blue.

use std::path::Path;

use super::Examples;
use crate::config::TaskOp;
use crate::error::{Error, Result};
use crate::tensor_file::read_bytes;

/// N images of one size, with their labels.
pub(super) struct Images {
    /// `[N, width]`
    pixels: Vec<u8>,
    /// `[N]`
    pub labels: Vec<u32>,
    /// Pixels of an image, over all colours.
    pub width: usize,
}

impl Images {
    /// These images, in this order.
    pub fn select(&self, rows: &[u32]) -> Examples {
        let image = |&row: &u32| &self.pixels[row as usize * self.width..][..self.width];
        Examples {
            tokens: Vec::new(),
            inputs: rows.iter().flat_map(image).map(|&x| f64::from(x) / 255.0).collect(),
            labels: rows.iter().map(|&row| self.labels[row as usize]).collect(),
            n: rows.len(),
            t: 1,
            width: self.width,
        }
    }
}

/// Images and labels from two IDX files: a magic number 0, 0, type, number of axes; the length of each axis as four bytes,
/// the most significant first; the elements.
pub(super) fn idx(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Images> {
    let (image_bytes, label_bytes) = (read_bytes(images.as_ref())?, read_bytes(labels.as_ref())?);
    let ([n, rows, columns], pixels) = unsigned_bytes(images.as_ref(), &image_bytes, "images [N, rows, columns]")?;
    let ([count], classes) = unsigned_bytes(labels.as_ref(), &label_bytes, "labels [N]")?;
    if count != n {
        return Err(Error::io(
            labels,
            format!("has {count} labels, but {} has {n} images", images.as_ref().display()),
        ));
    }
    if pixels.is_empty() {
        return Err(Error::io(
            images,
            format!("has {n} images of {rows} x {columns} pixels, expected at least one of each"),
        ));
    }
    Ok(Images {
        width: pixels.len() / n,
        pixels: pixels.to_vec(),
        labels: classes.iter().map(|&x| x.into()).collect(),
    })
}

/// The axes and elements of an IDX file of unsigned bytes with `D` axes.
fn unsigned_bytes<'a, const D: usize>(path: &Path, bytes: &'a [u8], expected: &str) -> Result<([usize; D], &'a [u8])> {
    /// The code of unsigned bytes.
    const UBYTE: u8 = 8;
    let fail = |reason: String| Err(Error::io(path, reason));
    let magic = [0, 0, UBYTE, D as u8];
    match bytes {
        [0x1f, 0x8b, ..] => return fail("is compressed by gzip, expected the unpacked file".to_owned()),
        _ if bytes.starts_with(&magic) => {}
        _ => {
            let hex = |bytes: &[u8]| bytes.iter().map(|x| format!("{x:02x}")).collect::<String>();
            return fail(format!(
                "begins with {}, expected {}, an IDX file of unsigned bytes with {expected}",
                hex(&bytes[..bytes.len().min(4)]),
                hex(&magic)
            ));
        }
    }
    let header = magic.len() + 4 * D;
    let Some(axes) = bytes.get(magic.len()..header) else {
        return fail(format!(
            "ends after {} bytes, within its header of {header}",
            bytes.len()
        ));
    };
    let lengths: Vec<usize> = axes
        .as_chunks()
        .0
        .iter()
        .map(|&x| u32::from_be_bytes(x) as usize)
        .collect();
    let elements = lengths.iter().try_fold(1usize, |all, &x| all.checked_mul(x));
    let data = &bytes[header..];
    if elements != Some(data.len()) {
        return fail(format!(
            "has {} bytes behind its header, expected those of {lengths:?}",
            data.len()
        ));
    }
    let lengths = std::array::from_fn(|axis| lengths[axis]);
    Ok((lengths, data))
}

/// Images and labels from binary CIFAR files, one behind the other: records of one label (CIFAR-10), or of a coarse and a
/// fine one (CIFAR-100, of which the fine counts), and 3 x 32 x 32 pixels.
pub(super) fn cifar(op: TaskOp, batches: &[String]) -> Result<Images> {
    const PIXELS: usize = 3 * 32 * 32;
    let (labels_of_record, classes) = match op {
        TaskOp::Cifar100 => (2, 100),
        _ => (1, 10),
    };
    let record = labels_of_record + PIXELS;
    let mut images = Images {
        pixels: Vec::new(),
        labels: Vec::new(),
        width: PIXELS,
    };
    for path in batches {
        let bytes = read_bytes(Path::new(path))?;
        if bytes.is_empty() || bytes.len() % record != 0 {
            return Err(Error::io(
                path,
                format!(
                    "has {} bytes, expected a multiple of {record}, the length of a {} record",
                    bytes.len(),
                    op.name()
                ),
            ));
        }
        for (place, record) in bytes.chunks_exact(record).enumerate() {
            let (labels, pixels) = record.split_at(labels_of_record);
            let label = u32::from(labels[labels_of_record - 1]);
            if label >= classes {
                return Err(Error::io(
                    path,
                    format!("record {place} has label {label}, expected below {classes}"),
                ));
            }
            images.labels.push(label);
            images.pixels.extend(pixels);
        }
    }
    Ok(images)
}
