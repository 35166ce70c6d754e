//! Where the commands meet the library: the only file of the program that knows trainers, backends and reports.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::{
    AlignmentArgs, BackendArg, CompareArgs, DeviceArgs, ExportArgs, GramArgs, MeasureArgs, SelectionArgs, SpectrumArg,
    SplitArg, TrainArgs,
};
use super::output;
use crate::alignment::{Choice, write_alignment};
use crate::backend::cpu;
use crate::backend::cuda;
use crate::backend::profile::{Profile, Profiled, TRACED};
#[cfg(feature = "wgpu")]
use crate::backend::wgpu;
use crate::backend::{Executor, Make, Precision, cpu_executor};
use crate::bench;
use crate::comparison::{self, Checkpoint, Comparison, Ground};
use crate::config::{Config, FurtherGram, Property};
use crate::error::{Error, Result};
use crate::intervention::{self, Arm, Branched};
use crate::measure::{Measurement, Request, measure_on, per_sample_gradients_on};
use crate::model::weights::{Overrides, read_weights, shape_metadata, write_transformer_lens};
use crate::model::{Layout, ModelShape};
use crate::plan::{Capabilities, Plan, PlanBuilder, lower};
use crate::record::{NamedTensor, Run, TensorSet, newest_weights};
use crate::selection;
use crate::sites::{self, Sites};
use crate::structure::{self, Table};
use crate::sweep::{SweepDirectory, SweepSpec, collect};
use crate::task::{Cyclic, Examples, Task, gram_subset};
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
    let mut rows = cuda_rows();
    rows.extend(wgpu_rows());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    rows.push(DeviceRow {
        backend: "cpu".to_owned(),
        name: format!("{threads} threads"),
        precisions: vec!["f32".to_owned(), "f64".to_owned()],
        driver: None,
    });
    rows
}

#[cfg(feature = "cudarc")]
fn cuda_rows() -> Vec<DeviceRow> {
    let row = |name: String, precisions: &[&str], driver: Option<String>| DeviceRow {
        backend: "cuda".to_owned(),
        name,
        precisions: precisions.iter().map(|p| (*p).to_owned()).collect(),
        driver,
    };
    let found = match cuda::devices() {
        Ok(found) => found,
        Err(why) => return vec![row(why.to_string(), &[], None)],
    };
    // What no device can do without, the kernels' compiler, is said once.
    let missing = match cuda::probe() {
        Err(why) if found.iter().any(|device| device.check().is_ok()) => Some(row(why.to_string(), &[], None)),
        _ => None,
    };
    let device = |device: cuda::DeviceSummary| {
        let driver = Some(format!("CUDA {}.{}", device.driver.0, device.driver.1));
        if let Err(why) = device.check() {
            return row(why.to_string(), &[], driver);
        }
        let name = format!(
            "{} (sm_{}{}, {} multiprocessors at {} MHz, {:.1} GiB)",
            device.name,
            device.capability.0,
            device.capability.1,
            device.multiprocessors,
            device.clock_mhz,
            device.memory as f64 / f64::from(1 << 30)
        );
        let precisions: &[&str] = if missing.is_some() { &[] } else { &["f32", "f64"] };
        row(name, precisions, driver)
    };
    let rows: Vec<DeviceRow> = found.into_iter().map(device).collect();
    rows.into_iter().chain(missing).collect()
}

#[cfg(not(feature = "cudarc"))]
fn cuda_rows() -> Vec<DeviceRow> {
    Vec::new()
}

#[cfg(feature = "wgpu")]
fn wgpu_rows() -> Vec<DeviceRow> {
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
fn wgpu_rows() -> Vec<DeviceRow> {
    Vec::new()
}

/// A run of this configuration, before its first step, and the times of its launches, where the arguments want them.
pub(super) fn open_run(config: &Config, device: DeviceArgs, args: &TrainArgs) -> Result<(Box<dyn Run>, Timings)> {
    let experiment = Experiment::new(config)?;
    let program = experiment.program()?;
    let (mut executor, backend) = executor(&program.plan, device, Precision::F32)?;
    let mut timings = Timings(None);
    if args.profile || args.trace.is_some() {
        let launches = lower(&program.plan, &capabilities(backend)?)?;
        let profile = Arc::new(Mutex::new(Profile::new(launches, executor.precision())));
        executor = Box::new(Profiled::new(executor, profile.clone())?);
        timings = Timings(Some(profile));
    }
    let trainer = Trainer::new(program, executor, 1);
    let run = RecordedRun::new(trainer, &experiment, backend.name())?;
    Ok((Box::new(run), timings))
}

/// The times of a run's launches, if they were wanted.
pub(super) struct Timings(Option<Arc<Mutex<Profile>>>);

impl Timings {
    /// Prints the table and writes the trace that were asked for.
    pub fn finish(&self, args: &TrainArgs) -> Result<()> {
        let Some(profile) = &self.0 else { return Ok(()) };
        let profile = profile.lock().unwrap_or_else(PoisonError::into_inner);
        if args.profile {
            output::print(&profile.table())?;
        }
        let Some(path) = &args.trace else { return Ok(()) };
        std::fs::write(path, profile.trace()).map_err(|why| Error::io(path, why))?;
        if profile.untraced() > 0 {
            eprintln!(
                "{}: holds the first {TRACED} launches, {} more were only counted",
                path.display(),
                profile.untraced()
            );
        }
        Ok(())
    }
}

/// What would be launched.
pub(super) fn plan_table(config: &Config, device: DeviceArgs) -> Result<String> {
    let program = Experiment::new(config)?.program()?;
    let backend = match device.backend {
        BackendArg::Auto => automatic(&program.plan, device.precision(Precision::F32)),
        named => named,
    };
    let launches = lower(&program.plan, &capabilities(backend)?)?;
    let real = device.precision(Precision::F32).bytes();
    Ok(program.plan.table(&launches, 1, real))
}

fn capabilities(backend: BackendArg) -> Result<Capabilities> {
    match backend {
        #[cfg(feature = "wgpu")]
        // Plans print without a device, too.
        BackendArg::Wgpu => {
            Ok(wgpu::probe().map_or_else(|_| wgpu::capabilities(), |found| wgpu::capabilities_on(&found)))
        }
        BackendArg::Cuda => Ok(cuda::capabilities()),
        BackendArg::Cpu => Ok(cpu::capabilities()),
        other => Err(absent(other)),
    }
}

/// What `auto` means: CUDA where it is there, else a hardware adapter that can run the plan in this precision, else the
/// CPU.
fn automatic(plan: &Plan, precision: Precision) -> BackendArg {
    #[cfg(feature = "cudarc")]
    match cuda::probe().and_then(|_| lower(plan, &cuda::capabilities())) {
        Ok(_) => return BackendArg::Cuda,
        Err(why) => tracing::debug!("auto: {why}"),
    }
    #[cfg(feature = "wgpu")]
    if precision == Precision::F32 {
        match wgpu::probe() {
            Ok(adapter) if adapter.hardware => match lower(plan, &wgpu::capabilities_on(&adapter)) {
                Ok(_) => return BackendArg::Wgpu,
                Err(why) => tracing::info!("auto: {why}"),
            },
            Ok(adapter) => tracing::debug!("auto: {} is a program on the CPU", adapter.name),
            Err(why) => tracing::debug!("auto: {why}"),
        }
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = (plan, precision);
    BackendArg::Cpu
}

/// Measures how fast a backend is.
pub(super) fn bench(backend: BackendArg, options: &bench::Options) -> Result<bench::Bench> {
    let backend = match backend {
        // The same for all plans.
        BackendArg::Auto => automatic(&PlanBuilder::new().finish()?, Precision::F32),
        named => named,
    };
    let make = |plan: Arc<Plan>, runs: usize| executor_of(backend, &plan, Precision::F32, runs);
    bench::run(&make, backend.name(), options)
}

/// An executor of a plan for one run, and what it runs on.
fn executor(plan: &Arc<Plan>, device: DeviceArgs, usual: Precision) -> Result<(Box<dyn Executor>, BackendArg)> {
    let precision = device.precision(usual);
    let backend = match device.backend {
        BackendArg::Auto => automatic(plan, precision),
        named => named,
    };
    match executor_of(backend, plan, precision, 1) {
        // What the adapter has no room for, the CPU may have.
        Err(why) if device.backend == BackendArg::Auto && backend != BackendArg::Cpu => {
            tracing::info!("auto: {why}; the CPU takes its place");
            Ok((cpu_executor(plan.clone(), precision)?, BackendArg::Cpu))
        }
        made => Ok((made?, backend)),
    }
}

/// An executor of a plan for so many runs, and what its backend has.
pub(super) fn executor_for(
    backend: BackendArg,
    plan: &Arc<Plan>,
    precision: Precision,
    runs: usize,
) -> Result<(Box<dyn Executor>, Capabilities)> {
    let backend = match backend {
        BackendArg::Auto => automatic(plan, precision),
        named => named,
    };
    Ok((executor_of(backend, plan, precision, runs)?, capabilities(backend)?))
}

/// An executor of a plan for so many runs.
fn executor_of(backend: BackendArg, plan: &Arc<Plan>, precision: Precision, runs: usize) -> Result<Box<dyn Executor>> {
    let plan = plan.clone();
    Ok(match (backend, precision) {
        (BackendArg::Cpu, Precision::F32) => Box::new(cpu::CpuExecutor::<f32>::new(plan, runs)?),
        (BackendArg::Cpu, Precision::F64) => Box::new(cpu::CpuExecutor::<f64>::new(plan, runs)?),
        #[cfg(feature = "cudarc")]
        (BackendArg::Cuda, precision) => Box::new(cuda::CudaExecutor::new(plan, runs, precision)?),
        #[cfg(feature = "wgpu")]
        (BackendArg::Wgpu, Precision::F32) => Box::new(wgpu::WgpuExecutor::new(plan, runs)?),
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

/// The precision to measure in. It is done once: unless asked otherwise, no digit is spared that the backend has.
fn measuring(device: DeviceArgs) -> Precision {
    device.precision(match device.backend {
        BackendArg::Wgpu => Precision::F32,
        _ => Precision::F64,
    })
}

/// Measures given weights on given data.
pub(super) fn measure(args: &MeasureArgs, properties: &[Property], grams: &[FurtherGram]) -> Result<Measured> {
    let examples = Examples::read(&args.data)?;
    let activation = args.activation.map(|activation| activation.activation());
    let (shape, weights) = read_weights(&args.weights, Overrides::for_examples(&examples, activation))?;
    let shape = match (args.attention_mix, &shape) {
        (None, _) => shape,
        (Some(mix), ModelShape::Transformer(_)) => shape.with_attention_mix(mix),
        (Some(_), ModelShape::Mlp(_)) => {
            return Err(Error::config(
                "--attention-mix: the weights are those of an MLP, which has no attention",
            ));
        }
    };
    examples.check_against(&shape, &args.data)?;
    let request = Request {
        precision: measuring(args.device),
        loss: args.loss.kind(),
        properties: properties.to_vec(),
        group: group(args)?,
        spectrum: args.spectrum == Some(SpectrumArg::Exact),
        gram: args.gram.is_some(),
        grams: grams.to_vec(),
        probes: (args.spectrum == Some(SpectrumArg::Lanczos)).then_some(args.probes as usize),
    };
    let make = |plan: Arc<Plan>| executor(&plan, args.device, request.precision).map(|(executor, _)| executor);
    let measurement = measure_on(&make, &shape, &weights, &examples, &request)?;
    let per_sample_gradients = match args.per_sample_gradients {
        Some(_) => Some(gradients(&make, &shape, &weights, &examples, &request)?),
        None => None,
    };
    Ok(Measured {
        statistics: statistics(&measurement),
        gram: measurement.gram.map(|gram| gram_file(examples.n, &gram)),
        per_sample_gradients,
    })
}

/// The group in which the operation that the data are about adds, where it is named.
fn group(args: &MeasureArgs) -> Result<Option<Arc<Cyclic>>> {
    let (Some(op), Some(p)) = (args.op, args.p) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Cyclic::new(op.op(), p)?)))
}

/// Measures captured sites.
pub(super) fn gram(args: &GramArgs) -> Result<Measured> {
    let sites = Sites::read(&args.sites)?;
    let request = sites::Request {
        precision: measuring(args.device),
        spectrum: false,
        gram: args.gram.is_some(),
    };
    let make = |plan: Arc<Plan>| executor(&plan, args.device, request.precision).map(|(executor, _)| executor);
    let found = sites
        .statistics_on(&make, &request)
        .map_err(|e| Error::io(&args.sites, e))?;
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

/// Writes the examples of a run or configuration.
pub(super) fn export_examples(source: &Path, args: &ExportArgs) -> Result<()> {
    let config = if source.is_dir() {
        Config::from_file(&source.join("config.toml"))?
    } else {
        Config::from_file(source)?
    };
    let task = Task::new(&config.task, &config.model)?;
    task.tensors(args.split.split()).write(&args.out)
}

/// Writes weights so that TransformerLens loads them strictly.
pub(super) fn export_weights(source: &Path, args: &ExportArgs) -> Result<()> {
    let weights = if source.is_dir() {
        newest_weights(source)?
    } else {
        source.to_path_buf()
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

/// Measures the structure of a run at all steps whose weights it kept; says how many, and the last key frequencies.
pub(super) fn structure(dir: &Path, device: DeviceArgs) -> Result<(usize, Vec<usize>)> {
    let precision = measuring(device);
    let make = |plan: Arc<Plan>| executor(&plan, device, precision).map(|(executor, _)| executor);
    structure::write_structure(dir, &make)
}

/// Measures alignment and persistence along a run; says at how many steps.
pub(super) fn alignment(args: &AlignmentArgs) -> Result<usize> {
    let precision = measuring(args.device);
    let make = |plan: Arc<Plan>| executor(&plan, args.device, precision).map(|(executor, _)| executor);
    let choice = Choice {
        lags: args.lags.clone(),
        every: args.every,
        samples: args.samples as usize,
    };
    write_alignment(&args.dir, &make, &choice)
}

/// Takes the change of traits apart over the training samples of a run; says at how many steps.
pub(super) fn selection(args: &SelectionArgs) -> Result<usize> {
    let precision = measuring(args.device);
    let make = |plan: Arc<Plan>| executor(&plan, args.device, precision).map(|(executor, _)| executor);
    let choice = selection::Choice {
        every: args.every,
        samples: args.samples as usize,
        frequency: args.frequency,
    };
    selection::write_selection(&args.dir, &make, &choice)
}

/// Compares two networks on the same examples.
pub(super) fn compare(args: &CompareArgs) -> Result<Comparison> {
    let step_of = |path: &Path, step: Option<u64>| step.filter(|_| path.is_dir());
    let a = Checkpoint::read(&args.a, step_of(&args.a, args.step))?;
    let b = Checkpoint::read(&args.b, args.step_b.or(step_of(&args.b, args.step)))?;
    let (examples, table, source) = match &args.data {
        Some(path) => (Examples::read(path)?, None, path.clone()),
        None if args.a.is_dir() => {
            let config = Config::from_file(&args.a.join("config.toml"))?;
            let task = Task::new(&config.task, &config.model)?;
            // Other operations have no frequencies, and incomplete tables none that could be told.
            let table = Cyclic::new(config.task.op, config.task.p)
                .and_then(|group| Table::new(group, &task.train, &task.test, config.loss.kind));
            let examples = match args.split {
                SplitArg::All => task.train.followed_by(&task.test),
                SplitArg::Train => task.train,
                SplitArg::Test => task.test,
            };
            (examples, table.ok(), args.a.clone())
        }
        None => {
            return Err(Error::config(format!(
                "{}: weights alone do not say on what to compare, expected --data or a run directory",
                args.a.display()
            )));
        }
    };
    for (checkpoint, of) in [(&a, &args.a), (&b, &args.b)] {
        examples
            .check_against(&checkpoint.shape, &source)
            .map_err(|e| Error::io(of, format!("cannot take the examples: {e}")))?;
    }
    let rows = gram_subset(examples.n, args.samples as usize, 0);
    let precision = measuring(args.device);
    let make = |plan: Arc<Plan>| executor(&plan, args.device, precision).map(|(executor, _)| executor);
    let ground = Ground {
        examples: &examples.select(&rows),
        table: table.as_ref(),
        directions: args.directions as usize,
    };
    comparison::compare(&make, (&a.shape, &a.weights), (&b.shape, &b.weights), &ground)
}

/// Makes a branch of a run. What an arm measures on the way is measured once, on the CPU in f64.
pub(super) fn intervene(arm: &Arm, request: &intervention::Request<'_>) -> Result<Branched> {
    let make = |plan: Arc<Plan>| cpu_executor(plan, Precision::F64);
    intervention::branch(&make, arm, request)
}

/// Begins the next stage of a run where the one before ended.
pub(super) fn next_stage(before: &Path, out: &Path, config: Config) -> Result<()> {
    intervention::next_stage(before, out, config)
}

/// Writes the report of a run directory or of a sweep's, and says where.
pub(super) fn report(dir: &Path) -> Result<PathBuf> {
    if SweepDirectory::is_at(dir) {
        let (directory, spec) = SweepDirectory::find(dir)?;
        sweep_report(&directory, &spec)?;
        return Ok(dir.join("report.html"));
    }
    crate::report::write_report(dir)
}

/// Writes the table and the report of the runs of a sweep that ended, and says how many they are.
pub(super) fn sweep_report(directory: &SweepDirectory, spec: &SweepSpec) -> Result<usize> {
    let runs = collect(directory, spec)?;
    crate::report::write_sweep_report(directory, spec, &runs)?;
    Ok(runs.len())
}

/// The flat keys, and `ntcov` with its names.
fn statistics(measurement: &Measurement) -> Value {
    let mut keys: Map<String, Value> = measurement
        .scalars
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if let Some((names, matrix)) = &measurement.ntcov {
        let values = &measurement.values;
        keys.insert(
            "ntcov".to_owned(),
            json!({ "names": names, "values": values, "matrix": matrix }),
        );
    }
    Value::Object(keys)
}

/// `gradients/<parameter> [N, …]` for every parameter, as files know it.
fn gradients(
    make: Make,
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    request: &Request,
) -> Result<TensorSet> {
    let layout = Layout::new(shape);
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); layout.externals.len()];
    per_sample_gradients_on(make, shape, weights, examples, request, |_, gradient| {
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
