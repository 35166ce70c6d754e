//! `gmatrix measure`

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::args::MeasureArgs;
use super::engine::Measured;
use super::{engine, output};
use crate::config::{FurtherGram, Property, Split};
use crate::error::{Error, Result};

pub(super) fn run(args: &MeasureArgs) -> Result<ExitCode> {
    let properties = args
        .property
        .iter()
        .map(|name| property(name))
        .collect::<Result<Vec<_>>>()?;
    for (place, property) in properties.iter().enumerate() {
        if properties[..place].contains(property) {
            return Err(Error::config(format!("--property {property}: stands there twice")));
        }
        if property.frequency().is_some() && args.op.is_none() {
            return Err(Error::config(format!(
                "--property {property}: is about the frequencies of an operation, expected --op and --p"
            )));
        }
    }
    let grams = args.grams.iter().map(|name| {
        let wrong = |e: Error| Error::config(format!("--grams {name}: {e}"));
        name.parse().map_err(wrong)
    });
    let grams = grams.collect::<Result<Vec<FurtherGram>>>()?;
    let measured = engine::measure(args, &properties, &grams)?;
    if let (Some(path), Some(gradients)) = (&args.per_sample_gradients, &measured.per_sample_gradients) {
        gradients.write(path)?;
    }
    write(&measured, args.gram.as_deref(), args.json.as_deref())
}

/// Writes what was found where it is wanted.
pub(super) fn write(measured: &Measured, gram: Option<&Path>, json: Option<&Path>) -> Result<ExitCode> {
    if let (Some(path), Some(gram)) = (gram, &measured.gram) {
        gram.write(path)?;
    }
    match json {
        None => output::print(&as_table(&measured.statistics))?,
        Some(path) => {
            let json = serde_json::to_string_pretty(&measured.statistics).map_err(|e| Error::io(path, e))? + "\n";
            if path == Path::new("-") {
                output::print(&json)?;
            } else {
                fs::write(path, json).map_err(|e| Error::io(path, e))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Here all samples are one split, that of the given data.
fn property(name: &str) -> Result<Property> {
    let wrong = |reason: String| Error::config(format!("--property {name}: {reason}"));
    let property: Property = name.parse().map_err(|e: Error| wrong(e.to_string()))?;
    let other = match property {
        Property::TrainLoss | Property::TestLoss => Some("loss".to_owned()),
        Property::MeanLogOdds { split: Split::Test } => Some("mean_log_odds_train".to_owned()),
        Property::Linear { split: Split::Test, .. } => Some(name.replacen(":test", "", 1)),
        _ if property.sample().is_some_and(|(split, _)| split == Split::Test) => Some(name.replacen(":test", "", 1)),
        _ => None,
    };
    match other {
        Some(other) => Err(wrong(format!("measure knows no splits, expected {other}"))),
        None => Ok(property),
    }
}

/// The flat keys, one a line, then the products of properties, named as the columns of a run.
fn as_table(statistics: &Value) -> String {
    let entries = statistics.as_object().into_iter().flatten();
    let flat = entries.filter(|(_, value)| !value.is_object() && !value.is_array());
    let mut rows: Vec<Vec<String>> = flat.map(|(key, value)| vec![key.clone(), value.to_string()]).collect();
    let ntcov = &statistics["ntcov"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: Vec<Value> = list(&ntcov["names"]);
    for (x, value) in names.iter().zip(list(&ntcov["values"])) {
        rows.push(vec![
            format!("value.{}", x.as_str().unwrap_or_default()),
            value.to_string(),
        ]);
    }
    for (a, products) in names.iter().zip(list(&ntcov["matrix"])) {
        for (b, product) in names.iter().zip(list(&products)) {
            let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            rows.push(vec![format!("ntcov.{}.{}", name(a), name(b)), product.to_string()]);
        }
    }
    output::table(&rows)
}
