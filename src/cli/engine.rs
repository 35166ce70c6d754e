//! Where the commands meet the library: the only file of the program that knows trainers, backends and reports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::{BackendArg, DeviceArgs, ExportArgs, GramArgs, MeasureArgs};
use crate::backend::cpu::{self, CpuExecutor};
#[cfg(feature = "wgpu")]
use crate::backend::wgpu;
use crate::backend::{Executor, Precision};
use crate::config::{Config, Property};
use crate::error::{Error, Result};
use crate::measure::{Measurement, Request, measure as measure_weights, per_sample_gradients};
use crate::model::weights::{Overrides, read_weights, shape_metadata, write_transformer_lens};
use crate::model::{Layout, ModelShape};
use crate::plan::{Plan, lower};
use crate::record::{NamedTensor, Run, TensorSet, newest_weights};
use crate::sites::{self, Sites};
use crate::task::Examples;
use crate::trainer::{Experiment, RecordedRun, Trainer};

/// A device that can compute.
#[derive(Debug, Serialize)]
pub(super) struct DeviceRow {
    /// `cuda`, `wgpu` or `cpu`.
    pub backend: String,
    /// What it is called.
    pub name: String,
    /// The precisions it can compute in.
    pub precisions: Vec<String>,
    /// Driver and version, where there is one.
    pub driver: Option<String>,
}

/// What `measure` found.
#[derive(Debug)]
pub(super) struct Measured {
    /// The flat statistics, and `ntcov`.
    pub statistics: Value,
    /// The Gram matrix, if asked for.
    pub gram: Option<TensorSet>,
    /// The gradients of the samples, if asked for.
    pub per_sample_gradients: Option<TensorSet>,
}

/// All devices present; where a backend has none, a row that says why.
pub(super) fn devices() -> Vec<DeviceRow> {
    let mut rows = gpu_rows();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    rows.push(DeviceRow {
        backend: "cpu".to_owned(),
        name: format!("{threads} threads"),
        precisions: vec!["f32".to_owned(), "f64".to_owned()],
        driver: None,
    });
    rows
}

#[cfg(feature = "wgpu")]
fn gpu_rows() -> Vec<DeviceRow> {
    let row = |name: String, precisions: &[&str], driver: Option<String>| DeviceRow {
        backend: "wgpu".to_owned(),
        name,
        precisions: precisions.iter().map(|p| (*p).to_owned()).collect(),
        driver,
    };
    match wgpu::probe() {
        Ok(_) => wgpu::adapters()
            .into_iter()
            .map(|found| {
                let name = format!("{} ({}, {})", found.name, found.backend, found.kind);
                row(name, &["f32"], Some(found.driver))
            })
            .collect(),
        Err(why) => vec![row(why.to_string(), &[], None)],
    }
}

#[cfg(not(feature = "wgpu"))]
fn gpu_rows() -> Vec<DeviceRow> {
    Vec::new()
}

/// A run of this configuration, before its first step.
pub(super) fn open_run(config: &Config, device: DeviceArgs) -> Result<Box<dyn Run>> {
    let experiment = Experiment::new(config)?;
    let program = experiment.program()?;
    let executor = executor(program.plan.clone(), device)?;
    let trainer = Trainer::new(program, executor, 1);
    Ok(Box::new(RecordedRun::new(trainer, &experiment, chosen(device).name())?))
}

/// What would be launched.
pub(super) fn plan_table(config: &Config, device: DeviceArgs) -> Result<String> {
    let program = Experiment::new(config)?.program()?;
    let capabilities = match chosen(device) {
        #[cfg(feature = "wgpu")]
        BackendArg::Wgpu => wgpu::capabilities(),
        BackendArg::Cpu => cpu::capabilities(),
        other => return Err(absent(other)),
    };
    let launches = lower(&program.plan, &capabilities)?;
    Ok(program.plan.table(&launches, 1, training_precision(device).bytes()))
}

/// The backend that is taken: so far the CPU alone has every kernel, so it is what `auto` means.
fn chosen(device: DeviceArgs) -> BackendArg {
    match device.backend {
        BackendArg::Auto => BackendArg::Cpu,
        named => named,
    }
}

fn executor(plan: Arc<Plan>, device: DeviceArgs) -> Result<Box<dyn Executor>> {
    Ok(match (chosen(device), training_precision(device)) {
        (BackendArg::Cpu, Precision::F32) => Box::new(CpuExecutor::<f32>::new(plan, 1)?),
        (BackendArg::Cpu, Precision::F64) => Box::new(CpuExecutor::<f64>::new(plan, 1)?),
        #[cfg(feature = "wgpu")]
        (BackendArg::Wgpu, Precision::F32) => Box::new(wgpu::WgpuExecutor::new(plan, 1)?),
        #[cfg(feature = "wgpu")]
        (BackendArg::Wgpu, Precision::F64) => {
            return Err(Error::unsupported(
                "--backend wgpu: WGSL has no f64, expected --precision f32",
            ));
        }
        (other, _) => return Err(absent(other)),
    })
}

fn absent(backend: BackendArg) -> Error {
    let name = backend.name();
    Error::unsupported(format!(
        "--backend {name}: not part of this build, expected auto or cpu"
    ))
}

/// Measures given weights on given data.
pub(super) fn measure(args: &MeasureArgs, properties: &[Property]) -> Result<Measured> {
    on_cpu("measure", args.device)?;
    let examples = Examples::read(&args.data)?;
    let activation = args.activation.map(|activation| activation.activation());
    let (shape, weights) = read_weights(&args.weights, Overrides::for_examples(&examples, activation))?;
    examples.check_against(&shape, &args.data)?;
    let request = Request {
        // Measuring is done once: unless asked otherwise, no digit is spared.
        precision: args.device.precision.map_or(Precision::F64, |p| p.precision()),
        loss: args.loss.kind(),
        properties: properties.to_vec(),
        spectrum: false,
        gram: args.gram.is_some(),
    };
    let measurement = measure_weights(&shape, &weights, &examples, &request)?;
    let per_sample_gradients = match args.per_sample_gradients {
        Some(_) => Some(gradients(&shape, &weights, &examples, &request)?),
        None => None,
    };
    Ok(Measured {
        statistics: statistics(&measurement),
        gram: measurement.gram.map(|gram| gram_file(examples.n, &gram)),
        per_sample_gradients,
    })
}

/// Measures captured sites.
pub(super) fn gram(args: &GramArgs) -> Result<Measured> {
    on_cpu("gram", args.device)?;
    let sites = Sites::read(&args.sites)?;
    let request = sites::Request {
        precision: args.device.precision.map_or(Precision::F64, |p| p.precision()),
        spectrum: false,
        gram: args.gram.is_some(),
    };
    let found = sites.statistics(&request).map_err(|e| Error::io(&args.sites, e))?;
    Ok(Measured {
        statistics: json!(found.scalars),
        gram: found.gram.map(|gram| gram_file(sites.samples(), &gram)),
        per_sample_gradients: None,
    })
}

fn gram_file(n: usize, gram: &[f64]) -> TensorSet {
    TensorSet {
        tensors: vec![NamedTensor::new("gram", &[n, n], gram)],
        ..TensorSet::default()
    }
}

/// Writes weights so that TransformerLens loads them strictly.
pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let source = &args.transformer_lens;
    let weights = if source.is_dir() {
        newest_weights(source)?
    } else {
        source.clone()
    };
    let overrides = Overrides {
        activation: args.activation.map(|activation| activation.activation()),
        ..Overrides::default()
    };
    let (shape, values) = read_weights(&weights, overrides)?;
    let ModelShape::Transformer(shape) = shape else {
        return Err(Error::io(&weights, "holds an MLP, expected a transformer"));
    };
    write_transformer_lens(&args.out, &shape, &values)
}

/// Writes the report of a run directory, and says where.
pub(super) fn report(dir: &Path) -> Result<PathBuf> {
    crate::report::write_report(dir)
}

/// The flat keys, and `ntcov` with its names.
fn statistics(measurement: &Measurement) -> Value {
    let mut keys: Map<String, Value> = measurement
        .scalars
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if let Some((names, matrix)) = &measurement.ntcov {
        keys.insert("ntcov".to_owned(), json!({ "names": names, "matrix": matrix }));
    }
    Value::Object(keys)
}

/// `gradients/<parameter> [N, …]` for every parameter, as files know it.
fn gradients(shape: &ModelShape, weights: &[f64], examples: &Examples, request: &Request) -> Result<TensorSet> {
    let layout = Layout::new(shape);
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); layout.externals.len()];
    per_sample_gradients(shape, weights, examples, request, |_, gradient| {
        for (external, rows) in layout.externals.iter().zip(&mut all) {
            rows.extend(external.indices(&layout).map(|k| gradient[k]));
        }
        Ok(())
    })?;
    let tensors = layout.externals.iter().zip(&all).map(|(external, rows)| {
        let dims: Vec<usize> = [examples.n].iter().chain(&external.shape).copied().collect();
        let name = format!("gradients/{}", external.name);
        match request.precision {
            Precision::F64 => NamedTensor::new(name, &dims, rows),
            Precision::F32 => {
                let rows: Vec<f32> = rows.iter().map(|x| *x as f32).collect();
                NamedTensor::new(name, &dims, &rows)
            }
        }
    });
    Ok(TensorSet {
        tensors: tensors.collect(),
        metadata: shape_metadata(shape),
    })
}

fn training_precision(device: DeviceArgs) -> Precision {
    device.precision.map_or(Precision::F32, |p| p.precision())
}

/// Measuring runs on the CPU alone.
fn on_cpu(command: &str, device: DeviceArgs) -> Result<()> {
    match chosen(device) {
        BackendArg::Cpu => Ok(()),
        other => Err(Error::unsupported(format!(
            "--backend {}: {command} runs on the CPU only, expected auto or cpu",
            other.name()
        ))),
    }
}
