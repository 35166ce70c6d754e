//! Parts of a sweep, for several machines that are told apart by a number.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// One of `of` parts, which take turns with the runs: part i has the runs i - 1, i - 1 + n, i - 1 + 2 n, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl Shard {
    /// Whether a run belongs to it.
    pub fn has(self, number: u32) -> bool {
        number % self.of == self.index - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            let shard = Self {
                index: index.parse().ok()?,
                of: of.parse().ok()?,
            };
            (1..=shard.of).contains(&shard.index).then_some(shard)
        });
        parsed.ok_or_else(|| Error::config(format!("{text:?}, expected i/n with i from 1 to n, as 2/4")))
    }
}
