//! The report as a table.

use std::fmt::Write as _;

use super::{Bench, Row, Spread};

impl Bench {
    /// The machine, the two rates, a line for each row with what it is compared with, and what is missing.
    pub fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "gmatrix {} on {} ({}, {}), {} {}, {} threads\n",
            self.version, machine.device, machine.backend, machine.precision, machine.os, machine.arch, machine.threads
        );
        if let Some(processor) = &machine.processor {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{processor}");
        }
        let rate = |rate: Spread| format!("{:.1} ({:.1} to {:.1})", rate.median, rate.low, rate.high);
        let _ = writeln!(
            text,
            "\ncopy bandwidth   {} GB/s\nmatrix rate      {} GFLOP/s\n",
            rate(self.rates.copy_gb_per_s),
            rate(self.rates.matrix_gflop_per_s)
        );
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(4);
        let _ = writeln!(
            text,
            "{:<width$} {:>5} {:>10} {:>21} {:>8} {:>9}  {:>7} of",
            "what", "calls", "median ms", "quartiles", "GB/s", "GFLOP/s", "share"
        );
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row, width));
        }
        let mut reasons: Vec<&str> = self.left_out.iter().map(|left| left.why.as_str()).collect();
        reasons.dedup();
        for why in reasons {
            let of = self.left_out.iter().filter(|left| left.why == why);
            let names: Vec<&str> = of.map(|left| left.name.as_str()).collect();
            let _ = writeln!(text, "left out: {}: {why}", names.join(", "));
        }
        text
    }
}

fn line(row: &Row, width: usize) -> String {
    let ms = |seconds: f64| format!("{:.4}", seconds * 1e3);
    let quartiles = format!("{} to {}", ms(row.seconds.low), ms(row.seconds.high));
    let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.1}"));
    let share = row
        .share
        .map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let limit = row.limit.map_or("", |limit| limit.name());
    let text = format!(
        "{:<width$} {:>5} {:>10} {quartiles:>21} {:>8} {:>9}  {share:>7} {limit}",
        row.name,
        row.calls,
        ms(row.seconds.median),
        number(row.gb_per_s),
        number(row.gflop_per_s),
    );
    text.trim_end().to_owned()
}
