//! A configuration in stages: `[[stage]]` tables, each over the keys of the whole file.

use std::path::Path;

use toml::de::DeValue;

#[cfg(feature = "cli")]
use super::Config;
use super::Layers;
use super::source::{Place, Source};
use crate::error::{Error, Result};

impl Layers {
    /// Takes over all keys of a TOML file, stage by stage.
    ///
    /// The keys outside `[[stage]]` are those of every stage; a stage's own, written `[stage.task]` or `task.op = "mul"` below it,
    /// lie over them. Without a stage, the file is one.
    ///
    /// # Errors
    /// Names file, line, column and key, what was found and what was expected.
    pub fn file_in_stages(self, path: &Path) -> Result<Vec<Self>> {
        let source = Source::read(path)?;
        let (stages, sections): (Vec<_>, Vec<_>) = source.parse()?.into_iter().partition(|entry| entry.name == "stage");
        let base = self.sections(&source, sections)?;
        let Some(stages) = stages.into_iter().next() else {
            return Ok(vec![base]);
        };
        let wrong = |at: &Place| Error::config(format!("{at}: stage is a list of tables, expected [[stage]]"));
        let DeValue::Array(stages) = stages.value else {
            return Err(wrong(&stages.value_at));
        };
        let layers = source.items(stages).into_iter().map(|(stage, at)| match stage {
            DeValue::Table(keys) => base.clone().sections(&source, source.entries(keys)),
            _ => Err(wrong(&at)),
        });
        layers.collect()
    }
}

/// Refuses stages that do not fit one network.
///
/// # Errors
/// [`crate::ErrorKind::Config`] names the first stage that wants another.
#[cfg(feature = "cli")]
pub(crate) fn check_stages(stages: &[Config]) -> Result<()> {
    let shape = |config: &Config| crate::trainer::Experiment::new(config).map(|experiment| experiment.shape);
    let Some(first) = stages.first().map(shape).transpose()? else {
        return Ok(());
    };
    for (k, stage) in stages.iter().enumerate().skip(1) {
        if shape(stage)? != first {
            return Err(Error::config(format!(
                "stage {} asks for another network than the first; tokens, classes and [model] must be the same",
                k + 1
            )));
        }
    }
    Ok(())
}
