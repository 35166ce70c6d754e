//! The page around the charts.

use std::fmt::Write as _;

use serde::Serialize;

use super::chart::{Chart, Drawn};
use super::charts::Section;
use super::facts::{Facts, Mark};
use super::recorded::Recorded;
use crate::error::{Error, Result};

pub(super) const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");

/// Columns that say where a row belongs or how large something is, and are no series to draw.
const BOOKKEEPING: [&str; 4] = ["n", "n_batch", "parameters", "zero_gradients"];

/// What goes on a page.
pub struct Content<'a> {
    /// Name of the run directory.
    pub name: &'a str,
    /// The head.
    pub facts: &'a Facts,
    /// The charts.
    pub sections: &'a [Section],
    /// The rows, for what is said about them.
    pub recorded: &'a Recorded<'a>,
    /// `config.toml` as it is.
    pub config: &'a str,
}

/// What the page's script needs beside the charts.
#[derive(Serialize)]
struct PageData<'a> {
    first: u64,
    last: u64,
    marks: &'a [Mark],
}

/// The whole page.
pub fn render(content: &Content) -> Result<String> {
    let mut body = String::new();
    head(&mut body, content);
    if content.recorded.steps.is_empty() {
        body.push_str("<p class=\"empty\" id=\"empty\">This run has no rows of metrics yet: nothing to draw.</p>\n");
    } else {
        let shown: Vec<&Section> = content
            .sections
            .iter()
            .filter(|section| charts_of(section).next().is_some())
            .collect();
        toolbar(&mut body, &shown);
        for section in shown {
            render_section(&mut body, section);
        }
        turning_points(&mut body, content.facts);
        missing(&mut body, content);
    }
    let data = PageData {
        first: content.recorded.steps.first().copied().unwrap_or(0),
        last: content.recorded.last_step().unwrap_or(0),
        marks: &content.facts.marks,
    };
    let data = serde_json::to_string(&data).map_err(|e| Error::numeric(e.to_string()))?;
    Ok(around(&Around {
        title: &content.facts.title,
        body: &body,
        config_title: "Configuration of the run",
        config: content.config,
        data: &data,
    }))
}

/// What stands around the body of a page.
pub struct Around<'a> {
    /// Title of the window.
    pub title: &'a str,
    /// HTML.
    pub body: &'a str,
    /// Heading of the configuration.
    pub config_title: &'a str,
    /// A configuration as it is.
    pub config: &'a str,
    /// What the page's script needs beside the charts, in JSON.
    pub data: &'a str,
}

/// A whole page.
pub fn around(page: &Around) -> String {
    format!(
        include_str!("assets/page.html"),
        title = escape(page.title),
        style = STYLE,
        body = page.body,
        config_title = escape(page.config_title),
        config = escape(page.config),
        plotly = plotly_js(),
        data = json_in_html(page.data),
        script = SCRIPT,
    )
}

/// plotly.js without the MathJax that comes along with it: no label here is a formula.
pub(super) fn plotly_js() -> String {
    let scripts = plotly::Plot::offline_js_sources();
    let end = "</script>";
    match scripts.find(end) {
        Some(at) => scripts[..at + end.len()].to_owned(),
        None => scripts,
    }
}

fn head(body: &mut String, content: &Content) {
    let facts = content.facts;
    let _ = write!(
        body,
        "<header>\n<p class=\"eyebrow\">gmatrix run <b>{}</b></p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n\
         <dl class=\"tiles\">\n",
        escape(content.name),
        escape(&facts.title),
        escape(&facts.sentence)
    );
    for tile in &facts.tiles {
        let _ = writeln!(
            body,
            "<div><dt>{}</dt><dd>{}</dd><dd class=\"remark\">{}</dd></div>",
            escape(tile.label),
            escape(&tile.value),
            escape(&tile.remark)
        );
    }
    body.push_str("</dl>\n<p class=\"details\">");
    for (label, value) in &facts.details {
        let _ = write!(body, "<span>{} <b>{}</b></span> ", escape(label), escape(value));
    }
    body.push_str("</p>\n</header>\n");
}

fn turning_points(body: &mut String, facts: &Facts) {
    body.push_str(
        "<section id=\"turning-points\">\n<h2>At the turning points</h2>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th scope=\"col\">last value measured up to</th>",
    );
    for (name, step) in &facts.columns {
        let step = super::words::count(*step);
        let _ = write!(
            body,
            "<th scope=\"col\">{}<small>step {step}</small></th>",
            escape(name)
        );
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for (label, values) in &facts.rows {
        let _ = write!(body, "<tr><th scope=\"row\">{}</th>", escape(label));
        for value in values {
            let _ = write!(body, "<td>{}</td>", value.as_deref().map_or("–".to_owned(), escape));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn toolbar(body: &mut String, sections: &[&Section]) {
    body.push_str("<nav class=\"toolbar\" aria-label=\"Charts\"><div class=\"links\">");
    for section in sections {
        let _ = write!(body, "<a href=\"#{}\">{}</a>", section.id, escape(section.title));
    }
    body.push_str(
        "<a href=\"#turning-points\">At the turning points</a></div>\
         <div class=\"switch\" role=\"group\" aria-label=\"Scale of the step axis\"><span>step axis</span>\
         <button type=\"button\" data-step-axis=\"linear\" aria-pressed=\"true\">linear</button>\
         <button type=\"button\" data-step-axis=\"log\" aria-pressed=\"false\">log</button></div></nav>\n",
    );
}

fn charts_of(section: &Section) -> impl Iterator<Item = &Chart> {
    section.charts.iter().filter_map(|drawn| match drawn {
        Drawn::Chart(chart) => Some(chart),
        Drawn::Missing { .. } => None,
    })
}

/// A section with its charts.
pub fn render_section(body: &mut String, section: &Section) {
    let _ = writeln!(
        body,
        "<section id=\"{}\">\n<h2>{}</h2>\n<div class=\"grid\">",
        section.id,
        escape(section.title)
    );
    for chart in charts_of(section) {
        render_chart(body, chart);
    }
    body.push_str("</div>\n</section>\n");
}

fn render_chart(body: &mut String, chart: &Chart) {
    let id = &chart.id;
    let class = if chart.is_wide { "card wide" } else { "card" };
    let axis = if chart.is_over_steps { "step" } else { "own" };
    let _ = write!(
        body,
        "<figure class=\"{class}\">\n<div class=\"title\"><h3>{}</h3>",
        escape(&chart.title)
    );
    if !chart.tabs.is_empty() {
        let _ = write!(body, "<div class=\"switch\" role=\"group\" data-tabs=\"{id}\">");
        for (k, tab) in chart.tabs.iter().enumerate() {
            let _ = write!(
                body,
                "<button type=\"button\" data-tab=\"{k}\" aria-pressed=\"{}\">{}</button>",
                k == 0,
                escape(tab)
            );
        }
        body.push_str("</div>");
    }
    let _ = writeln!(
        body,
        "</div>\n<div class=\"plot\"><div class=\"chart\" id=\"{id}\" data-axis=\"{axis}\"></div></div>\n\
         <figcaption>{}</figcaption>\n<script type=\"application/json\" id=\"{id}-data\">{}</script>\n</figure>",
        escape(&chart.caption),
        json_in_html(&chart.figure)
    );
}

/// What is not on the page, and why.
fn missing(body: &mut String, content: &Content) {
    let drawn = content.sections.iter().flat_map(|s| &s.charts);
    let mut absent = Vec::new();
    let mut used: Vec<&str> = BOOKKEEPING.to_vec();
    for chart in drawn {
        match chart {
            Drawn::Missing { title, columns } => absent.push(format!("{title} ({})", columns.join(", "))),
            Drawn::Chart(chart) => {
                used.extend(chart.columns.iter().map(String::as_str));
                if !chart.missing.is_empty() {
                    absent.push(format!(
                        "in \u{201c}{}\u{201d}: {}",
                        chart.title,
                        chart.missing.join(", ")
                    ));
                }
            }
        }
    }
    let infinities: usize = used.iter().map(|name| content.recorded.infinities(name)).sum();
    let others: Vec<&str> = content.recorded.names().filter(|name| !used.contains(name)).collect();
    body.push_str("<section id=\"rest\" class=\"rest\">\n<h2>What is not drawn</h2>\n<ul>\n");
    if !absent.is_empty() {
        let _ = writeln!(
            body,
            "<li id=\"not-measured\"><b>Not measured in this run:</b> {}.</li>",
            escape(&absent.join("; "))
        );
    }
    if !others.is_empty() {
        let _ = writeln!(
            body,
            "<li id=\"not-drawn\"><b>Measured, but without a chart here:</b> {}.</li>",
            escape(&others.join(", "))
        );
    }
    if infinities > 0 {
        let _ = writeln!(
            body,
            "<li><b>Infinite values:</b> {infinities}, which are gaps in the lines.</li>"
        );
    }
    body.push_str(
        "<li>A line joins the rows at which its kind of value was due; a value that is missing there is a gap. On the \
         logarithmic step axis step 0 has no place.</li>\n</ul>\n</section>\n",
    );
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON inside a script element, which a `</script>` or `<!--` in a string would end.
pub(super) fn json_in_html(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a=\"x\">&"), "&lt;b a=&quot;x&quot;&gt;&amp;");
        assert_eq!(json_in_html(r#""</script>""#), r#""\u003c/script>""#);
    }

    #[test]
    fn one_script_of_plotly_and_no_mathjax() {
        let script = plotly_js();
        assert_eq!(script.matches("<script").count(), 1);
        assert!(script.contains("plotly.js v"));
        assert!(!script.contains("MathJax.loader"));
    }
}
