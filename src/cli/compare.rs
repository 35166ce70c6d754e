//! `gmatrix compare A B`

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::args::CompareArgs;
use super::{engine, output};
use crate::comparison::Comparison;
use crate::error::{Error, Result};

pub(super) fn run(args: &CompareArgs) -> Result<ExitCode> {
    let found = engine::compare(args)?;
    match args.json.as_deref() {
        None => output::print(&as_table(&found))?,
        Some(path) => {
            let json = serde_json::to_string_pretty(&as_json(&found)).map_err(|e| Error::io(path, e))? + "\n";
            if path == Path::new("-") {
                output::print(&json)?;
            } else {
                fs::write(path, json).map_err(|e| Error::io(path, e))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The flat keys, then all principal angles and the key frequencies.
fn as_json(found: &Comparison) -> Value {
    let scalars = found.scalars.iter().map(|(name, value)| (name.clone(), json!(value)));
    let mut keys: Map<String, Value> = scalars.collect();
    keys.insert("angles".to_owned(), json!(found.angles));
    if let Some([a, b]) = &found.keys {
        keys.insert("keys".to_owned(), json!({ "a": a, "b": b }));
    }
    Value::Object(keys)
}

/// A line for each number, then the key frequencies.
fn as_table(found: &Comparison) -> String {
    let number = |value: &Option<f64>| value.map_or("null".to_owned(), |x| format!("{x:.6}"));
    let mut rows: Vec<Vec<String>> = found
        .scalars
        .iter()
        .map(|(name, value)| vec![name.clone(), number(value)])
        .collect();
    for (side, keys) in ["a", "b"].into_iter().zip(found.keys.iter().flatten()) {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        rows.push(vec![format!("keys.{side}"), keys.join(" ")]);
    }
    output::table(&rows)
}
