//! Configurations in layers: a preset, over it a file, over it single settings; errors say where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize as _;
use toml::de::DeValue;
use toml::{Table, Value};

use super::source::{Entry, Place, Source, parse_value, plain};
use super::{Config, Preset, check, keys};
use crate::error::{Error, Result};

/// Puts a configuration together.
///
/// ```
/// use gmatrix::config::{Layers, Preset};
///
/// let config = Layers::new(Preset::Nanda).set("task.seed=3")?.set("train.stop=never")?.build()?;
/// assert_eq!((config.task.p, config.task.seed), (113, 3));
/// # Ok::<(), gmatrix::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Layers {
    config: Config,
    origins: BTreeMap<String, Origin>,
}

/// Where a value was written.
#[derive(Debug, Clone)]
enum Origin {
    File(Place),
    Set(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(f),
            Self::Set(text) => write!(f, "--set {text}"),
        }
    }
}

impl Layers {
    /// Starts from a preset.
    pub fn new(preset: Preset) -> Self {
        Self {
            config: preset.config(),
            origins: BTreeMap::new(),
        }
    }

    /// Starts from a complete configuration.
    pub fn from_config(config: Config) -> Self {
        Self {
            config,
            origins: BTreeMap::new(),
        }
    }

    /// Takes over all keys of a TOML file.
    ///
    /// # Errors
    /// Names file, line, column and key, what was found and what was expected.
    pub fn file(self, path: &Path) -> Result<Self> {
        let source = Source::read(path)?;
        let entries = source.parse()?;
        self.sections(&source, entries)
    }

    /// Takes over all keys of some sections of a file.
    pub(crate) fn sections(mut self, source: &Source, sections: Vec<Entry<'_>>) -> Result<Self> {
        for section in sections {
            if !keys::sections().contains(&section.name.as_str()) {
                let text = unknown_section(&section.name);
                return Err(Error::config(format!("{}: {text}", section.at)));
            }
            let DeValue::Table(keys) = section.value else {
                return Err(Error::config(format!(
                    "{}: {name} is a section, expected [{name}] and its keys below",
                    section.value_at,
                    name = section.name
                )));
            };
            for entry in source.entries(keys) {
                let name = format!("{}.{}", section.name, entry.name);
                known(&name).map_err(|text| Error::config(format!("{}: {text}", entry.at)))?;
                let value = plain(entry.value).map_err(|e| {
                    let at = &entry.value_at;
                    Error::config(format!("{at}: {name}: {e}"))
                })?;
                self.assign(&[&section.name, &entry.name], value, Origin::File(entry.value_at))?;
            }
        }
        Ok(self)
    }

    /// Takes over a value of `section.key` that stands at a place.
    pub(crate) fn value(&mut self, key: &str, value: Value, at: &Place) -> Result<()> {
        let path: Vec<&str> = key.split('.').collect();
        self.assign(&path, value, Origin::File(at.clone()))
    }

    /// All values so far by `section.key`, checked by their types alone.
    pub(crate) fn flat(&self) -> BTreeMap<String, Value> {
        keys::flat(&self.config)
    }

    /// Takes over one setting, `section.key=value`; the value is TOML, or else a string.
    ///
    /// # Errors
    /// Names the setting, what was found and what was expected.
    pub fn set(mut self, setting: &str) -> Result<Self> {
        let origin = Origin::Set(setting.to_owned());
        let Some((name, text)) = setting.split_once('=') else {
            return Err(Error::config(format!("{origin}: expected section.key=value")));
        };
        let (name, text) = (name.trim(), text.trim());
        let path: Vec<&str> = name.split('.').collect();
        let known = match path[..] {
            [section, _] | ["optimizer", section @ "weight_decay_groups", _] => {
                let key = if path.len() == 3 {
                    "optimizer.weight_decay_groups"
                } else {
                    name
                };
                if keys::find(key).is_some() {
                    Ok(())
                } else if keys::sections().contains(&section) {
                    Err(unknown_key(name))
                } else {
                    Err(unknown_section(section))
                }
            }
            [section] if keys::sections().contains(&section) => Err(format!("expected {section}.key=value")),
            _ => Err(unknown_key(name)),
        };
        known.map_err(|reason| Error::config(format!("{origin}: {reason}")))?;
        let value = parse_value(text).unwrap_or_else(|| Value::String(text.to_owned()));
        self.assign(&path, value, origin)?;
        Ok(self)
    }

    /// The complete configuration, with all values checked.
    ///
    /// # Errors
    /// Names the first value that cannot be, and where it came from.
    pub fn build(self) -> Result<Config> {
        check::check(&self.config).map_err(|fault| {
            let origin = fault.keys.iter().find_map(|key| self.origins.get(*key));
            Error::config(match origin {
                Some(origin) => format!("{origin}: {}", fault.text),
                None => fault.text,
            })
        })?;
        Ok(self.config)
    }

    fn assign(&mut self, path: &[&str], value: Value, origin: Origin) -> Result<()> {
        let key = path[..2].join(".");
        let expected = keys::find(&key).map_or("another value", |key| key.expected);
        let name = path.join(".");
        let found = value.to_string();
        let refuse = || Error::config(format!("{origin}: {name} = {found}, expected {expected}"));
        let mut table = Table::try_from(&self.config).map_err(|e| Error::config(format!("{origin}: {e}")))?;
        *entry(&mut table, path).ok_or_else(refuse)? = value;
        self.config = Config::deserialize(table).map_err(|_| refuse())?;
        self.origins.insert(key, origin);
        Ok(())
    }
}

/// Whether there is a key `section.key`; if not, what may have been meant.
pub(crate) fn known(name: &str) -> Result<(), String> {
    keys::find(name).map(|_| ()).ok_or_else(|| unknown_key(name))
}

/// The place of a value in nested tables.
fn entry<'a>(table: &'a mut Table, path: &[&str]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return Some(table.entry(*first).or_insert(Value::Boolean(false)));
    }
    let inner = table.entry(*first).or_insert_with(|| Value::Table(Table::new()));
    entry(inner.as_table_mut()?, rest)
}

fn unknown_section(section: &str) -> String {
    let hint = keys::did_you_mean(section, keys::sections().into_iter());
    format!(
        "unknown section {section}{hint}; the sections are {}",
        keys::sections().join(", ")
    )
}

fn unknown_key(name: &str) -> String {
    let section = name.split('.').next().unwrap_or_default();
    let in_section = |key: &&keys::Key| key.name.split('.').next() == Some(section);
    let names: Vec<&str> = keys::KEYS.iter().filter(in_section).map(|key| key.name).collect();
    let hint = keys::did_you_mean(name, keys::KEYS.iter().map(|key| key.name));
    match (hint.is_empty(), names.is_empty()) {
        (false, _) => format!("unknown key {name}{hint}"),
        (true, true) => format!("unknown key {name}; the sections are {}", keys::sections().join(", ")),
        (true, false) => format!("unknown key {name}; the keys are {}", names.join(", ")),
    }
}
