//! The examples of a task as a data file, with what the seed decided about them.

use super::{Examples, Task};
use crate::config::Split;
use crate::tensors::{NamedTensor, TensorSet};

impl Task {
    /// The examples of a split, in its order, or of both, those that are trained on first: `tokens [N, T]` or
    /// `inputs [N, d]`, `labels [N]`, the `rows [N]` of their table, and `noisy [N]`, 1 where `task.label_noise` replaced the
    /// label. Metadata: `secret_bits` of a parity, with commas.
    pub fn tensors(&self, split: Option<Split>) -> TensorSet {
        let train = (&self.train, &self.train_rows, &self.noisy[..]);
        let test = (&self.test, &self.test_rows, &[][..]);
        let parts = match split {
            Some(Split::Train) => vec![train],
            Some(Split::Test) => vec![test],
            None => vec![train, test],
        };
        let n = parts.iter().map(|(examples, ..)| examples.n).sum();
        let all = |of: fn(&Examples) -> &[u32]| -> Vec<u32> {
            parts.iter().flat_map(|(examples, ..)| of(examples)).copied().collect()
        };
        let inputs = if self.train.is_real() {
            let inputs: Vec<f64> = parts
                .iter()
                .flat_map(|(examples, ..)| &examples.inputs)
                .copied()
                .collect();
            NamedTensor::new("inputs", &[n, self.train.width], &inputs)
        } else {
            NamedTensor::new("tokens", &[n, self.train.t], &all(|examples| &examples.tokens))
        };
        let rows: Vec<u32> = parts.iter().flat_map(|(_, rows, _)| *rows).copied().collect();
        let noisy: Vec<u8> = parts
            .iter()
            .flat_map(|(examples, _, noisy)| {
                (0..examples.n as u32).map(|place| u8::from(noisy.binary_search(&place).is_ok()))
            })
            .collect();
        let secret: Vec<String> = self.secret_bits.iter().map(ToString::to_string).collect();
        let metadata = (!secret.is_empty()).then(|| ("secret_bits".to_owned(), secret.join(",")));
        TensorSet {
            tensors: vec![
                inputs,
                NamedTensor::new("labels", &[n], &all(|examples| &examples.labels)),
                NamedTensor::new("rows", &[n], &rows),
                NamedTensor::new("noisy", &[n], &noisy),
            ],
            metadata: metadata.into_iter().collect(),
        }
    }
}
