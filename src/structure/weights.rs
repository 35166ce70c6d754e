//! Fourier components of weights, and how concentrated they are.
//!
//! A matrix with a row for each element of the group has, in the orthonormal basis of 1, cos and sin of 2 pi k e/n, one
//! component for each basis function: a vector over its columns, whose 2-norm counts. For the **embedding** the rows are
//! those of the elements' tokens (of the first operand's, in an MLP on one-hot input); for the **unembedding** they are
//! the elements' classes in W_L = W_out W_U, which takes the last block's neurons to logits (the last layer, in an MLP).
//! Gains of layer normalisation are left out.
//!
//! - **Gini coefficient** of the norms x: sum over i, j of |x_i - x_j| / (2 m^2 mean x), 0 for equal ones.
//! - **Inverse participation ratio** of a neuron's weights w on one-hot input: sum over k of (|w_k|/|w|)^4 with w_k the
//!   discrete Fourier transform at k = 0, …, floor(n/2), and |w|^2 the sum of |w_k|^2 (Doshi et al. 2310.13061, r = 2).

use super::waves::Waves;
use crate::config::MlpInput;
use crate::model::{Layout, ModelShape, Tensor};
use crate::task::Cyclic;

/// A matrix by rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f64>,
}

impl Rows {
    fn of(tensor: &Tensor, weights: &[f64]) -> Self {
        Self {
            width: tensor.cols,
            values: weights[tensor.offset..tensor.offset + tensor.len()].to_vec(),
        }
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..][..self.width]
    }

    fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    fn norm_of_row(&self, row: usize) -> f64 {
        self.row(row).iter().map(|w| w * w).sum::<f64>().sqrt()
    }

    fn norm_of_column(&self, column: usize) -> f64 {
        let entries = (0..self.count()).map(|row| self.row(row)[column]);
        entries.map(|w| w * w).sum::<f64>().sqrt()
    }

    /// The rows of the elements, where row r is that of residue r; none if there are fewer rows.
    fn of_elements(&self, group: &Cyclic) -> Option<Self> {
        (self.count() >= group.modulus()).then(|| Self {
            width: self.width,
            values: (0..group.order())
                .flat_map(|e| self.row(group.class(e) as usize).to_vec())
                .collect(),
        })
    }

    fn transposed(&self) -> Self {
        let rows = self.count();
        Self {
            width: rows,
            values: (0..self.width)
                .flat_map(|column| (0..rows).map(move |row| (row, column)))
                .map(|(row, column)| self.row(row)[column])
                .collect(),
        }
    }

    fn times(&self, other: &Self) -> Self {
        let mut values = vec![0.0; self.count() * other.width];
        for (row, out) in values.chunks_exact_mut(other.width.max(1)).enumerate() {
            for (k, a) in self.row(row).iter().enumerate() {
                out.iter_mut().zip(other.row(k)).for_each(|(sum, b)| *sum += a * b);
            }
        }
        Self {
            width: other.width,
            values,
        }
    }
}

/// |w_in| |w_out| of every hidden neuron, layer by layer.
pub(super) fn norms_of_neurons(shape: &ModelShape, weights: &[f64]) -> Vec<Vec<f64>> {
    let layout = Layout::new(shape);
    let of = |name: String| Rows::of(layout.tensor(&name), weights);
    let norms = |below: Rows, above: Rows| -> Vec<f64> {
        (0..below.width)
            .map(|k| below.norm_of_column(k) * above.norm_of_row(k))
            .collect()
    };
    match shape {
        ModelShape::Transformer(s) => (0..s.layers)
            .map(|l| norms(of(format!("blocks.{l}.mlp.W_in")), of(format!("blocks.{l}.mlp.W_out"))))
            .collect(),
        ModelShape::Mlp(s) => (0..s.hidden.len())
            .map(|l| norms(of(format!("layers.{l}.W")), of(format!("layers.{}.W", l + 1))))
            .collect(),
    }
}

/// What the elements' tokens are looked up in: `[n, width]`.
pub fn embedding(shape: &ModelShape, weights: &[f64], group: &Cyclic) -> Option<Rows> {
    let layout = Layout::new(shape);
    let name = match shape {
        ModelShape::Mlp(s) if s.input == MlpInput::OneHot => "layers.0.W",
        ModelShape::Mlp(s) if s.input == MlpInput::Float => return None,
        _ => "embed.W_E",
    };
    Rows::of(layout.tensor(name), weights).of_elements(group)
}

/// From the last hidden neurons to the elements' logits: `[n, neurons]`.
pub fn unembedding(shape: &ModelShape, weights: &[f64], group: &Cyclic) -> Option<Rows> {
    let layout = Layout::new(shape);
    let of = |name: &str| Rows::of(layout.tensor(name), weights);
    let to_logits = match shape {
        ModelShape::Transformer(s) => {
            let last = s.layers.checked_sub(1)?;
            of(&format!("blocks.{last}.mlp.W_out")).times(&of("unembed.W_U"))
        }
        ModelShape::Mlp(s) => of(&format!("layers.{}.W", s.hidden.len())),
    };
    to_logits.transposed().of_elements(group)
}

/// Squared norms of the Fourier components of rows by element: that of 1, then of cos and sin of each frequency; the sine
/// of 2k = n is 0 everywhere and left out.
fn components(rows: &Rows) -> Vec<[f64; 2]> {
    let n = rows.count();
    let waves = Waves::new(n);
    let column = |k: usize, c: usize| waves.coefficient(k, |e| rows.row(e)[c]);
    (0..=n / 2)
        .map(|k| {
            let weight = if k == 0 { 1.0 } else { waves.weight(k) } * n as f64;
            (0..rows.width).fold([0.0; 2], |[cosine, sine], c| {
                let [re, im] = column(k, c);
                [cosine + weight * re * re, sine + weight * im * im]
            })
        })
        .collect()
}

/// Each frequency's share of the squared norm of rows by element, the constant left out of both: from frequency 1 on.
pub fn spectrum(rows: &Rows) -> Vec<f64> {
    let components = components(rows);
    let power: Vec<f64> = components[1..].iter().map(|[cosine, sine]| cosine + sine).collect();
    let total: f64 = power.iter().sum();
    power.iter().map(|power| power / total).collect()
}

/// Gini coefficient of the norms of the Fourier components of rows by element.
pub fn gini_of_components(rows: &Rows) -> f64 {
    let n = rows.count();
    let components = components(rows);
    let mut norms = vec![components[0][0].sqrt()];
    for (k, [cosine, sine]) in components.iter().enumerate().skip(1) {
        norms.push(cosine.sqrt());
        if 2 * k != n {
            norms.push(sine.sqrt());
        }
    }
    gini(&norms)
}

/// The Gini coefficient of numbers that are not negative; NaN if all are 0.
pub fn gini(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let m = sorted.len() as f64;
    let total: f64 = sorted.iter().sum();
    // Sum over pairs of |x_i - x_j| is 2 sum over i of (2 i - m + 1) x_i for ascending x, i from 0.
    let differences: f64 = sorted
        .iter()
        .enumerate()
        .map(|(i, x)| (2.0 * i as f64 - m + 1.0) * x)
        .sum();
    differences / (m * total)
}

/// Mean inverse participation ratio of the first layer's neurons; none but on one-hot input.
pub fn inverse_participation(shape: &ModelShape, weights: &[f64], group: &Cyclic) -> Option<f64> {
    let ModelShape::Mlp(s) = shape else { return None };
    if s.input != MlpInput::OneHot {
        return None;
    }
    let rows = embedding(shape, weights, group)?;
    let n = rows.count();
    let waves = Waves::new(n);
    let of_neuron = |c: usize| {
        let powers: Vec<f64> = (0..=n / 2)
            .map(|k| {
                let [re, im] = waves.coefficient(k, |e| rows.row(e)[c]);
                re * re + im * im
            })
            .collect();
        let total: f64 = powers.iter().sum();
        powers.iter().map(|power| (power / total).powi(2)).sum::<f64>()
    };
    Some((0..rows.width).map(of_neuron).sum::<f64>() / rows.width as f64)
}
