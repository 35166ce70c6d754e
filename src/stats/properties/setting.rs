//! What properties depend on beside the network.

use std::sync::Arc;

use crate::config::{LossKind, OptimizerKind, Property, Split};
use crate::error::{Error, Result};
use crate::task::Cyclic;

/// What properties depend on beside the network.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The loss of a sample.
    pub loss: LossKind,
    /// The rule of the update whose parts are told apart.
    pub optimizer: OptimizerKind,
    /// Samples of the training split; in `measure`, of the given data.
    pub train: usize,
    /// Samples of the test split.
    pub test: usize,
    /// The group in which the task's operation adds, if it is known and there is one.
    pub group: Option<&'a Arc<Cyclic>>,
}

impl Setting<'_> {
    /// Samples of a split.
    pub(super) fn samples(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }

    /// The group, in which a network of so many classes answers.
    pub(super) fn group(&self, property: &Property, classes: usize) -> Result<Arc<Cyclic>> {
        match self.group {
            Some(group) if group.modulus() <= classes => Ok(group.clone()),
            Some(group) => Err(Error::config(format!(
                "property {property}: the network has {classes} classes, expected at least the modulus {}",
                group.modulus()
            ))),
            None => Err(Error::config(format!(
                "property {property}: the operation of the task is not known"
            ))),
        }
    }
}
