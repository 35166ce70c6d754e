//! `report.html` of a sweep: what its runs came to, along each axis.

mod charts;
mod groups;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::charts::Section;
use super::page::{self, escape};
use super::words::count;
use super::{FILE, chart::Drawn};
use crate::error::{Error, Result};
use crate::sweep::{EndedRun, SweepDirectory, SweepSpec};
use groups::swept;

/// Writes the report of the runs of a sweep that ended, as [`crate::sweep::collect`] found them, and returns its path.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it cannot be written.
pub fn write_sweep_report(directory: &SweepDirectory, spec: &SweepSpec, runs: &[EndedRun]) -> Result<PathBuf> {
    let axes = swept(spec, runs);
    let mut body = String::new();
    let dir = directory.path();
    let name = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    head(&mut body, &name, spec, runs, &axes);
    if runs.is_empty() {
        body.push_str("<p class=\"empty\" id=\"empty\">No run has ended yet: nothing to draw.</p>\n");
    } else {
        let sections = charts::draw(runs, &axes);
        let mut missing = Vec::new();
        for section in &sections {
            missing.extend(section.charts.iter().filter_map(|drawn| match drawn {
                Drawn::Missing { title, .. } => Some(title.as_str()),
                Drawn::Chart(_) => None,
            }));
            if section.charts.iter().any(|drawn| matches!(drawn, Drawn::Chart(_))) {
                page::render_section(&mut body, section);
            }
        }
        tables::overview(&mut body, runs, &axes);
        tables::classes(&mut body, runs, &axes);
        tables::twins(&mut body, runs);
        tables::correlations(&mut body, runs, &axes);
        tables::frequencies(&mut body, runs);
        tables::runs(&mut body, directory, runs, &spec.axes);
        if !missing.is_empty() {
            let _ = writeln!(
                body,
                "<section id=\"rest\" class=\"rest\"><h2>What is not drawn</h2><p id=\"not-measured\">For lack of runs or \
                 values: {}.</p></section>",
                escape(&missing.join("; "))
            );
        }
    }
    let page = page::around(&page::Around {
        title: &format!("Sweep {name}"),
        body: &body,
        config_title: "What was swept",
        config: &spec.text,
        data: r#"{"first":0,"last":0,"marks":[]}"#,
    });
    let path = dir.join(FILE);
    fs::write(&path, page).map_err(|e| Error::io(&path, e))?;
    Ok(path)
}

fn head(body: &mut String, name: &str, spec: &SweepSpec, runs: &[EndedRun], axes: &[&str]) {
    let with = |name: &str| runs.iter().filter(|run| run.results.contains_key(name)).count() as u64;
    let diverged = runs.iter().filter(|run| run.is("ended", "diverged")).count() as u64;
    let censored = runs
        .iter()
        .filter(|run| run.results.get("censored") == Some(&true.into()))
        .count() as u64;
    let tiles = [
        (
            "Runs",
            format!("{} of {}", count(runs.len() as u64), count(spec.runs.len() as u64)),
            "have ended",
        ),
        ("Memorised", count(with("memorised")), "training accuracy ≥ 0.99"),
        (
            "Grokked",
            count(with("grokked")),
            "running median of the test accuracy ≥ 0.95",
        ),
        ("Censored", count(censored), "memorised, and ended before they grokked"),
        ("Diverged", count(diverged), "a loss or weight was no longer finite"),
    ];
    let axes = if axes.is_empty() {
        "The seed alone varies.".to_owned()
    } else {
        format!(
            "What varies: {}; and the seed where several runs share all of these.",
            axes.join(", ")
        )
    };
    let _ = write!(
        body,
        "<header>\n<p class=\"eyebrow\">gmatrix sweep <b>{}</b></p>\n<h1>{} runs</h1>\n<p class=\"lead\">{}</p>\n\
         <dl class=\"tiles\">\n",
        escape(name),
        count(spec.runs.len() as u64),
        escape(&axes)
    );
    for (label, value, remark) in tiles {
        let _ = writeln!(
            body,
            "<div><dt>{label}</dt><dd>{value}</dd><dd class=\"remark\">{}</dd></div>",
            escape(remark)
        );
    }
    body.push_str("</dl>\n</header>\n");
}

/// Charts that belong together.
fn section(id: &'static str, title: &'static str, charts: Vec<Drawn>) -> Section {
    Section { id, title, charts }
}
