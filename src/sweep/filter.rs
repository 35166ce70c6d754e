//! Which points of a sweep are left out.

use std::collections::BTreeMap;

use toml::Value;
use toml::de::DeValue;

use super::axis::number;
use crate::config::{Place, Source, plain};
use crate::error::{Error, Result};

/// Leaves out the points at which all of its conditions hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// Keys with what they must be.
    pub conditions: Vec<(String, Condition)>,
}

/// What a key must be.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// One of these values.
    OneOf(Vec<Value>),
    /// A number within these bounds.
    Within {
        /// At least this.
        least: f64,
        /// At most this.
        most: f64,
    },
}

impl Filter {
    /// Whether all conditions hold of the values by `section.key`.
    pub fn holds(&self, values: &BTreeMap<String, Value>) -> bool {
        self.conditions
            .iter()
            .all(|(key, condition)| values.get(key).is_some_and(|value| condition.holds(value)))
    }
}

impl Condition {
    /// Reads a value, a list of values, or `{ least = …, most = … }`.
    pub fn read(source: &Source, key: &str, value: DeValue<'_>, at: &Place) -> Result<Self> {
        let wrong = || {
            Error::config(format!(
                "{at}: {key}: expected a value, a list of values or {{ least = number, most = number }}"
            ))
        };
        let plain = |value| plain(value).map_err(|e| Error::config(format!("{at}: {key}: {e}")));
        match value {
            DeValue::Array(items) => {
                let items = source.items(items).into_iter().map(|(item, _)| plain(item));
                Ok(Self::OneOf(items.collect::<Result<_>>()?))
            }
            DeValue::Table(table) => {
                let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
                for entry in source.entries(table) {
                    let bound = number(&plain(entry.value)?).ok_or_else(wrong)?;
                    match entry.name.as_str() {
                        "least" => least = bound,
                        "most" => most = bound,
                        _ => return Err(wrong()),
                    }
                }
                Ok(Self::Within { least, most })
            }
            value => Ok(Self::OneOf(vec![plain(value)?])),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|other| alike(value, other)),
            Self::Within { least, most } => number(value).is_some_and(|x| x >= *least && x <= *most),
        }
    }
}

/// 1 and 1.0 are the same number.
fn alike(a: &Value, b: &Value) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
