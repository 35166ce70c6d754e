//! Which matrices are asked for, and the columns of each.

use crate::config::FurtherGram;
use crate::model::{Layout, ModelShape, TensorGroup};
use crate::stats::columns;

/// One matrix whose ranks are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    CentredCosine,
    UnitResidual,
    Preconditioned,
    Group(TensorGroup),
    /// The input of the matrix of this name.
    Activation(String),
    Function,
    Block,
}

impl Part {
    /// What the names of its columns begin with.
    pub fn prefix(&self) -> String {
        match self {
            Self::CentredCosine => "centred_cosine".to_owned(),
            Self::UnitResidual => "unit_residual".to_owned(),
            Self::Preconditioned => "preconditioned".to_owned(),
            Self::Group(group) => format!("group.{}.raw", group.name()),
            Self::Activation(site) => format!("activation.{site}"),
            Self::Function => "function".to_owned(),
            Self::Block => "block".to_owned(),
        }
    }

    /// Its columns, behind the prefix.
    pub fn suffixes(&self) -> Vec<String> {
        match self {
            Self::Block => agreement(),
            _ => columns::ranks().map(str::to_owned).to_vec(),
        }
    }
}

/// The matrices that are asked for, in the order of their columns.
pub(super) fn parts(grams: &[FurtherGram], shape: &ModelShape) -> Vec<Part> {
    let layout = Layout::new(shape);
    let mut parts = Vec::new();
    for gram in FurtherGram::ALL.into_iter().filter(|gram| grams.contains(gram)) {
        match gram {
            FurtherGram::CentredCosine => parts.push(Part::CentredCosine),
            FurtherGram::UnitResidual => parts.push(Part::UnitResidual),
            FurtherGram::Preconditioned => parts.push(Part::Preconditioned),
            FurtherGram::Group => {
                let groups = TensorGroup::ALL.into_iter();
                let present = groups.filter(|group| layout.tensors.iter().any(|t| t.group == *group));
                parts.extend(present.map(Part::Group));
            }
            FurtherGram::Activation => {
                parts.extend(layout.multiplying(shape).map(|name| Part::Activation(name.to_owned())));
            }
            FurtherGram::Function => parts.push(Part::Function),
            FurtherGram::Block => parts.push(Part::Block),
        }
    }
    parts
}

/// Names of their columns.
pub fn names(grams: &[FurtherGram], shape: &ModelShape) -> Vec<String> {
    let parts = parts(grams, shape);
    let named = parts.iter().flat_map(|part| {
        let prefix = part.prefix();
        part.suffixes()
            .into_iter()
            .map(move |suffix| format!("{prefix}.{suffix}"))
    });
    named.collect()
}

/// Columns of agreement: of each block all pairs, those of one class, and those of two.
fn agreement() -> Vec<String> {
    let blocks = ["train", "test", "train_test"].into_iter();
    let pairs = blocks.flat_map(|block| ["", ".within_class", ".between_class"].map(|pairs| format!("{block}{pairs}")));
    pairs
        .flat_map(|pairs| ["mean_cosine", "mean_sign"].map(|what| format!("{pairs}.{what}")))
        .collect()
}

/// Names of the columns of standard errors, where ranks are estimated: of the three forms, then of these matrices.
pub fn error_names(grams: &[FurtherGram], shape: &ModelShape) -> Vec<String> {
    let forms = ["raw", "cosine", "centred"].map(str::to_owned);
    let further = parts(grams, shape).into_iter();
    let further = further.filter(|part| *part != Part::Block).map(|part| part.prefix());
    let named = forms
        .into_iter()
        .chain(further)
        .flat_map(|prefix| columns::ERRORS.map(|suffix| format!("{prefix}.{suffix}")));
    named.collect()
}
