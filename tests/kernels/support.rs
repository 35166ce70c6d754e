//! Support: which kernel runs on which backend in which precision, or why not.

use gmatrix::plan::Kernel;

use crate::backends::all;
use crate::cases;
use crate::run::{Status, check};

#[test]
fn support() {
    let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
    let mut table = format!("{:<22}", "kernel");
    let backends = all();
    table.extend(backends.iter().map(|backend| format!(" {:<14}", backend.title())));
    let mut missing = Vec::new();
    for kernel in Kernel::ALL {
        table += &format!("\n{:<22}", kernel.name());
        let of = cases::of(*kernel);
        for backend in &backends {
            // One case is enough: a backend has a kernel or it has not.
            match check(&of[0], backend) {
                Ok(Status::Ran(_)) => table += &format!(" {:<14}", "Ran"),
                Ok(Status::Unsupported(reason)) => {
                    table += &format!(" Unsupported({reason})");
                    let require = required.split(',').any(|name| name == backend.name);
                    if require && (backend.absent)(*kernel).is_none() {
                        missing.push(format!("{}: {reason}", backend.title()));
                    }
                }
                Err(complaint) => panic!("{} on {}: {complaint}", of[0].title(), backend.title()),
            }
        }
    }
    println!("{table}");
    assert!(missing.is_empty(), "required, but not supported: {missing:#?}");
}

/// Every specialisation that CI compiles has a case.
#[test]
fn support_covers_every_specialisation() {
    for kernel in Kernel::ALL {
        let tried: Vec<Vec<u32>> = cases::of(*kernel).iter().map(|case| case.spec()).collect();
        for spec in kernel.contract().specialisations() {
            assert!(
                tried.contains(&spec),
                "no case of {} with constants {spec:?}",
                kernel.name()
            );
        }
    }
}
