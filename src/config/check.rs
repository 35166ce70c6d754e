//! Which values cannot be, beyond what their types say.

use std::fmt::Display;

use super::keys;
use super::{
    Batch, Config, Files, FurtherGram, Init, MlpInput, ModelKind, OptimizerKind, Property, Split, TaskConfig, TaskOp,
};
use crate::schedule::Cadence;
use crate::task::{counts, table_len};

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
    task(&config.task)?;
    // TOML has no greater integers, and config.toml must hold the seed.
    let seed = config.task.seed;
    require(i64::try_from(seed).is_ok(), "task.seed", seed)?;
    model(config)?;
    optimizer(config)?;
    train(config)?;
    stats(config)
}

/// Sizes of the training and test split; unknown before a data file is read.
fn split_sizes(config: &Config) -> Option<[usize; 2]> {
    counts(table_len(&config.task)?, &config.task).ok()
}

/// Finds the first value of `[task]` that cannot be.
pub(super) fn task(task: &TaskConfig) -> Checked {
    files(task)?;
    require(!task.op.is_modular() || (2..=4096).contains(&task.p), "task.p", task.p)?;
    if task.op == TaskOp::Div && !is_prime(task.p) {
        let text = format!(r#"task.p = {} is not prime, which task.op = "div" needs"#, task.p);
        return fault(&["task.p", "task.op"], text);
    }
    let fraction = task.train_fraction;
    require(fraction > 0.0 && fraction < 1.0, "task.train_fraction", fraction)?;
    require(task.train_samples != Some(0), "task.train_samples", 0)?;
    require(task.test_samples != Some(0), "task.test_samples", 0)?;
    require(
        (0.0..=1.0).contains(&task.label_noise),
        "task.label_noise",
        task.label_noise,
    )?;
    if task.label_noise > 0.0 && task.random_labels {
        let text = "task.label_noise with task.random_labels = true, expected one of them";
        return fault(&["task.label_noise", "task.random_labels"], text);
    }
    if task.op == TaskOp::Parity {
        parity(task)?;
    } else if let Some(n) = table_len(task)
        && let Err(text) = counts(n, task)
    {
        let keys = [
            "task.test_samples",
            "task.train_samples",
            "task.train_fraction",
            "task.p",
        ];
        let culprit = keys.iter().position(|key| text.starts_with(key)).unwrap_or(0);
        return fault(&keys[culprit..], text);
    }
    Ok(())
}

/// Whether an operation has the files it reads, and no other.
fn files(task: &TaskConfig) -> Checked {
    let op = task.op.name();
    if !task.op.reads_files() {
        for (key, files) in [("task.file", &task.file), ("task.test_file", &task.test_file)] {
            if !files.is_empty() {
                let text = format!(r#"{key} = {files} needs task.op = "file", "idx", "cifar10" or "cifar100""#);
                return fault(&[key, "task.op"], text);
            }
        }
        return Ok(());
    }
    if task.file.is_empty() {
        return fault(&["task.op"], format!("task.op = {op:?} needs task.file"));
    }
    let fits = |files: &Files| match task.op {
        TaskOp::File => files.0.len() == 1,
        TaskOp::Idx => files.0.len() == 2,
        _ => true,
    };
    let expected = match task.op {
        TaskOp::Idx => "two paths, images and labels,",
        _ => "one path",
    };
    for (key, files) in [("task.file", &task.file), ("task.test_file", &task.test_file)] {
        if !files.is_empty() && !fits(files) {
            let text = format!("{key} = {files}, expected {expected} for task.op = {op:?}");
            return fault(&[key, "task.op"], text);
        }
    }
    Ok(())
}

/// Most bit strings: they and their labels still fit into memory several times.
const MAX_STRINGS: usize = 1 << 22;

fn parity(task: &TaskConfig) -> Checked {
    require((2..=64).contains(&task.bits), "task.bits", task.bits)?;
    require((1..=task.bits).contains(&task.parity), "task.parity", task.parity)?;
    let (Some(train), Some(test)) = (task.train_samples, task.test_samples) else {
        let text = r#"task.op = "parity" needs task.train_samples and task.test_samples"#;
        return fault(&["task.op"], text);
    };
    let all = train.saturating_add(test);
    let strings = 1usize.checked_shl(task.bits).unwrap_or(usize::MAX);
    if all > strings.min(MAX_STRINGS) {
        let text = format!(
            "task.train_samples + task.test_samples = {all}, expected at most {}",
            if strings < MAX_STRINGS {
                format!("the {strings} strings of {} bits", task.bits)
            } else {
                MAX_STRINGS.to_string()
            }
        );
        return fault(&["task.train_samples", "task.test_samples", "task.bits"], text);
    }
    Ok(())
}

/// By trial: moduli are small.
fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

fn model(config: &Config) -> Checked {
    let model = &config.model;
    require(
        model.init_scale > 0.0 && model.init_scale.is_finite(),
        "model.init_scale",
        model.init_scale,
    )?;
    let shares = |p: f64| (0.0..1.0).contains(&p);
    require(model.dropout.is_valid(shares), "model.dropout", &model.dropout)?;
    let mix = &model.attention_mix;
    require(
        mix.is_valid(|share| (0.0..=1.0).contains(&share)),
        "model.attention_mix",
        mix,
    )?;
    if model.kind == ModelKind::Mlp && !mix.is_zero() {
        let text = format!("model.attention_mix = {mix} is for a transformer, expected 0 for an MLP");
        return fault(&["model.attention_mix", "model.kind"], text);
    }
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
            let op = config.task.op;
            if model.input == MlpInput::Float && !op.reads_files() && op != TaskOp::Parity {
                let text = r#"model.input = "float" needs real inputs, expected task.op = "file", "idx", "cifar10", "cifar100" or "parity""#;
                return fault(&["model.input", "task.op"], text);
            }
        }
    }
    Ok(())
}

fn optimizer(config: &Config) -> Checked {
    let optimizer = &config.optimizer;
    let not_negative = |x: f64| x >= 0.0 && x.is_finite();
    for (key, number) in [
        ("optimizer.lr", &optimizer.lr),
        ("optimizer.weight_decay", &optimizer.weight_decay),
        ("optimizer.clip", &optimizer.clip),
        ("optimizer.filter_lambda", &optimizer.filter_lambda),
        ("optimizer.l1", &optimizer.l1),
        ("optimizer.noise", &optimizer.noise),
        ("optimizer.hold_factor", &optimizer.hold_factor),
    ] {
        require(number.is_valid(not_negative), key, number)?;
    }
    for (group, decay) in &optimizer.weight_decay_groups {
        let group = toml::Value::try_from(group).map_or_else(|_| format!("{group:?}"), |v| v.to_string());
        let text = format!("{{ {} = {decay} }}", group.trim_matches('"'));
        require(decay.is_valid(not_negative), "optimizer.weight_decay_groups", text)?;
    }
    let share = |x: f64| (0.0..1.0).contains(&x);
    for (key, decay) in [
        ("optimizer.beta1", &optimizer.beta1),
        ("optimizer.beta2", &optimizer.beta2),
        ("optimizer.filter_alpha", &optimizer.filter_alpha),
    ] {
        require(decay.is_valid(share), key, decay)?;
    }
    let window = optimizer.filter_window;
    require(window > 0, "optimizer.filter_window", window)?;
    let eps = &optimizer.eps;
    require(eps.is_valid(|x| x > 0.0 && x.is_finite()), "optimizer.eps", eps)?;
    if let (Batch::Size(size), Some([train, _])) = (optimizer.batch, split_sizes(config))
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
    for (key, cadence, needed) in [
        ("stats.scalars_every", stats.scalars_every, true),
        ("stats.evaluate_every", stats.evaluate_every, true),
        ("stats.gram_every", stats.gram_every, false),
        ("stats.decompose_every", stats.decompose_every, false),
    ] {
        require(cadence.is_valid() && !(needed && cadence.starts_never()), key, cadence)?;
    }
    let window = stats.stream;
    let divides = |every: Cadence| matches!(every, Cadence::Every(every) if every > 0 && window.is_multiple_of(every));
    require(
        window == 0 || (window >= 16 && divides(stats.scalars_every)),
        "stats.stream",
        window,
    )?;
    require(stats.probes >= 2, "stats.probes", stats.probes)?;
    for (place, gram) in stats.grams.iter().enumerate() {
        if stats.grams[..place].contains(gram) {
            let text = format!("stats.grams: \"{gram}\" stands there twice");
            return fault(&["stats.grams"], text);
        }
        let kind = config.optimizer.kind;
        if *gram == FurtherGram::Preconditioned && !matches!(kind, OptimizerKind::Adam | OptimizerKind::Adamw) {
            let text = "stats.grams: \"preconditioned\" is the metric of Adam, expected optimizer.kind = \"adam\" or \"adamw\"";
            return fault(&["stats.grams", "optimizer.kind"], text);
        }
    }
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
        seen.push(property.clone());
        if let (Some((split, index)), Some([train, test])) = (property.sample(), split_sizes(config)) {
            let n = if split == Split::Train { train } else { test };
            if index >= n {
                return refuse(format!(
                    "{name:?} has index {index}, expected below {n}, the size of the {split} split"
                ));
            }
        }
        match property.group(config.task.op, config.task.p) {
            Ok(Some(_)) if table_len(&config.task) != split_sizes(config).map(|[train, test]| train + test) => {
                let text = format!("{name:?} needs all examples, expected no task.test_samples");
                return fault(
                    &["stats.properties", "task.test_samples"],
                    format!("stats.properties: {text}"),
                );
            }
            Ok(_) => {}
            Err(e) => return refuse(format!("{name:?}: {e}")),
        }
        if let (Some(class), Some(classes)) = (property.class(), crate::task::classes(&config.task))
            && class >= classes
        {
            let below = if config.task.op.is_modular() {
                format!("task.p = {classes}")
            } else {
                format!("{classes}, the number of classes")
            };
            return refuse(format!("{name:?} has class {class}, expected below {below}"));
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
