//! Sections of a sweep's file.

use toml::Value;
use toml::de::DeValue;

use crate::config::{Entry, Place, Source, known, plain};
use crate::error::{Error, Result};

/// The value of an entry.
pub(super) fn literal(entry: &Entry<'_>) -> Result<Value> {
    plain(entry.value.clone()).map_err(|e| Error::config(format!("{}: {}: {e}", entry.value_at, entry.name)))
}

/// The entries of a section.
pub(super) fn table<'i>(source: &Source, entry: Entry<'i>) -> Result<Vec<Entry<'i>>> {
    match entry.value {
        DeValue::Table(table) => Ok(source.entries(table)),
        _ => Err(Error::config(format!(
            "{}: {name} is a section, expected [{name}] and its keys below",
            entry.value_at,
            name = entry.name
        ))),
    }
}

/// The sections of this name, each `[[name]]`.
pub(super) fn tables<'i>(source: &Source, entry: Entry<'i>) -> Result<Vec<Entry<'i>>> {
    let name = entry.name;
    let expected = |at: &Place| Error::config(format!("{at}: expected [[{name}]] and keys of the configuration below"));
    match entry.value {
        DeValue::Array(items) => source
            .items(items)
            .into_iter()
            .map(|(value, at)| match value {
                value @ DeValue::Table(_) => Ok(Entry {
                    name: name.clone(),
                    at: at.clone(),
                    value,
                    value_at: at,
                }),
                _ => Err(expected(&at)),
            })
            .collect(),
        _ => Err(expected(&entry.value_at)),
    }
}

/// The entries of a section whose keys are keys of the configuration, written `section.key` or `"section.key"`.
pub(super) fn keyed<'i>(source: &Source, entry: Entry<'i>) -> Result<Vec<Entry<'i>>> {
    let mut all = Vec::new();
    for entry in table(source, entry)? {
        match entry.value {
            DeValue::Table(inner) if !entry.name.contains('.') => {
                all.extend(source.entries(inner).into_iter().map(|inner| Entry {
                    name: format!("{}.{}", entry.name, inner.name),
                    ..inner
                }));
            }
            _ => all.push(entry),
        }
    }
    for entry in &all {
        known(&entry.name).map_err(|text| Error::config(format!("{}: {text}", entry.at)))?;
    }
    Ok(all)
}
