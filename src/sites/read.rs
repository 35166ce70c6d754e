//! Sites from a safetensors file.

use std::collections::BTreeSet;
use std::path::Path;

use super::Sites;
use crate::error::Result;
use crate::tensor_file::{TensorFile, read_bytes};

/// Beginning of the names of all tensors and keys.
const PREFIX: &str = "sites/";

impl Sites {
    /// Reads `sites/<name>/a [N, T, d_in]` and `/b [N, T, d_out]`, or `/ids [N, T]` and `/b`, or `/g [N, …]`. The
    /// metadata key `sites/<name>/kind` says which: `linear`, `linear_bias`, `embedding` or `materialised`. The rows of
    /// an embedding's table are the metadata key `sites/<name>/rows`, or else the largest id plus one. Sites come in the
    /// order of their names.
    ///
    /// # Errors
    /// If the file is not that; one line that names the file, the tensor or key, and what was expected.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_bytes(path)?;
        let file = TensorFile::parse(path, &bytes)?;
        let names = site_names(&file)?;
        let mut sites: Option<Self> = None;
        for name in &names {
            let kind = kind(&file, name)?;
            check_parts(&file, name, kind)?;
            let first = format!("{PREFIX}{name}/{}", kind.parts[0]);
            let n = file.tensor(&first)?.shape().first().copied().unwrap_or(0);
            let sites = match &mut sites {
                Some(sites) => sites,
                none => none.insert(Self::new(n).map_err(|e| file.error(format!("{first}: {e}")))?),
            };
            if n != sites.n {
                return Err(file.error(format!(
                    "{first} has {n} samples, expected {}, as site {} has",
                    sites.n, sites.sites[0].name
                )));
            }
            sites.read_site(&file, name, kind)?;
        }
        sites.ok_or_else(|| file.error("holds no sites, expected tensors sites/<name>/a, b, ids or g"))
    }

    fn read_site(&mut self, file: &TensorFile, name: &str, kind: &Kind) -> Result<()> {
        let tensor = |part: &str| format!("{PREFIX}{name}/{part}");
        let added = match kind.name {
            "embedding" => {
                let [n, t] = file.dims(&tensor("ids"), "[N, T]")?;
                let d_out = cotangents(file, &tensor("b"), (n, t))?;
                let (ids, b) = (file.integers(&tensor("ids"))?, file.floats(&tensor("b"))?);
                self.embedding(name, &ids, &b, d_out, rows(file, name)?)
            }
            "materialised" => self.materialised(name, &file.floats(&tensor("g"))?),
            _ => {
                let [n, t, d_in] = file.dims(&tensor("a"), "[N, T, d_in]")?;
                let d_out = cotangents(file, &tensor("b"), (n, t))?;
                let (a, b) = (file.floats(&tensor("a"))?, file.floats(&tensor("b"))?);
                self.any_linear(name, (a, d_in), (b, d_out), kind.name == "linear_bias")
            }
        };
        added.map_err(|e| file.error(e))
    }
}

/// A kind of sites and its tensors.
struct Kind {
    name: &'static str,
    parts: &'static [&'static str],
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "linear",
        parts: &["a", "b"],
    },
    Kind {
        name: "linear_bias",
        parts: &["a", "b"],
    },
    Kind {
        name: "embedding",
        parts: &["ids", "b"],
    },
    Kind {
        name: "materialised",
        parts: &["g"],
    },
];

/// Names of the sites, from tensors and from metadata, so that neither can be forgotten.
fn site_names(file: &TensorFile) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for tensor in file.names() {
        let site = tensor.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('/'));
        match site {
            Some((name, "a" | "b" | "ids" | "g")) if !name.is_empty() => names.insert(name.to_owned()),
            _ => {
                return Err(file.error(format!("holds tensor {tensor}, expected sites/<name>/a, b, ids or g")));
            }
        };
    }
    let keys = file.metadata_keys();
    names.extend(keys.filter_map(|key| Some(key.strip_prefix(PREFIX)?.strip_suffix("/kind")?.to_owned())));
    Ok(names)
}

fn kind(file: &TensorFile, name: &str) -> Result<&'static Kind> {
    let key = format!("{PREFIX}{name}/kind");
    let expected = "expected linear, linear_bias, embedding or materialised";
    let Some(stated) = file.metadata(&key) else {
        return Err(file.error(format!("has no metadata key {key}, {expected}")));
    };
    let kind = KINDS.iter().find(|kind| kind.name == stated);
    kind.ok_or_else(|| file.error(format!("metadata key {key} is {stated:?}, {expected}")))
}

/// Whether the site has the tensors of its kind, and no other.
fn check_parts(file: &TensorFile, name: &str, kind: &Kind) -> Result<()> {
    for part in ["a", "b", "ids", "g"] {
        let tensor = format!("{PREFIX}{name}/{part}");
        match (kind.parts.contains(&part), file.contains(&tensor)) {
            (true, false) => {
                return Err(file.error(format!(
                    "has no tensor {tensor}, which a site of kind {} needs",
                    kind.name
                )));
            }
            (false, true) => {
                return Err(file.error(format!(
                    "holds tensor {tensor}, which a site of kind {} does not have",
                    kind.name
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Width of cotangents `[N, T, d_out]`.
fn cotangents(file: &TensorFile, name: &str, (n, t): (usize, usize)) -> Result<usize> {
    match file.dims(name, "[N, T, d_out]")? {
        [rows, positions, d_out] if (rows, positions) == (n, t) => Ok(d_out),
        [rows, positions, _] => Err(file.error(format!(
            "{name} has {rows} samples x {positions} positions, expected {n} x {t}, as the site's input has"
        ))),
    }
}

/// Rows of an embedding's table, where the metadata state them.
fn rows(file: &TensorFile, name: &str) -> Result<Option<usize>> {
    let key = format!("{PREFIX}{name}/rows");
    let Some(stated) = file.metadata(&key) else {
        return Ok(None);
    };
    let wrong = |_| file.error(format!("metadata key {key} is {stated:?}, expected a whole number"));
    stated.parse().map(Some).map_err(wrong)
}
