//! Every check can fail: executors with one fault each must be objected to.

use std::sync::Arc;

use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::{Executor, Precision, Values};
use gmatrix::plan::{BufferId, Kernel, Plan, Segment};
use gmatrix::{Error, Result};

use crate::backends::{BACKENDS, Backend};
use crate::cases;
use crate::run::{FRONT, Status, check};

/// What is wrong with what an executor leaves behind, seen when it is read back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// One number off by 1e-4 of itself, one word off by one.
    Inexact,
    /// One number was never written.
    Unwritten,
    /// The last element before a buffer was written.
    Before,
    /// The first element behind a buffer was written.
    Behind,
    /// An argument that is only read has changed.
    Input,
    /// The last bit of a result depends on there being neighbours.
    Neighbour,
    /// The last bit of a result depends on the number of threads.
    Threads,
}

struct Faulty {
    inner: CpuExecutor<f32>,
    fault: Fault,
    runs: usize,
}

impl Faulty {
    fn make(fault: Fault, plan: Arc<Plan>, runs: usize) -> Result<Box<dyn Executor>> {
        let inner = CpuExecutor::new(plan, runs)?;
        Ok(Box::new(Self { inner, fault, runs }))
    }

    fn spoil(&self, name: &str, values: &mut Values) {
        let written = matches!(name, "out" | "hit");
        let last_bit = match self.fault {
            Fault::Neighbour => self.runs > 1,
            Fault::Threads => rayon::current_num_threads() == 3,
            _ => false,
        };
        match values {
            Values::Numbers(x) if written => match self.fault {
                Fault::Inexact => x[FRONT] *= 1.0 + 1e-4,
                Fault::Unwritten => x[FRONT] = f64::NAN,
                Fault::Before => x[FRONT - 1] = 1.0,
                // All buffers of the cases below have one length.
                Fault::Behind => x[FRONT + LEN] = 1.0,
                _ if last_bit => x[FRONT] = f64::from(f32::from_bits((x[FRONT] as f32).to_bits() ^ 1)),
                _ => {}
            },
            Values::Numbers(x) if self.fault == Fault::Input => x[FRONT] += 1.0,
            Values::Words(x) if written => match self.fault {
                Fault::Inexact => x[FRONT] ^= 1,
                Fault::Before => x[FRONT - 1] ^= 1,
                _ => {}
            },
            _ => {}
        }
    }
}

impl Executor for Faulty {
    fn plan(&self) -> &Plan {
        self.inner.plan()
    }
    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        self.inner.upload(slot, buffer, values)
    }
    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        let mut values = self.inner.download(slot, buffer)?;
        let name = self.inner.plan().buffer(buffer).name.clone();
        self.spoil(&name, &mut values);
        Ok(values)
    }
    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        self.inner.submit(segments)
    }
    fn device(&self) -> String {
        "CPU, with a fault".into()
    }
    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// Elements of every buffer of the cases of kernel `add` that the faults are tried on.
const LEN: usize = 33;

fn with(make: fn(Arc<Plan>, usize) -> Result<Box<dyn Executor>>) -> std::result::Result<Status, String> {
    let backend = Backend {
        name: "faulty",
        make,
        ..BACKENDS[0]
    };
    let of = cases::of(Kernel::Add);
    let case = of
        .iter()
        .find(|case| case.params == [LEN])
        .expect("a case of this length");
    check(case, &backend)
}

#[test]
fn faults_of_an_executor_are_objected_to() {
    assert!(matches!(
        with(|plan, runs| Faulty::make(Fault::None, plan, runs)),
        Ok(Status::Ran(_))
    ));
    for (fault, found) in [
        (
            Fault::Inexact,
            with(|plan, runs| Faulty::make(Fault::Inexact, plan, runs)),
        ),
        (
            Fault::Unwritten,
            with(|plan, runs| Faulty::make(Fault::Unwritten, plan, runs)),
        ),
        (
            Fault::Before,
            with(|plan, runs| Faulty::make(Fault::Before, plan, runs)),
        ),
        (
            Fault::Behind,
            with(|plan, runs| Faulty::make(Fault::Behind, plan, runs)),
        ),
        (Fault::Input, with(|plan, runs| Faulty::make(Fault::Input, plan, runs))),
        (
            Fault::Neighbour,
            with(|plan, runs| Faulty::make(Fault::Neighbour, plan, runs)),
        ),
        (
            Fault::Threads,
            with(|plan, runs| Faulty::make(Fault::Threads, plan, runs)),
        ),
    ] {
        let complaint = found.err().unwrap_or_else(|| panic!("{fault:?} was not noticed"));
        let expected = match fault {
            Fault::None => "",
            Fault::Inexact => "out[0] is",
            Fault::Unwritten => "out[0] is NaN",
            Fault::Before => "out: element -1 of 33 was changed",
            Fault::Behind => "out: element 33 of 33 was changed",
            Fault::Input => "input: element 0 of 33 was changed",
            Fault::Neighbour => "is not as alone",
            Fault::Threads => "with 3 threads is not as alone",
        };
        assert!(complaint.contains(expected), "{fault:?}: {complaint}");
    }
}

#[test]
fn wrong_words_are_objected_to() {
    let backend = Backend {
        make: |plan, runs| Faulty::make(Fault::Inexact, plan, runs),
        ..BACKENDS[0]
    };
    for case in cases::of(Kernel::GatherWords) {
        assert!(check(&case, &backend).is_err_and(|what| what.starts_with("out[0] is")));
    }
}

#[test]
fn what_is_not_supported_does_not_pass() {
    let absent = with(|_, _| Err(Error::unsupported("no such device")));
    assert!(matches!(absent, Ok(Status::Unsupported(reason)) if reason.contains("no such device")));
    let broken = with(|_, _| Err(Error::shape("something else")));
    assert!(broken.is_err());
}
