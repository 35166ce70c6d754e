//! One kernel call on random data, run on both backends and compared.

use std::sync::Arc;

use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::wgpu::{WgpuExecutor, kernels, probe};
use gmatrix::backend::{Executor, Values};
use gmatrix::plan::{Access, Arena, BufferId, Element, Kernel, Plan, PlanBuilder, Segment, Site, View, call, control};

/// Whether there is an adapter. Where there is none the test says so and passes, unless `GMATRIX_REQUIRE` asks for wgpu.
pub fn supported() -> bool {
    match probe() {
        Ok(_) => true,
        Err(reason) => {
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|r| r.trim() == "wgpu"),
                "wgpu is required: {reason}"
            );
            println!("Unsupported: {reason}");
            false
        }
    }
}

/// A small generator (splitmix64), so that a case is the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn word(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32 % below
    }

    /// About normal, and exact in f32.
    pub fn real(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| f64::from(self.word(1 << 16)) / 65536.0).sum();
        f64::from((sum - 6.0) as f32)
    }

    pub fn reals(&mut self, len: usize, scale: f64) -> Vec<f64> {
        (0..len).map(|_| f64::from((self.real() * scale) as f32)).collect()
    }

    pub fn words(&mut self, len: usize, below: u32) -> Vec<u32> {
        (0..len).map(|_| self.word(below)).collect()
    }
}

/// Samples or rows: one, and either side of a subgroup and of a workgroup's part.
pub const SIZES: [usize; 4] = [1, 31, 33, 97];

/// Runs the cases and prints their largest error, for whoever revises a bound.
pub fn run(kernel: Kernel, bound: f64, cases: impl IntoIterator<Item = (String, Case)>) {
    if !supported() {
        return;
    }
    assert!(kernels().contains(&kernel), "{} is not in the manifest", kernel.name());
    let mut worst: f64 = 0.0;
    for (label, case) in cases {
        worst = worst.max(case.check(&format!("{} {label}", kernel.name()), bound));
    }
    println!("{}: largest error {worst:.1e}, bound {bound:.0e}", kernel.name());
}

/// Powers of two about 1, as two's complement.
pub fn exponents(random: &mut Random, n: usize) -> Vec<u32> {
    (0..n).map(|_| (random.word(9) as i32 - 2).cast_unsigned()).collect()
}

/// A plan under construction, with what its buffers hold before it runs.
pub struct Case {
    pub builder: PlanBuilder,
    pub random: Random,
    control: View,
    contents: Vec<(View, Values)>,
    guards: usize,
}

impl Case {
    pub fn new(seed: u64) -> Self {
        let mut builder = PlanBuilder::new();
        let control = builder.buffer(Arena::Control, "control", &[control::WORDS]);
        builder.segment(Segment::Step);
        Self {
            builder,
            random: Random::new(seed),
            control,
            contents: Vec::new(),
            guards: 0,
        }
    }

    /// A buffer with a guard behind it.
    fn buffer(&mut self, arena: Arena, len: usize, values: Values) -> View {
        let view = self.builder.buffer(arena, format!("{arena:?}.{}", self.guards), &[len]);
        let guard = self.builder.buffer(arena, format!("guard.{}", self.guards), &[64]);
        self.guards += 1;
        self.contents.push((view, values));
        self.contents.push((guard, fill(arena, 64, 0.5)));
        view
    }

    pub fn real(&mut self, arena: Arena, len: usize) -> View {
        self.real_of(arena, len, 1.0)
    }

    pub fn real_of(&mut self, arena: Arena, len: usize, scale: f64) -> View {
        let values = self.random.reals(len, scale);
        self.numbers(arena, values)
    }

    pub fn numbers(&mut self, arena: Arena, values: Vec<f64>) -> View {
        self.buffer(arena, values.len(), Values::Numbers(values))
    }

    pub fn words(&mut self, arena: Arena, words: Vec<u32>) -> View {
        self.buffer(arena, words.len(), Values::Words(words))
    }

    /// An output, poisoned.
    pub fn out(&mut self, arena: Arena, len: usize) -> View {
        self.buffer(arena, len, fill(arena, len, f64::NAN))
    }

    pub fn call(&mut self, kernel: Kernel, constants: &[(&str, u32)], bindings: &[View], params: &[usize]) {
        self.builder
            .op(kernel.name(), vec![call(kernel, constants, bindings, params)]);
    }

    pub fn sites(&mut self, sites: &[Site]) -> View {
        self.builder.site_table("sites", sites)
    }

    /// The control block, for kernels that bind it.
    pub fn control(&self) -> View {
        self.control
    }

    /// Contents of the control block, which is due in every segment unless changed.
    pub fn block(&self) -> Vec<u32> {
        let mut block = vec![0; control::WORDS];
        block[control::ACTIVE] = 1;
        block[control::due(Segment::Step)] = 1;
        block
    }

    /// Runs the plan on both backends, compares whatever a launch writes, within `bound` of the largest number of each
    /// buffer, and demands that everything else stays as it was. Returns the largest error.
    pub fn check(self, name: &str, bound: f64) -> f64 {
        let block = self.block();
        self.check_with(name, bound, block)
    }

    pub fn check_with(self, name: &str, bound: f64, block: Vec<u32>) -> f64 {
        let plan = Arc::new(self.builder.finish().expect("a plan"));
        let mut contents = self.contents;
        contents.push((self.control, Values::Words(block)));
        let written = written(&plan);
        let mut cpu = CpuExecutor::<f64>::new(plan.clone(), 2).expect("the CPU runs everything");
        let mut gpu = WgpuExecutor::new(plan.clone(), 2).unwrap_or_else(|e| panic!("{name}: {e}"));
        load(&mut cpu, &contents);
        load(&mut gpu, &contents);
        cpu.submit(&[Segment::Step]).expect("CPU");
        gpu.submit(&[Segment::Step]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut worst: f64 = 0.0;
        let mut first = Vec::new();
        for (view, before) in &contents {
            let buffer = id(*view);
            let found = gpu.download(0, buffer).expect("download");
            let label = format!("{name}: {}", plan.buffer(buffer).name);
            if written.contains(&buffer) {
                let expected = cpu.download(0, buffer).expect("download");
                let error = compare(&found, &expected);
                assert!(
                    error <= bound,
                    "{label}: error {error:e}, bound {bound:e}\n{}",
                    show(&found, &expected)
                );
                worst = worst.max(error);
            } else {
                assert!(same(&found, &stored(before, &plan, buffer)), "{label} changed");
            }
            let idle = gpu.download(1, buffer).expect("download");
            assert!(
                same(&idle, &idle_contents(before, self.control, *view)),
                "{label} changed in the idle slot"
            );
            first.push(found);
        }
        load(&mut gpu, &contents);
        gpu.submit(&[Segment::Step]).expect("wgpu");
        for ((view, _), first) in contents.iter().zip(&first) {
            let again = gpu.download(0, id(*view)).expect("download");
            assert!(
                same(&again, first),
                "{name}: {} differs when repeated",
                plan.buffer(id(*view)).name
            );
        }
        worst
    }
}

/// The buffers that some launch writes.
fn written(plan: &Plan) -> Vec<BufferId> {
    let mut written = Vec::new();
    for call in plan.segments.iter().flat_map(|s| &s.ops).flat_map(|op| &op.calls) {
        for (binding, view) in call.kernel.contract().active_bindings(&call.spec).zip(&call.bindings) {
            if binding.access != Access::Read {
                written.push(id(*view));
            }
        }
    }
    written
}

fn id(view: View) -> BufferId {
    match view {
        View::Part { buffer, .. } => buffer,
        View::Whole(arena) => panic!("{arena:?} is not a buffer"),
    }
}

fn fill(arena: Arena, len: usize, value: f64) -> Values {
    match arena.element() {
        Element::Word => Values::Words(vec![0xdead_beef; len]),
        _ => Values::Numbers(vec![value; len]),
    }
}

/// What the idle slot holds: NaN, and a control block in which nothing is due.
fn idle_contents(values: &Values, control: View, view: View) -> Values {
    match values {
        Values::Words(words) if view == control => Values::Words(vec![0; words.len()]),
        Values::Words(words) => Values::Words(vec![0xdead_beef; words.len()]),
        Values::Numbers(numbers) => Values::Numbers(vec![f64::NAN; numbers.len()]),
    }
}

fn load(executor: &mut dyn Executor, contents: &[(View, Values)]) {
    let control = contents.last().expect("the control block").0;
    for (view, values) in contents {
        executor.upload(0, id(*view), values).expect("upload");
        executor
            .upload(1, id(*view), &idle_contents(values, control, *view))
            .expect("upload");
    }
}

/// What a buffer holds after an upload: wide numbers keep 48 bits.
fn stored(values: &Values, plan: &Plan, buffer: BufferId) -> Values {
    match (plan.buffer(buffer).arena.element(), values) {
        (Element::Wide, Values::Numbers(numbers)) => Values::Numbers(
            numbers
                .iter()
                .map(|x| {
                    let high = *x as f32;
                    f64::from(high) + f64::from((x - f64::from(high)) as f32)
                })
                .collect(),
        ),
        _ => values.clone(),
    }
}

fn same(a: &Values, b: &Values) -> bool {
    match (a, b) {
        (Values::Words(a), Values::Words(b)) => a == b,
        (Values::Numbers(a), Values::Numbers(b)) => {
            let equal = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            a.len() == b.len() && a.iter().zip(b).all(equal)
        }
        _ => false,
    }
}

/// Largest difference, as a share of the largest expected number (or of the smallest f32, below); infinite where one is NaN and the other is not.
pub fn compare(found: &Values, expected: &Values) -> f64 {
    match (found, expected) {
        (Values::Words(a), Values::Words(b)) if a == b => 0.0,
        (Values::Numbers(a), Values::Numbers(b)) => {
            let largest = b
                .iter()
                .filter(|x| x.is_finite())
                .fold(1e-37_f64, |m, x| m.max(x.abs()));
            a.iter().zip(b).fold(0.0, |worst, (a, b)| {
                let error = match (a.is_finite(), b.is_finite()) {
                    (true, true) => (a - b).abs() / largest,
                    _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
                    _ => f64::INFINITY,
                };
                worst.max(error)
            })
        }
        _ => f64::INFINITY,
    }
}

fn show(found: &Values, expected: &Values) -> String {
    match (found, expected) {
        (Values::Words(a), Values::Words(b)) => format!("{:?}\n{:?}", &a[..a.len().min(8)], &b[..b.len().min(8)]),
        (Values::Numbers(a), Values::Numbers(b)) => {
            let off = (0..a.len())
                .find(|k| a[*k].is_nan() || (a[*k] - b[*k]).abs() > 1e-3 * b[*k].abs())
                .unwrap_or(0);
            let end = a.len().min(off + 8);
            format!("from {off}: {:?}\n{:?}", &a[off..end], &b[off..end])
        }
        _ => "other kinds".into(),
    }
}

#[test]
fn wgpu_comparison_objects_to_errors() {
    let numbers = |x: &[f64]| Values::Numbers(x.to_vec());
    assert!(compare(&numbers(&[1.0, 2.0]), &numbers(&[1.0, 2.1])) > 0.04);
    assert_eq!(compare(&numbers(&[f64::NAN]), &numbers(&[1.0])), f64::INFINITY);
    assert_eq!(compare(&numbers(&[1.0]), &numbers(&[f64::NAN])), f64::INFINITY);
    assert_eq!(compare(&Values::Words(vec![1]), &Values::Words(vec![2])), f64::INFINITY);
    assert_eq!(compare(&numbers(&[f64::NAN, 3.0]), &numbers(&[f64::NAN, 3.0])), 0.0);
}
