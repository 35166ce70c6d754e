//! The printed plan: buffers, choices and launches as tables.

use std::fmt::Write as _;

use super::buffer::Arena;
use super::builder::Plan;
use super::lower::Launch;

impl Plan {
    /// The plan and its launches as readable tables.
    pub fn table(&self, launches: &[Launch], runs: usize, real_bytes: usize) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "plan: {} buffers, {:.1} MB for {runs} run(s)\n",
            self.buffers.len(),
            self.bytes(runs, real_bytes) as f64 / 1e6
        );
        let _ = writeln!(
            out,
            "{:<14} {:<10} {:<6} {:>14}",
            "arena", "lifetime", "holds", "elements/run"
        );
        for arena in Arena::ALL {
            if self.stride(arena) > 0 {
                let _ = writeln!(
                    out,
                    "{:<14} {:<10} {:<6} {:>14}",
                    format!("{arena:?}"),
                    format!("{:?}", arena.lifetime()),
                    format!("{:?}", arena.element()),
                    self.stride(arena)
                );
            }
        }
        if !self.choices.is_empty() {
            let _ = writeln!(out, "\nchoices");
            for (what, choice) in &self.choices {
                let _ = writeln!(out, "  {what:<36} {choice}");
            }
        }
        let _ = writeln!(
            out,
            "\n{:<10} {:<28} {:<30} {:>10} {:>9}  parameters",
            "segment", "op", "kernel", "MFLOP", "MB"
        );
        for launch in launches {
            let contract = launch.kernel.contract();
            let constants: Vec<String> = contract
                .constants
                .iter()
                .zip(&launch.spec)
                .filter(|(_, value)| **value != 0)
                .map(|(constant, value)| format!("{}={value}", constant.name))
                .collect();
            let kernel = if constants.is_empty() {
                contract.name.to_owned()
            } else {
                format!("{} {}", contract.name, constants.join(" "))
            };
            let params: Vec<String> = contract
                .params
                .iter()
                .zip(&launch.params)
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let _ = writeln!(
                out,
                "{:<10} {:<28} {:<30} {:>10.3} {:>9.3}  {}",
                launch.segment.name(),
                launch.label,
                kernel,
                launch.flops() as f64 / 1e6,
                launch.bytes(real_bytes) as f64 / 1e6,
                params.join(" ")
            );
        }
        out
    }
}
