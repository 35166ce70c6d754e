//! Paths of data: one in quotes, or a list.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The files that hold one set of examples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files(pub Vec<String>);

impl Files {
    /// Whether no file is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<String>> From<T> for Files {
    fn from(path: T) -> Self {
        Self(vec![path.into()])
    }
}

impl fmt::Display for Files {
    /// As in TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [path] => write!(f, "{path:?}"),
            paths => write!(f, "{paths:?}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path in quotes, or a list of paths")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [path] => path.serialize(serializer),
            paths => paths.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(path) => vec![path],
            OneOrMore::More(paths) => paths,
        }))
    }
}
