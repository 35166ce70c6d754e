//! Where every parameter lies in the flat arena of P numbers, and under which name and shape files know it.
//!
//! Inside, the columns of all heads lie side by side (`W_Q [d_model, heads * d_head]`), and K and V share one matrix
//! `W_KV [d_model, 2 d_model]` and one bias `b_KV`, since they share their input; in files each head is a matrix of its
//! own.

use serde::{Deserialize, Serialize};

use super::shape::{MlpShape, ModelShape, Norm, TransformerShape};
use crate::config::MlpInput;

/// What a parameter belongs to, for weight decay and per-group statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorGroup {
    /// Token embedding.
    Embed,
    /// Position embedding.
    Position,
    /// Attention matrices.
    Attention,
    /// MLP matrices.
    Mlp,
    /// Unembedding.
    Unembed,
    /// Gains and shifts of layer normalisation.
    Norm,
    /// Biases.
    Bias,
}

impl TensorGroup {
    /// Its name in configurations and columns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Position => "position",
            Self::Attention => "attention",
            Self::Mlp => "mlp",
            Self::Unembed => "unembed",
            Self::Norm => "norm",
            Self::Bias => "bias",
        }
    }

    /// All groups, in the order of their numbers on device.
    pub const ALL: [Self; 7] = [
        Self::Embed,
        Self::Position,
        Self::Attention,
        Self::Mlp,
        Self::Unembed,
        Self::Norm,
        Self::Bias,
    ];
}

/// One parameter tensor in the arena, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Name inside gmatrix, as `blocks.0.attn.W_KV`.
    pub name: String,
    /// Rows; 1 for a vector.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// First element in the arena.
    pub offset: usize,
    /// What it belongs to.
    pub group: TensorGroup,
}

impl Tensor {
    /// Elements.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor as files hold it: element `[h, i, j]` (or the j-th of row i, with `heads` 1) of the file is element
/// `[i, column + h * width + j]` of tensor `tensor` of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Name in the file.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Index into [`Layout::tensors`].
    pub tensor: usize,
    /// First column.
    pub column: usize,
    /// Matrices stacked along the first axis of the file's tensor.
    pub heads: usize,
    /// Columns of one of them.
    pub width: usize,
}

impl External {
    /// Arena index of every element, in the order of the file.
    pub fn indices<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = usize> + 'a {
        let tensor = &layout.tensors[self.tensor];
        (0..self.heads).flat_map(move |h| {
            (0..tensor.rows).flat_map(move |i| {
                (0..self.width).map(move |j| tensor.offset + i * tensor.cols + self.column + h * self.width + j)
            })
        })
    }
}

/// All parameters of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The tensors, in the order of the arena, without gaps.
    pub tensors: Vec<Tensor>,
    /// The same parameters as files know them.
    pub externals: Vec<External>,
    /// P: how many parameters there are.
    pub len: usize,
}

impl Layout {
    /// The layout of a network of this shape.
    pub fn new(shape: &ModelShape) -> Self {
        let mut layout = Self {
            tensors: Vec::new(),
            externals: Vec::new(),
            len: 0,
        };
        match shape {
            ModelShape::Transformer(s) => layout.transformer(s),
            ModelShape::Mlp(s) => layout.mlp(s),
        }
        layout
    }

    /// Names of the matrices that multiply an input: all but tables of embeddings, and the first layer on one-hot tokens,
    /// which is one too.
    pub fn multiplying(&self, shape: &ModelShape) -> impl Iterator<Item = &str> {
        let table = match shape {
            ModelShape::Mlp(s) if s.input == MlpInput::OneHot => Some("layers.0.W"),
            _ => None,
        };
        let groups = [TensorGroup::Attention, TensorGroup::Mlp, TensorGroup::Unembed];
        let tensors = self.tensors.iter().filter(move |tensor| groups.contains(&tensor.group));
        tensors
            .map(|tensor| tensor.name.as_str())
            .filter(move |name| Some(*name) != table)
    }

    /// The tensor of this name.
    ///
    /// # Panics
    /// If there is none: names come from code, never from users.
    #[track_caller]
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors
            .iter()
            .find(|t| t.name == name)
            .unwrap_or_else(|| panic!("no tensor {name} in this layout"))
    }

    fn push(&mut self, name: &str, rows: usize, cols: usize, group: TensorGroup) -> usize {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            rows,
            cols,
            offset: self.len,
            group,
        });
        self.len += rows * cols;
        self.tensors.len() - 1
    }

    fn matrix(&mut self, name: &str, rows: usize, cols: usize, group: TensorGroup) {
        let tensor = self.push(name, rows, cols, group);
        self.externals.push(External {
            name: name.to_owned(),
            shape: vec![rows, cols],
            tensor,
            column: 0,
            heads: 1,
            width: cols,
        });
    }

    fn vector(&mut self, name: &str, cols: usize, group: TensorGroup) {
        let tensor = self.push(name, 1, cols, group);
        self.externals.push(External {
            name: name.to_owned(),
            shape: vec![cols],
            tensor,
            column: 0,
            heads: 1,
            width: cols,
        });
    }

    fn transformer(&mut self, s: &TransformerShape) {
        let d = s.d_model;
        let d_head = d / s.heads;
        self.matrix("embed.W_E", s.d_vocab, d, TensorGroup::Embed);
        self.matrix("pos_embed.W_pos", s.n_ctx, d, TensorGroup::Position);
        for l in 0..s.layers {
            let at = |name: &str| format!("blocks.{l}.{name}");
            if s.norm == Norm::Pre {
                self.vector(&at("ln1.w"), d, TensorGroup::Norm);
                self.vector(&at("ln1.b"), d, TensorGroup::Norm);
            }
            let q = self.push(&at("attn.W_Q"), d, d, TensorGroup::Attention);
            let kv = self.push(&at("attn.W_KV"), d, 2 * d, TensorGroup::Attention);
            let o = self.push(&at("attn.W_O"), d, d, TensorGroup::Attention);
            for (name, tensor, column) in [("W_Q", q, 0), ("W_K", kv, 0), ("W_V", kv, d)] {
                self.externals.push(External {
                    name: at(&format!("attn.{name}")),
                    shape: vec![s.heads, d, d_head],
                    tensor,
                    column,
                    heads: s.heads,
                    width: d_head,
                });
            }
            // [heads, d_head, d_model] has the memory order of [heads * d_head, d_model].
            self.externals.push(External {
                name: at("attn.W_O"),
                shape: vec![s.heads, d_head, d],
                tensor: o,
                column: 0,
                heads: 1,
                width: d,
            });
            if s.attention_biases {
                self.attention_biases(s, &at);
            }
            if s.norm == Norm::Pre {
                self.vector(&at("ln2.w"), d, TensorGroup::Norm);
                self.vector(&at("ln2.b"), d, TensorGroup::Norm);
            }
            self.matrix(&at("mlp.W_in"), d, s.d_mlp, TensorGroup::Mlp);
            self.vector(&at("mlp.b_in"), s.d_mlp, TensorGroup::Bias);
            self.matrix(&at("mlp.W_out"), s.d_mlp, d, TensorGroup::Mlp);
            self.vector(&at("mlp.b_out"), d, TensorGroup::Bias);
        }
        if s.norm == Norm::Pre {
            self.vector("ln_final.w", d, TensorGroup::Norm);
            self.vector("ln_final.b", d, TensorGroup::Norm);
        }
        self.matrix("unembed.W_U", d, s.d_vocab_out, TensorGroup::Unembed);
        if s.unembed_bias {
            self.vector("unembed.b_U", s.d_vocab_out, TensorGroup::Bias);
        }
    }

    /// Biases of one block's attention, laid out as the columns of its matrices.
    fn attention_biases(&mut self, s: &TransformerShape, at: &impl Fn(&str) -> String) {
        let d = s.d_model;
        let q = self.push(&at("attn.b_Q"), 1, d, TensorGroup::Bias);
        let kv = self.push(&at("attn.b_KV"), 1, 2 * d, TensorGroup::Bias);
        for (name, tensor, column) in [("b_Q", q, 0), ("b_K", kv, 0), ("b_V", kv, d)] {
            self.externals.push(External {
                name: at(&format!("attn.{name}")),
                shape: vec![s.heads, d / s.heads],
                tensor,
                column,
                // [heads, d_head] has the memory order of a row of heads * d_head columns.
                heads: 1,
                width: d,
            });
        }
        self.vector(&at("attn.b_O"), d, TensorGroup::Bias);
    }

    fn mlp(&mut self, s: &MlpShape) {
        if s.input == MlpInput::Embedding {
            self.matrix("embed.W_E", s.d_vocab, s.d_model, TensorGroup::Embed);
        }
        let mut d_in = s.d_in();
        let widths = s.hidden.iter().copied().chain([s.d_vocab_out]);
        for (l, d_out) in widths.enumerate() {
            self.matrix(&format!("layers.{l}.W"), d_in, d_out, TensorGroup::Mlp);
            if s.bias {
                self.vector(&format!("layers.{l}.b"), d_out, TensorGroup::Bias);
            }
            d_in = d_out;
        }
    }
}
