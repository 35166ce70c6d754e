//! The documents name what there is, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gmatrix::config::FurtherGram;
use gmatrix::stats::{columns, further, stream};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Names in backticks in the first cells of the tables of a page.
fn names_in_first_cells(page: &str) -> BTreeSet<String> {
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split(" | ").next());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The name under which `docs/columns.md` explains a column.
fn explained_as(column: &str) -> String {
    let forms = [
        "raw.",
        "cosine.",
        "centred.",
        "centred_cosine.",
        "unit_residual.",
        "preconditioned.",
        "function.",
    ];
    let sets = ["group.", "activation."];
    let is_form = forms.iter().any(|form| column.starts_with(form));
    if let Some((_, rest)) = column
        .rsplit_once('.')
        .filter(|_| is_form || sets.iter().any(|set| column.starts_with(set)))
    {
        return format!("*.{rest}");
    }
    column.to_owned()
}

#[test]
fn every_column_is_explained_and_every_explained_column_exists() {
    let explained = names_in_first_cells(&read("docs/columns.md"));
    // Two properties called as the page calls them.
    let (of_a, of_x) = (["a", "b"].map(str::to_owned), ["x".to_owned()]);
    let mut columns: BTreeSet<String> = [&of_a[..], &of_x[..]]
        .iter()
        .flat_map(|names| columns::names(names))
        .map(|(name, _)| explained_as(&name))
        .filter(|name| !["a", "b"].iter().any(|x| name.ends_with(&format!(".{x}"))) || name == "ntcov.a.b")
        .filter(|name| name != "ntcov.x.x")
        .collect();
    for preset in gmatrix::config::Preset::ALL {
        let experiment = gmatrix::trainer::Experiment::new(&preset.config()).unwrap();
        let mut names = further::names(&FurtherGram::ALL, &experiment.shape);
        names.extend(further::error_names(&[], &experiment.shape));
        columns.extend(names.iter().map(|name| explained_as(name)));
    }
    columns.extend(stream::COLUMNS.map(str::to_owned));
    columns.extend(["step", "run"].map(str::to_owned));
    let missing: Vec<_> = columns.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/columns.md does not explain {missing:?}");
    // What else stands in first cells: forms, optimisers, properties.
    let others = |name: &str| {
        ["sgd", "momentum", "nesterov", "adam", "adamw"].contains(&name)
            || name.ends_with('.')
            || name.parse::<gmatrix::config::Property>().is_ok()
            || name
                .replace(":i", ":0")
                .replace(":c", ":0")
                .replace(":k,…", ":1")
                .replace(":k", ":1")
                .parse::<gmatrix::config::Property>()
                .is_ok()
    };
    let unknown: Vec<_> = explained
        .difference(&columns)
        .filter(|name| !others(name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "docs/columns.md explains {unknown:?}, which do not exist"
    );
}

#[test]
fn every_dependency_is_justified_and_every_justified_one_is_there() {
    let manifests = ["Cargo.toml", "capi/Cargo.toml"].map(|path| read(path).parse::<toml::Table>().unwrap());
    let dependencies: BTreeSet<String> = manifests
        .iter()
        .flat_map(|manifest| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|table| manifest.get(table))
        })
        .filter_map(|table| table?.as_table())
        .flat_map(|table| table.keys().cloned())
        .filter(|name| name != "gmatrix")
        .collect();
    assert_eq!(names_in_first_cells(&read("docs/DEPENDENCIES.md")), dependencies);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .to_vec();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        pages.push(entry.unwrap().path());
    }
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|ending| ending == "md"))
    {
        let text = fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(file);
            assert!(path.exists(), "{}: {target} leads nowhere", page.display());
        }
    }
}

#[test]
fn the_readme_gives_commands_and_limits_that_hold() {
    let readme = read("README.md");
    for words in [
        "docs/presets.md",
        "--preset nanda",
        "cargo run --release -- train",
        "cargo test --release",
    ] {
        assert!(readme.contains(words), "README.md lacks {words}");
    }
    let limit = gmatrix::stats::gram::EXACT_LIMIT;
    let limit = format!("{},{:03} samples", limit / 1000, limit % 1000);
    assert!(readme.contains(&limit), "README.md gives another limit than {limit}");
}
