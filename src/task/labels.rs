//! Labels that are not those of the rule: controls and noise.

use crate::error::{Error, Result};
use crate::random::{Permutation, Purpose, Stream};

/// Replaces labels by uniform draws. The label of row `first + i` is draw `first + i`, so it depends neither on the split
/// nor on other labels.
pub(super) fn randomise(labels: &mut [u32], first: usize, classes: usize, seed: u64) {
    let noise = Stream::new(seed, Purpose::LabelNoise);
    for (i, label) in labels.iter_mut().enumerate() {
        *label = noise.below((first + i) as u64, classes as u32);
    }
}

/// Replaces `floor(share * N)` of the labels by uniform draws from the other classes; returns their places, ascending.
///
/// # Errors
/// If there is no other class.
pub(super) fn add_noise(labels: &mut [u32], share: f64, classes: usize, seed: u64) -> Result<Vec<u32>> {
    let n = labels.len() as u32;
    let count = (share * f64::from(n)) as u32;
    if count > 0 && classes < 2 {
        return Err(Error::config(format!(
            "task.label_noise = {share}, but there is one class only"
        )));
    }
    let noise = Stream::new(seed, Purpose::LabelNoise);
    let places = Permutation::new(n, noise.substream(1).block(0)).subset(count);
    for &place in &places {
        let step = 1 + noise.substream(2).below(place.into(), classes as u32 - 1);
        let label = &mut labels[place as usize];
        *label = (*label + step) % classes as u32;
    }
    Ok(places)
}
