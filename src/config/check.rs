//! Which values cannot be, beyond what their types say.

use std::fmt::Display;

use super::keys;
use super::{Batch, Config, Init, MlpInput, ModelKind, Property, Split, TaskOp};

/// Why a configuration cannot be run.
pub(super) struct Fault {
    /// The keys involved, the likeliest culprit first.
    pub keys: Vec<&'static str>,
    /// What is wrong, with names and values.
    pub text: String,
}

type Checked = Result<(), Fault>;

/// Finds the first value that cannot be.
pub(super) fn check(config: &Config) -> Checked {
    task(config)?;
    model(config)?;
    optimizer(config)?;
    train(config)?;
    stats(config)
}

/// Sizes of the training and test split; unknown before a data file is read.
fn split_sizes(config: &Config) -> Option<(usize, usize)> {
    if config.task.op == TaskOp::File {
        return None;
    }
    let n = config.task.p as usize * config.task.p as usize;
    let train = (config.task.train_fraction * n as f64) as usize;
    Some((train, n - train.min(n)))
}

fn task(config: &Config) -> Checked {
    let task = &config.task;
    let is_file = task.op == TaskOp::File;
    match (&task.file, is_file) {
        (None, true) => return fault(&["task.op"], r#"task.op = "file" needs task.file"#),
        (Some(file), false) => {
            let text = format!(r#"task.file = {file:?} needs task.op = "file""#);
            return fault(&["task.file", "task.op"], text);
        }
        _ => {}
    }
    require(is_file || (2..=4096).contains(&task.p), "task.p", task.p)?;
    let fraction = task.train_fraction;
    require(fraction > 0.0 && fraction < 1.0, "task.train_fraction", fraction)?;
    if let Some((train, test)) = split_sizes(config)
        && (train == 0 || test == 0)
    {
        let n = train + test;
        let text = format!(
            "task.train_fraction = {fraction} leaves {train} of {n} examples to train on and {test} to test on, \
             expected at least one each"
        );
        return fault(&["task.train_fraction", "task.p"], text);
    }
    // TOML has no greater integers, and config.toml must hold the seed.
    require(i64::try_from(task.seed).is_ok(), "task.seed", task.seed)
}

fn model(config: &Config) -> Checked {
    let model = &config.model;
    require(
        model.init_scale > 0.0 && model.init_scale.is_finite(),
        "model.init_scale",
        model.init_scale,
    )?;
    match model.kind {
        ModelKind::Transformer => {
            require(model.layers > 0, "model.layers", model.layers)?;
            require(model.d_model > 0, "model.d_model", model.d_model)?;
            require(model.heads > 0, "model.heads", model.heads)?;
            require(model.d_mlp > 0, "model.d_mlp", model.d_mlp)?;
            let (heads, d_model) = (model.heads, model.d_model);
            if d_model % heads != 0 {
                let text = format!("model.heads = {heads} does not divide model.d_model = {d_model}");
                return fault(&["model.heads", "model.d_model"], text);
            }
            if model.init == Init::Gromov {
                let text = r#"model.init = "gromov" is for an MLP, expected "nanda" or "fan_in" for a transformer"#;
                return fault(&["model.init", "model.kind"], text);
            }
        }
        ModelKind::Mlp => {
            let text = format!("{:?}", model.hidden);
            require(!model.hidden.contains(&0), "model.hidden", text)?;
            let embeds = model.input == MlpInput::Embedding;
            require(!embeds || model.d_model > 0, "model.d_model", model.d_model)?;
            if model.input == MlpInput::Float && config.task.op != TaskOp::File {
                let text = r#"model.input = "float" needs data with real inputs, expected task.op = "file""#;
                return fault(&["model.input", "task.op"], text);
            }
        }
    }
    Ok(())
}

fn optimizer(config: &Config) -> Checked {
    let optimizer = &config.optimizer;
    let not_negative = |x: f64| x >= 0.0 && x.is_finite();
    require(not_negative(optimizer.lr), "optimizer.lr", optimizer.lr)?;
    let decay = optimizer.weight_decay;
    require(not_negative(decay), "optimizer.weight_decay", decay)?;
    for (group, &decay) in &optimizer.weight_decay_groups {
        let group = toml::Value::try_from(group).map_or_else(|_| format!("{group:?}"), |v| v.to_string());
        let text = format!("{{ {} = {decay} }}", group.trim_matches('"'));
        require(not_negative(decay), "optimizer.weight_decay_groups", text)?;
    }
    for (key, beta) in [
        ("optimizer.beta1", optimizer.beta1),
        ("optimizer.beta2", optimizer.beta2),
    ] {
        require((0.0..1.0).contains(&beta), key, beta)?;
    }
    let eps = optimizer.eps;
    require(eps > 0.0 && eps.is_finite(), "optimizer.eps", eps)?;
    if let (Batch::Size(size), Some((train, _))) = (optimizer.batch, split_sizes(config))
        && size > train
    {
        let text = format!("optimizer.batch = {size}, expected at most the {train} examples of the training split");
        return fault(&["optimizer.batch", "task.train_fraction", "task.p"], text);
    }
    Ok(())
}

fn train(config: &Config) -> Checked {
    let train = &config.train;
    require(train.steps > 0, "train.steps", train.steps)?;
    require(
        train.checkpoint_every > 0,
        "train.checkpoint_every",
        train.checkpoint_every,
    )?;
    require(train.chunk > 0, "train.chunk", train.chunk)
}

fn stats(config: &Config) -> Checked {
    let stats = &config.stats;
    require(stats.scalars_every > 0, "stats.scalars_every", stats.scalars_every)?;
    require(stats.evaluate_every > 0, "stats.evaluate_every", stats.evaluate_every)?;
    let mut seen = Vec::new();
    for name in &stats.properties {
        let refuse = |reason: String| fault(&["stats.properties"], format!("stats.properties: {reason}"));
        let property: Property = match name.parse() {
            Ok(Property::Loss) => {
                return refuse(r#""loss" is for measure, expected "train_loss" or "test_loss""#.into());
            }
            Ok(property) => property,
            Err(e) => return refuse(e.to_string()),
        };
        if seen.contains(&property) {
            return refuse(format!("{name:?} stands there twice"));
        }
        seen.push(property);
        if let (Some((split, index)), Some((train, test))) = (property.sample(), split_sizes(config)) {
            let n = if split == Split::Train { train } else { test };
            if index >= n {
                return refuse(format!(
                    "{name:?} has index {index}, expected below {n}, the size of the {split} split"
                ));
            }
        }
        let classes = config.task.p as usize;
        if let Some(class) = property
            .class()
            .filter(|&c| c >= classes && config.task.op != TaskOp::File)
        {
            return refuse(format!("{name:?} has class {class}, expected below task.p = {classes}"));
        }
    }
    Ok(())
}

fn fault(keys: &[&'static str], text: impl Into<String>) -> Checked {
    Err(Fault {
        keys: keys.to_vec(),
        text: text.into(),
    })
}

fn require(holds: bool, key: &'static str, found: impl Display) -> Checked {
    if holds {
        return Ok(());
    }
    let expected = keys::find(key).map_or("another value", |key| key.expected);
    fault(&[key], format!("{key} = {found}, expected {expected}"))
}
