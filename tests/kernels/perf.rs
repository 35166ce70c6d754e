//! Performance: the time of every launch of a whole training step, by itself, on random contents.
//!
//! Launches of the same kernel, constants and parameters are timed once and counted as often as a step with the
//! default schedule runs them. Times are the best of several repeats; GFLOP/s follow from the contract's count (Gram
//! kernels: from their site table), GB/s from every argument read or written once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gmatrix::backend::{Executor, Precision, Values};
use gmatrix::plan::{Arena, BufferId, Element, Kernel, Launch, Op, Plan, Segment, SegmentOps, View, control, lower};
use gmatrix::random::{Purpose, Stream};

use crate::backends::Backend;
use crate::nanda;
use crate::run::backends_with;

/// How long a launch is repeated.
const ENOUGH: Duration = Duration::from_millis(150);

/// One launch with all that need the same work.
struct Entry {
    place: (usize, usize, usize),
    launch: Launch,
    calls: f64,
    flops: u64,
    best: f64,
    median: f64,
}

#[test]
#[ignore = "takes half a minute and wants a quiet machine"]
fn perf() {
    let filter = std::env::var("GMATRIX_FILTER").unwrap_or_default();
    let precision = std::env::var("GMATRIX_PRECISION").unwrap_or_else(|_| "f32".into());
    let all = backends_with(Kernel::ALL, None);
    // What fibers take says nothing of a GPU.
    let timed = all.iter().filter(|b| b.name != "cuda-host");
    for backend in timed.filter(|b| b.precision.name() == precision) {
        let entries = measure(backend, &nanda::plan(false), &filter, |_| true);
        table(backend, "one step of preset nanda with the default schedule", &entries);
        let stream = |kernel| matches!(kernel, Kernel::GramStream | Kernel::GramSums | Kernel::RankStatistics);
        let entries = measure(backend, &nanda::plan(true), &filter, stream);
        table(
            backend,
            "streamed Gram statistics of 3,830 samples, every 50 steps",
            &entries,
        );
    }
}

/// Times all launches of a plan for which `wanted` holds.
fn measure(backend: &Backend, plan: &Plan, filter: &str, wanted: impl Fn(Kernel) -> bool) -> Vec<Entry> {
    let capabilities = (backend.capabilities)().expect("a backend to measure");
    let launches = lower(plan, &capabilities).expect("a plan this backend can run");
    let places = plan.segments.iter().enumerate().flat_map(|(s, segment)| {
        let ops = segment.ops.iter().enumerate();
        ops.flat_map(move |(o, op)| (0..op.calls.len()).map(move |c| (s, o, c)))
    });
    let mut entries: BTreeMap<(Kernel, Vec<u32>, Vec<u32>), Entry> = BTreeMap::new();
    for (launch, place) in launches.into_iter().zip(places) {
        if !wanted(launch.kernel) || !launch.kernel.name().contains(filter) {
            continue;
        }
        let calls = nanda::per_step(launch.segment);
        let key = (launch.kernel, launch.spec.clone(), launch.params.clone());
        let entry = entries.entry(key).or_insert_with(|| Entry {
            place,
            flops: flops(plan, place, &launch),
            launch,
            calls: 0.0,
            best: 0.0,
            median: 0.0,
        });
        entry.calls += calls;
    }
    let mut entries: Vec<Entry> = entries.into_values().collect();
    for entry in &mut entries {
        let mut times = time(backend, plan, entry.place);
        times.sort_by(f64::total_cmp);
        (entry.best, entry.median) = (times[0], times[times.len() / 2]);
    }
    entries.sort_by(|a, b| (b.best * b.calls).total_cmp(&(a.best * a.calls)));
    entries
}

/// Seconds of several runs of one call of a plan.
fn time(backend: &Backend, plan: &Plan, (s, o, c): (usize, usize, usize)) -> Vec<f64> {
    let call = plan.segments[s].ops[o].calls[c].clone();
    let op = Op {
        label: call.kernel.name().to_owned(),
        calls: vec![call.clone()],
    };
    let single = Plan {
        segments: vec![SegmentOps {
            segment: Segment::Step,
            ops: vec![op],
        }],
        ..plan.clone()
    };
    let single = Arc::new(single);
    let mut executor = (backend.make)(single.clone(), 1).expect("an executor for one run");
    fill(executor.as_mut(), &single, &call.bindings);
    let once = |executor: &mut dyn Executor| {
        let start = Instant::now();
        executor.submit(&[Segment::Step]).expect("a launch");
        // Work may only be queued: wait for it by reading a small buffer.
        let block = single.find("control").expect("the control block");
        executor.download(0, block).expect("the control block");
        start.elapsed().as_secs_f64()
    };
    once(executor.as_mut());
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || (start.elapsed() < ENOUGH && times.len() < 1000) {
        times.push(once(executor.as_mut()));
    }
    times
}

/// Random contents for every buffer that a call touches, such as its kernel can work on.
fn fill(executor: &mut dyn Executor, plan: &Plan, bindings: &[View]) {
    let tables: Vec<BufferId> = plan.tables.iter().map(|(buffer, _)| *buffer).collect();
    for (place, buffer) in plan.buffers.iter().enumerate() {
        let id = plan.find(&buffer.name).expect("names are unique");
        let touched = bindings.iter().any(|view| match *view {
            View::Part { buffer, .. } => buffer == id,
            View::Whole(arena) => buffer.arena == arena,
        });
        // The control block decides whether a launch is due at all.
        if tables.contains(&id) || !(touched || buffer.arena == Arena::Control) {
            continue;
        }
        let stream = Stream::new(place as u64, Purpose::Null);
        let words = |below: u32| Values::Words((0..buffer.len() as u64).map(|k| stream.below(k, below)).collect());
        let values = match (buffer.arena, buffer.arena.element()) {
            (Arena::Control, _) => {
                let mut block = vec![1; control::WORDS];
                block[control::MAX_STEPS] = u32::MAX;
                block[control::STEP] = 7;
                Values::Words(block)
            }
            (_, Element::Word) if buffer.name.contains("exponent") => words(12),
            (_, Element::Word) if buffer.name.contains("hit") => words(2),
            (_, Element::Word) => words(113),
            (Arena::Settings | Arena::Scalars, _) => Values::Numbers(vec![0.01; buffer.len()]),
            (_, Element::Wide) if buffer.name.contains("forms") => symmetric(buffer.len(), stream),
            (_, Element::Wide) => Values::Numbers((0..buffer.len() as u64).map(|k| 0.1 + stream.uniform(k)).collect()),
            (_, Element::Real) => Values::Numbers((0..buffer.len() as u64).map(|k| stream.uniform(k) - 0.5).collect()),
        };
        executor.upload(0, id, &values).expect("contents that fit");
    }
}

/// Three symmetric matrices.
fn symmetric(len: usize, stream: Stream) -> Values {
    let n = ((len / 3) as f64).sqrt() as usize;
    let entry = |k: usize| {
        let (i, j) = (k / n % n, k % n);
        stream.uniform((i.max(j) * n + i.min(j)) as u64)
    };
    Values::Numbers((0..len).map(entry).collect())
}

/// Floating-point operations of a launch; those of the site kernels from their site table.
fn flops(plan: &Plan, (s, o, c): (usize, usize, usize), launch: &Launch) -> u64 {
    let n = u64::from(launch.params[..].first().copied().unwrap_or(0));
    let pairs = match launch.kernel {
        Kernel::SampleNorms => n,
        Kernel::GramTile | Kernel::GramStream => n * n / 2,
        _ => return launch.flops(),
    };
    let View::Part { buffer, .. } = plan.segments[s].ops[o].calls[c].bindings[3] else {
        unreachable!("site tables are buffers");
    };
    let (_, table) = plan.tables.iter().find(|(id, _)| *id == buffer).expect("a site table");
    let per_pair: u64 = table
        .chunks_exact(gmatrix::plan::Site::WORDS)
        .map(|site| {
            let [kind, t, d_in, d_out] = [site[0], site[1], site[2], site[3]].map(u64::from);
            match (kind, launch.kernel) {
                // t <= s only.
                (0 | 1, Kernel::SampleNorms) => t * (t + 1) / 2 * 2 * (d_in + d_out),
                (0 | 1, _) => t * t * 2 * (d_in + d_out),
                _ => t * 2 * d_out,
            }
        })
        .sum();
    pairs * per_pair
}

fn table(backend: &Backend, title: &str, entries: &[Entry]) {
    let real = if backend.precision == Precision::F64 { 8 } else { 4 };
    let total: f64 = entries.iter().map(|e| e.best * e.calls).sum();
    println!(
        "\n{} {}: {title}; {:.2} ms in all",
        backend.name,
        backend.precision.name(),
        total * 1e3
    );
    println!(
        "{:<20} {:<34} {:>7} {:>9} {:>9} {:>8} {:>7} {:>6}",
        "kernel", "constants; parameters", "calls", "best ms", "median", "GFLOP/s", "GB/s", "share"
    );
    // What nobody waits for is left out, unless asked for by name.
    let all = std::env::var("GMATRIX_FILTER").is_ok();
    for entry in entries.iter().filter(|e| all || e.best * e.calls > 2e-4 * total) {
        let join = |words: &[u32]| words.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        println!(
            "{:<20} {:<34} {:>7.2} {:>9.4} {:>9.4} {:>8.2} {:>7.2} {:>5.1}%",
            entry.launch.kernel.name(),
            format!("{}; {}", join(&entry.launch.spec), join(&entry.launch.params)),
            entry.calls,
            entry.best * 1e3,
            entry.median * 1e3,
            entry.flops as f64 / entry.best * 1e-9,
            entry.launch.bytes(real) as f64 / entry.best * 1e-9,
            100.0 * entry.best * entry.calls / total
        );
    }
    let mut kernels: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in entries {
        *kernels.entry(entry.launch.kernel.name()).or_default() += entry.best * entry.calls;
    }
    let mut kernels: Vec<_> = kernels.into_iter().collect();
    kernels.sort_by(|a, b| b.1.total_cmp(&a.1));
    println!("by kernel:");
    for (name, seconds) in kernels {
        println!(
            "  {name:<20} {:>9.4} ms {:>5.1}%",
            seconds * 1e3,
            100.0 * seconds / total
        );
    }
}
