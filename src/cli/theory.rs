//! `gmatrix theory`

use std::process::ExitCode;

use super::args::TheoryArgs;
use super::output;
use crate::error::{Error, Result};
use crate::theory::{self, Check, Claim};

pub(super) fn run(args: &TheoryArgs) -> Result<ExitCode> {
    let claims = theory::claims(args.seed)?;
    let text = if args.json {
        serde_json::to_string_pretty(&claims).map_err(|e| Error::numeric(e.to_string()))? + "\n"
    } else {
        as_table(&claims)
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A line for each claim, and below it its checks and what else was predicted.
fn as_table(claims: &[Claim]) -> String {
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["claim", "", "expected", "measured", "verdict"])];
    for claim in claims {
        let verdict = if claim.holds { "HOLDS" } else { "FAILS" };
        rows.push(row([&claim.number.to_string(), claim.statement, "", "", verdict]));
        for (kind, checks) in [("", &claim.checks), ("beside: ", &claim.predictions)] {
            for check in checks {
                rows.push(row([
                    "",
                    &format!("  {kind}{}", check.quantity),
                    &check.expected.to_string(),
                    &number(check.measured),
                    verdict_of(check),
                ]));
            }
        }
    }
    output::table(&rows)
}

fn verdict_of(check: &Check) -> &'static str {
    match (check.expected, check.met) {
        (theory::Expected::Any, _) => "",
        (_, true) => "met",
        (_, false) => "not met",
    }
}

/// Six decimals, or an exponent for the very small and large.
fn number(x: f64) -> String {
    if x == 0.0 || (1e-4..1e6).contains(&x.abs()) {
        format!("{x:.6}")
    } else {
        format!("{x:.3e}")
    }
}
