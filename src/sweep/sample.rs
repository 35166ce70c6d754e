//! Points drawn at once over several keys: at random, or by a Sobol sequence.

use toml::Value;

use super::axis::{Domain, Placed};
use super::section::{keyed, literal, table};
use super::sobol;
use crate::config::{Entry, Source};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Most points of a sample.
const MOST: i64 = 100_000;

/// `[sample]`: how many points, how they are drawn, and over what.
pub(super) struct Sample {
    is_sobol: bool,
    n: u32,
    stream: Stream,
    keys: Vec<(String, Domain)>,
}

impl Sample {
    /// Reads the section.
    pub fn read(source: &Source, entry: Entry<'_>) -> Result<Self> {
        let at = entry.at.clone();
        let mut is_sobol = None;
        let mut n = None;
        let mut seed = 0;
        let mut keys = Vec::new();
        for entry in table(source, entry)? {
            let at = entry.value_at.clone();
            let whole = |entry: &Entry<'_>, least: i64, most: i64| {
                let value = literal(entry)?;
                let found = value.as_integer().filter(|x| (least..=most).contains(x));
                found.ok_or_else(|| {
                    let name = &entry.name;
                    let text = format!("sample.{name} = {value}, expected a whole number from {least} to {most}");
                    Error::config(format!("{at}: {text}"))
                })
            };
            match entry.name.as_str() {
                "method" => is_sobol = Some(method(&literal(&entry)?, &entry)?),
                "n" => n = Some(whole(&entry, 1, MOST)? as u32),
                "seed" => seed = whole(&entry, 0, i64::MAX)? as u64,
                "keys" => {
                    for entry in keyed(source, entry)? {
                        let domain = Domain::read(source, &entry.name, entry.value, &entry.value_at)?;
                        keys.push((entry.name, domain));
                    }
                }
                name => {
                    return Err(Error::config(format!(
                        "{}: unknown key sample.{name}; the keys are sample.method, sample.n, sample.seed and the section [sample.keys]",
                        entry.at
                    )));
                }
            }
        }
        let lacks = |what: &str| Error::config(format!("{at}: sample lacks {what}"));
        let is_sobol = is_sobol.ok_or_else(|| lacks(r#"method, "random" or "sobol""#))?;
        if keys.is_empty() {
            return Err(lacks("[sample.keys], the keys that are drawn"));
        }
        if is_sobol && keys.len() > sobol::DIMENSIONS {
            return Err(Error::config(format!(
                "{at}: sample has {} keys, expected at most {} with method \"sobol\"",
                keys.len(),
                sobol::DIMENSIONS
            )));
        }
        Ok(Self {
            is_sobol,
            n: n.ok_or_else(|| lacks("n, the number of points"))?,
            stream: Stream::new(seed, Purpose::Sweep),
            keys,
        })
    }

    /// The keys, and the values of all of them at each point.
    pub fn points(self) -> (Vec<String>, Vec<Vec<Placed>>) {
        let points = (0..self.n)
            .map(|index| {
                let keys = self.keys.iter().enumerate();
                keys.map(|(k, (_, domain))| domain.at(self.uniform(index, k))).collect()
            })
            .collect();
        (self.keys.into_iter().map(|(key, _)| key).collect(), points)
    }

    /// A number in [0, 1) for key `k` of a point: a draw, or a Sobol coordinate whose bits are flipped by a word that is
    /// drawn once for the key. Such a shift keeps how evenly the points lie, and takes the first one from the corner.
    fn uniform(&self, index: u32, k: usize) -> f64 {
        let stream = self.stream.substream(k as u32);
        if self.is_sobol {
            let word = sobol::coordinate(index, k) ^ stream.block(0)[0];
            f64::from(word) * (-32f64).exp2()
        } else {
            stream.uniform(index.into())
        }
    }
}

fn method(value: &Value, entry: &Entry<'_>) -> Result<bool> {
    match value.as_str() {
        Some("sobol") => Ok(true),
        Some("random") => Ok(false),
        _ => Err(Error::config(format!(
            r#"{}: sample.method = {value}, expected "random" or "sobol""#,
            entry.value_at
        ))),
    }
}
