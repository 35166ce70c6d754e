//! Frequencies of the task's group in the weights that meet its elements: one number for each element, line by line.

use crate::config::MlpInput;
use crate::model::{Layout, ModelShape};
use crate::structure::waves::Waves;
use crate::task::Cyclic;

/// Lines of places, each with a place for every element of the group in order.
pub(super) type Lines = Vec<Vec<usize>>;

/// Every column of what the elements' tokens are looked up in; on one-hot input, for every operand. None on real inputs.
pub(super) fn embedding_lines(shape: &ModelShape, layout: &Layout, group: &Cyclic) -> Lines {
    let (name, operands) = match shape {
        ModelShape::Mlp(s) if s.input == MlpInput::OneHot => ("layers.0.W", s.n_ctx),
        ModelShape::Mlp(s) if s.input == MlpInput::Float => return Lines::new(),
        _ => ("embed.W_E", 1),
    };
    let tensor = layout.tensor(name);
    let step = tensor.rows / operands;
    let columns = (0..operands).flat_map(|operand| (0..tensor.cols).map(move |column| (operand * step, column)));
    columns
        .map(|(first, column)| {
            let row = |e: usize| first + group.class(e) as usize;
            (0..group.order())
                .map(|e| tensor.offset + row(e) * tensor.cols + column)
                .collect()
        })
        .collect()
}

/// Every row of what makes the logits, at the elements' classes.
pub(super) fn unembedding_lines(shape: &ModelShape, layout: &Layout, group: &Cyclic) -> Lines {
    let name = match shape {
        ModelShape::Transformer(_) => "unembed.W_U".to_owned(),
        ModelShape::Mlp(s) => format!("layers.{}.W", s.hidden.len()),
    };
    let tensor = layout.tensor(&name);
    (0..tensor.rows)
        .map(|row| {
            (0..group.order())
                .map(|e| tensor.offset + row * tensor.cols + group.class(e) as usize)
                .collect()
        })
        .collect()
}

/// What lies at these frequencies along a line, at every element.
pub(super) fn part(waves: &Waves, weights: &[f64], line: &[usize], frequencies: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; line.len()];
    for &k in frequencies {
        let coefficient = waves.coefficient(k, |e| weights[line[e]]);
        for (e, sum) in sum.iter_mut().enumerate() {
            *sum += waves.part(k, coefficient, e);
        }
    }
    sum
}
