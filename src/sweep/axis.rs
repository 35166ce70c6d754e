//! What a key may take in a sweep: a list of values, or a range that is linear or logarithmic.

use toml::Value;
use toml::de::DeValue;

use crate::config::{Place, Source, plain};
use crate::error::{Error, Result};

/// A value, and where in the file it comes from.
pub(super) type Placed = (Value, Place);

/// Most values of one range.
const MOST: i64 = 100_000;

/// The values of a key.
#[derive(Debug, Clone)]
pub(super) enum Domain {
    /// These.
    List(Vec<Placed>),
    /// Those between two ends.
    Range {
        /// The ends.
        range: Range,
        /// How many there are, where that is said.
        n: Option<u32>,
    },
}

/// All numbers between two ends, both included.
#[derive(Debug, Clone)]
pub(super) struct Range {
    low: f64,
    high: f64,
    is_log: bool,
    /// Both ends were written as whole numbers.
    is_whole: bool,
    at: Place,
}

impl Domain {
    /// Reads `[…]`, `{ range = [first, last], n = … }` or `{ log = [first, last], n = … }`.
    pub fn read(source: &Source, key: &str, value: DeValue<'_>, at: &Place) -> Result<Self> {
        let expected = || {
            Error::config(format!(
                "{at}: {key}: expected a list of values, {{ range = [first, last], n = count }} or {{ log = [first, last], n = count }}"
            ))
        };
        match value {
            DeValue::Array(items) => {
                let items = source.items(items);
                if items.is_empty() {
                    return Err(Error::config(format!(
                        "{at}: {key} has no values, expected at least one"
                    )));
                }
                let placed = items.into_iter().map(|(value, at)| {
                    let value = plain(value).map_err(|e| Error::config(format!("{at}: {key}: {e}")))?;
                    Ok((value, at))
                });
                Ok(Self::List(placed.collect::<Result<_>>()?))
            }
            DeValue::Table(table) => {
                let mut range = None;
                let mut n = None;
                for entry in source.entries(table) {
                    let place = &entry.value_at;
                    let value = plain(entry.value).map_err(|e| Error::config(format!("{place}: {key}: {e}")))?;
                    match entry.name.as_str() {
                        "range" | "log" => range = Some(Range::read(key, &value, entry.name == "log", place)?),
                        "n" => n = Some(count(key, &value, place)?),
                        _ => return Err(expected()),
                    }
                }
                let range = range.ok_or_else(expected)?;
                Ok(Self::Range { range, n })
            }
            _ => Err(expected()),
        }
    }

    /// All of its values, in order.
    pub fn values(self, key: &str) -> Result<Vec<Placed>> {
        match self {
            Self::List(values) => Ok(values),
            Self::Range { range, n: Some(n) } => Ok(range.even(n)),
            Self::Range { range, n: None } => Err(Error::config(format!(
                "{}: {key}: a range needs n, the number of its values",
                range.at
            ))),
        }
    }

    /// The value at u in [0, 1).
    pub fn at(&self, u: f64) -> Placed {
        match self {
            Self::List(values) => {
                let place = (u * values.len() as f64) as usize;
                values[place.min(values.len() - 1)].clone()
            }
            Self::Range { range, .. } => range.at(u),
        }
    }
}

impl Range {
    fn read(key: &str, value: &Value, is_log: bool, at: &Place) -> Result<Self> {
        let wrong = |what: &str| Error::config(format!("{at}: {key}: {what}"));
        let ends = value.as_array().map(Vec::as_slice);
        let Some([first, last]) = ends else {
            return Err(wrong("expected two numbers, [first, last]"));
        };
        let (Some(low), Some(high)) = (number(first), number(last)) else {
            return Err(wrong("expected two numbers, [first, last]"));
        };
        if !(low < high && high.is_finite() && low.is_finite()) {
            return Err(wrong(&format!(
                "[{first}, {last}] does not rise, expected first < last"
            )));
        }
        if is_log && low <= 0.0 {
            return Err(wrong(&format!("log = [{first}, {last}], expected numbers above 0")));
        }
        Ok(Self {
            low,
            high,
            is_log,
            is_whole: first.is_integer() && last.is_integer(),
            at: at.clone(),
        })
    }

    /// `n` values from one end to the other, evenly spaced. They are whole numbers if the ends were and all values are.
    fn even(&self, n: u32) -> Vec<Placed> {
        let values: Vec<f64> = (0..n)
            .map(|k| {
                let share = f64::from(k) / f64::from(n - 1);
                match k {
                    0 => self.low,
                    _ if k == n - 1 => self.high,
                    _ if self.is_log => self.low * libm::pow(self.high / self.low, share),
                    _ => self.low + share * (self.high - self.low),
                }
            })
            .map(short)
            .collect();
        let is_whole = self.is_whole && values.iter().all(|x| (x - x.round()).abs() < 1e-9 * x.abs().max(1.0));
        values
            .into_iter()
            .map(|x| (value(x, is_whole), self.at.clone()))
            .collect()
    }

    /// The value at u in [0, 1). Between whole ends every whole number has its share of [0, 1).
    fn at(&self, u: f64) -> Placed {
        let high = if self.is_whole { self.high + 1.0 } else { self.high };
        let x = if self.is_log {
            self.low * libm::pow(high / self.low, u)
        } else {
            self.low + u * (high - self.low)
        };
        let x = if self.is_whole {
            x.floor().min(self.high)
        } else {
            short(x)
        };
        (value(x, self.is_whole), self.at.clone())
    }
}

fn value(x: f64, is_whole: bool) -> Value {
    if is_whole {
        Value::Integer(x.round() as i64)
    } else {
        Value::Float(x)
    }
}

/// Twelve digits: as written by hand, and the same wherever it is computed.
fn short(x: f64) -> f64 {
    format!("{x:.11e}").parse().unwrap_or(x)
}

/// A number, whole or not.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|x| x as f64))
}

fn count(key: &str, value: &Value, at: &Place) -> Result<u32> {
    value
        .as_integer()
        .filter(|n| (2..=MOST).contains(n))
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| {
            Error::config(format!(
                "{at}: {key}: n = {value}, expected a whole number from 2 to {MOST}"
            ))
        })
}
