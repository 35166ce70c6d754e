//! Configurations and numbers as a reader says them.

use crate::config::{
    Batch, Config, LossKind, MlpInput, ModelConfig, ModelKind, OptimizerConfig, OptimizerKind, TaskConfig, TaskOp,
};
use crate::model::{Activation, Norm};

/// A count with thin groups of three digits, as `12,345`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number to four significant digits, in powers of ten where it is very large or small.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if size.is_infinite() {
        return minus(if value < 0.0 { "-∞" } else { "∞" });
    }
    if !(1e-3..1e5).contains(&size) {
        let text = format!("{value:.3e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return minus(&format!("{mantissa} × 10{}", superscript(exponent)));
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    minus(text)
}

/// A share as `12.3 %`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn minus(text: &str) -> String {
    text.replacen('-', "\u{2212}", 1)
}

fn superscript(exponent: &str) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    exponent
        .chars()
        .map(|c| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]))
        .collect()
}

/// `(a + b) mod 59`
pub fn task(config: &Config) -> String {
    let task = &config.task;
    let operation = match task.op {
        TaskOp::Add => format!("(a + b) mod {}", task.p),
        TaskOp::Sub => format!("(a \u{2212} b) mod {}", task.p),
        TaskOp::Mul => format!("(a × b) mod {}", task.p),
        TaskOp::Div => format!("(a / b) mod {}", task.p),
        TaskOp::SumSquares => format!("(a² + b²) mod {}", task.p),
        TaskOp::Quadratic => format!("(a² + ab + b²) mod {}", task.p),
        TaskOp::S5 => "composition in S₅".to_owned(),
        TaskOp::Parity => format!("parity of {} of {} bits", task.parity, task.bits),
        TaskOp::File => format!("data from {}", task.file.0.join(", ")),
        TaskOp::Idx => format!("images from {}", task.file.0.join(", ")),
        TaskOp::Cifar10 => "CIFAR-10".to_owned(),
        TaskOp::Cifar100 => "CIFAR-100".to_owned(),
    };
    match task.label_noise {
        _ if task.random_labels => format!("{operation} with random labels"),
        noise if noise > 0.0 => format!("{operation} with {} of the training labels replaced", percent(noise)),
        _ => operation,
    }
}

/// `1-layer transformer`
pub fn model(config: &Config) -> String {
    match config.model.kind {
        ModelKind::Transformer => format!("{}-layer transformer", config.model.layers),
        ModelKind::Mlp => format!("{}-layer perceptron", config.model.hidden.len() + 1),
    }
}

/// `AdamW`
pub fn optimizer(config: &Config) -> &'static str {
    match config.optimizer.kind {
        OptimizerKind::Sgd => "gradient descent",
        OptimizerKind::Momentum => "momentum",
        OptimizerKind::Adam => "Adam",
        OptimizerKind::Adamw => "AdamW",
        OptimizerKind::Nesterov => "Nesterov momentum",
    }
}

/// The run in one sentence.
pub fn sentence(config: &Config) -> String {
    format!(
        "A {}, {}, learns {} from {}, by {}.",
        model(config),
        model_details(&config.model),
        task(config),
        trained_on(&config.task),
        optimizer_details(config),
    )
}

fn trained_on(task: &TaskConfig) -> String {
    match task.train_samples {
        Some(samples) => format!("{} examples", count(samples as u64)),
        None if task.test_file.is_empty() => format!("{} of all examples", percent(task.train_fraction)),
        None => "all examples of its file".to_owned(),
    }
}

fn model_details(model: &ModelConfig) -> String {
    let activation = match model.activation {
        Activation::Relu => "ReLU",
        Activation::Gelu => "GELU",
        Activation::Quadratic => "quadratic",
    };
    match model.kind {
        ModelKind::Transformer => {
            let norm = match model.norm {
                Norm::None => "no layer normalisation",
                Norm::Pre => "pre-layer normalisation",
            };
            format!(
                "{} wide with {} and {} hidden {activation} units a block, {norm}",
                model.d_model,
                plural(model.heads, "head"),
                model.d_mlp,
            )
        }
        ModelKind::Mlp => {
            let input = match model.input {
                MlpInput::OneHot => "one-hot inputs",
                MlpInput::Embedding => "embedded inputs",
                MlpInput::Float => "real inputs",
            };
            let widths: Vec<String> = model.hidden.iter().map(usize::to_string).collect();
            format!("{} {activation} units on {input}", widths.join(" + "))
        }
    }
}

fn optimizer_details(config: &Config) -> String {
    let OptimizerConfig {
        lr,
        weight_decay,
        beta1,
        beta2,
        batch,
        kind,
        ..
    } = &config.optimizer;
    let loss = match config.loss.kind {
        LossKind::CrossEntropy => "cross-entropy",
        LossKind::CrossEntropyNaive => "naive cross-entropy",
        LossKind::Mse => "squared error",
        LossKind::Stablemax => "StableMax",
    };
    let betas = match kind {
        OptimizerKind::Sgd => String::new(),
        OptimizerKind::Momentum | OptimizerKind::Nesterov => format!(", momentum {beta1}"),
        OptimizerKind::Adam | OptimizerKind::Adamw => format!(", betas {beta1} and {beta2}"),
    };
    let batch = match batch {
        Batch::Full => "the full batch".to_owned(),
        Batch::Size(size) => format!("batches of {}", count(*size as u64)),
    };
    format!(
        "{} on {loss} over {batch} (learning rate {lr}, weight decay {weight_decay}{betas})",
        optimizer(config)
    )
}

fn plural(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (0.98765, "0.9877"),
            (-12.3456, "\u{2212}12.35"),
            (4321.4, "4321"),
            (98_765.0, "98765"),
            (1.2344e-7, "1.234 × 10⁻⁷"),
            (-3e6, "\u{2212}3.000 × 10⁶"),
            (-3e-6, "\u{2212}3.000 × 10⁻⁶"),
            (f64::NEG_INFINITY, "\u{2212}∞"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(0.125), "12.5 %");
    }

    #[test]
    fn the_default_run_in_words() {
        assert_eq!(
            sentence(&Config::default()),
            "A 1-layer transformer, 64 wide with 4 heads and 256 hidden ReLU units a block, no layer normalisation, \
             learns (a + b) mod 59 from 50 % of all examples, by AdamW on cross-entropy over the full batch \
             (learning rate 0.003, weight decay 1, betas 0.9 and 0.98)."
        );
    }
}
