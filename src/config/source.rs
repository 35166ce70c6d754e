//! A TOML file whose entries know their places, so that an error can name line and column.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use crate::error::{Error, Result};

/// The text of a TOML file, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

/// A place in a file, counted from 1.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: PathBuf,
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'i> {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// Its value.
    pub value: DeValue<'i>,
    /// Where that stands.
    pub value_at: Place,
}

impl Source {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            text: fs::read_to_string(path).map_err(|e| Error::io(path, e))?,
        })
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its entries, in the order of the file.
    pub fn parse(&self) -> Result<Vec<Entry<'_>>> {
        let table = DeTable::parse(&self.text).map_err(|e| {
            let offset = e.span().map_or(0, |span| span.start);
            let message = e.message().trim().replace('\n', ", ");
            Error::config(format!("{}: not valid TOML: {message}", self.place(offset)))
        })?;
        Ok(self.entries(table.into_inner()))
    }

    /// The entries of a table of this file, as they stand there, so that the first error is told.
    pub fn entries<'i>(&self, table: DeTable<'i>) -> Vec<Entry<'i>> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| Entry {
                at: self.place(key.span().start),
                name: key.into_inner().into_owned(),
                value_at: self.place(value.span().start),
                value: value.into_inner(),
            })
            .collect()
    }

    /// The items of an array of this file.
    pub fn items<'i>(&self, array: impl IntoIterator<Item = Spanned<DeValue<'i>>>) -> Vec<(DeValue<'i>, Place)> {
        array
            .into_iter()
            .map(|item| {
                let at = self.place(item.span().start);
                (item.into_inner(), at)
            })
            .collect()
    }

    fn place(&self, offset: usize) -> Place {
        let before = &self.text[..offset.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Place {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// A value with its places forgotten.
pub(crate) fn plain(value: DeValue<'_>) -> Result<Value, toml::de::Error> {
    Value::deserialize(ValueDeserializer::from(Spanned::new(0..0, value)))
}

/// A value on its own.
pub(super) fn parse_value(text: &str) -> Option<Value> {
    plain(DeValue::parse(text).ok()?.into_inner()).ok()
}
