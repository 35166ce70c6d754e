//! Which weights an intervention is about: places in the flat arena of parameters.

use crate::error::{Error, Result};
use crate::model::{Layout, ModelShape, TensorGroup};

/// Chosen tensors, by the names that files have for them, and whole groups of tensors. Nothing chosen is all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names of tensors, as `blocks.0.mlp.W_in`.
    pub tensors: Vec<String>,
    /// Names of groups, as `embed`.
    pub groups: Vec<String>,
}

impl Selection {
    /// The places of every chosen tensor, tensor by tensor.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] names what the network does not have, and what it has.
    pub fn places(&self, layout: &Layout) -> Result<Vec<Vec<usize>>> {
        for name in &self.tensors {
            if !layout.externals.iter().any(|tensor| tensor.name == *name) {
                let names: Vec<&str> = layout.externals.iter().map(|tensor| tensor.name.as_str()).collect();
                return Err(Error::config(format!(
                    "--tensors {name}: the network has no such tensor, expected some of {}",
                    names.join(", ")
                )));
            }
        }
        let group_of = |external: &crate::model::External| layout.tensors[external.tensor].group.name();
        for name in &self.groups {
            if !layout.externals.iter().any(|external| group_of(external) == name) {
                let has = |group: &TensorGroup| layout.tensors.iter().any(|tensor| tensor.group == *group);
                let names: Vec<&str> = TensorGroup::ALL.iter().filter(|g| has(g)).map(|g| g.name()).collect();
                return Err(Error::config(format!(
                    "--groups {name}: the network has no such group, expected some of {}",
                    names.join(", ")
                )));
            }
        }
        let all = self.tensors.is_empty() && self.groups.is_empty();
        let chosen = layout.externals.iter().filter(|external| {
            all || self.tensors.contains(&external.name) || self.groups.iter().any(|group| group_of(external) == group)
        });
        Ok(chosen.map(|external| external.indices(layout).collect()).collect())
    }
}

/// Where the weights of a hidden neuron lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NeuronPlaces {
    /// From what it sees.
    pub below: Vec<usize>,
    /// Its bias, if it has one.
    pub bias: Option<usize>,
    /// To what it writes.
    pub above: Vec<usize>,
}

impl NeuronPlaces {
    pub fn all(&self) -> Vec<usize> {
        self.below
            .iter()
            .chain(&self.bias)
            .chain(&self.above)
            .copied()
            .collect()
    }
}

/// The places of neuron `index` of the MLP or hidden layer `layer`.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if there is none.
pub(super) fn neuron(shape: &ModelShape, layout: &Layout, layer: usize, index: usize) -> Result<NeuronPlaces> {
    let (widths, [below, bias, above]) = match shape {
        ModelShape::Transformer(s) => (
            vec![s.d_mlp; s.layers],
            ["W_in", "b_in", "W_out"].map(|name| format!("blocks.{layer}.mlp.{name}")),
        ),
        ModelShape::Mlp(s) => (
            s.hidden.clone(),
            [
                format!("layers.{layer}.W"),
                format!("layers.{layer}.b"),
                format!("layers.{}.W", layer + 1),
            ],
        ),
    };
    let Some(width) = widths.get(layer).filter(|width| index < **width) else {
        return Err(Error::config(format!(
            "neuron {layer}:{index}: expected layers below {} and neurons below their widths {widths:?}",
            widths.len()
        )));
    };
    let (below, above) = (layout.tensor(&below), layout.tensor(&above));
    let bias = layout.tensors.iter().find(|tensor| tensor.name == bias);
    Ok(NeuronPlaces {
        below: (0..below.rows).map(|row| below.offset + row * width + index).collect(),
        bias: bias.map(|tensor| tensor.offset + index),
        above: (0..above.cols)
            .map(|col| above.offset + index * above.cols + col)
            .collect(),
    })
}

/// The places through which head `head` of block `layer` writes: its rows of W_O.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if there is none.
pub(super) fn head(shape: &ModelShape, layout: &Layout, layer: usize, head: usize) -> Result<Vec<usize>> {
    let ModelShape::Transformer(s) = shape else {
        return Err(Error::config(
            "--heads: an MLP has no attention, expected a transformer",
        ));
    };
    if layer >= s.layers || head >= s.heads {
        return Err(Error::config(format!(
            "--heads {layer}:{head}: expected blocks below {} and heads below {}",
            s.layers, s.heads
        )));
    }
    let tensor = layout.tensor(&format!("blocks.{layer}.attn.W_O"));
    let rows = tensor.rows / s.heads;
    let first = tensor.offset + head * rows * tensor.cols;
    Ok((first..first + rows * tensor.cols).collect())
}
