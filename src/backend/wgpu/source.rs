//! The text of a specialised shader: what follows from the contract, the shared files it asks for, and its body.

use std::fmt::Write as _;

use super::manifest::{self, SHARED};
use crate::plan::{
    Access, BLOCK, Binding, Contract, Element, GRAM_TILE, Kernel, SKETCH_SIDE, Segment, Site, control, layout as places,
};
use crate::random::{FEISTEL_MIN_BITS, FEISTEL_ROUNDS, Purpose};
use crate::stats::columns;

/// Words at the head of a launch's uniform block, before parameters and bindings.
pub(super) const HEAD: [&str; 5] = ["grid_columns", "groups", "due", "zero", "control_stride"];

/// Value of `due` where a launch takes part in every step.
pub(super) const ALWAYS: u32 = u32::MAX;

/// Complete WGSL of one kernel; none if it is not in the manifest.
///
/// `writable` has one flag for each active binding: whether the launch writes to the arena it lies in. wgpu rejects a
/// buffer that one dispatch uses both as `read` and as `read_write`, so such a binding is declared `read_write` even
/// where the kernel only reads it.
pub fn source(kernel: Kernel, spec: &[u32], writable: &[bool]) -> Option<String> {
    let body = manifest::find(kernel)?.body;
    let contract = kernel.contract();
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (constant, value) in contract.constants.iter().zip(spec) {
        let _ = writeln!(text, "const {}: u32 = {value}u;", constant.name);
    }
    declare(&mut text, contract, spec, writable);
    for import in body.lines().filter_map(|line| line.strip_prefix("// import ")) {
        if import == "layout" {
            text.push_str(&layout(contract));
        } else {
            text.push_str(SHARED.iter().find(|(name, _)| *name == import)?.1);
        }
    }
    text.push_str(body);
    Some(text)
}

/// Whether this kernel binds the control block itself, so that it is not bound a second time.
pub(super) fn binds_control(contract: &Contract) -> bool {
    contract.bindings.iter().any(|binding| binding.name == "block")
}

fn element(binding: &Binding) -> &'static str {
    match binding.element {
        Element::Real => "f32",
        Element::Wide => "vec2<f32>",
        Element::Word => "u32",
    }
}

/// Bindings in the contract's order, the control block behind them, and the uniform block.
fn declare(text: &mut String, contract: &Contract, spec: &[u32], writable: &[bool]) {
    let _ = writeln!(text, "struct Launch {{");
    for field in HEAD.iter().chain(contract.params) {
        let _ = writeln!(text, "    {field}: u32,");
    }
    let active: Vec<&Binding> = contract.active_bindings(spec).collect();
    for binding in &active {
        let _ = writeln!(text, "    {0}_start: u32,\n    {0}_stride: u32,", binding.name);
    }
    let _ = writeln!(text, "}}\n@group(1) @binding(0) var<uniform> launch: Launch;");
    for (place, (binding, widened)) in active.iter().zip(writable).enumerate() {
        let (name, element) = (binding.name, element(binding));
        let access = if binding.access == Access::Read && !widened {
            "read"
        } else {
            "read_write"
        };
        let _ = writeln!(
            text,
            "@group(0) @binding({place}) var<storage, {access}> {name}: array<{element}>;\n\
             fn {name}_at(run: u32) -> u32 {{ return launch.{name}_start + run * launch.{name}_stride; }}"
        );
    }
    // Bindings that this specialisation lacks stand in code that it never reaches, but that must still compile.
    for binding in contract.bindings {
        if !active.iter().any(|other| other.name == binding.name) {
            let (name, element) = (binding.name, element(binding));
            let _ = writeln!(
                text,
                "var<private> {name}: array<{element}, 1>;\nfn {name}_at(run: u32) -> u32 {{ return 0u; }}"
            );
        }
    }
    let block = if binds_control(contract) {
        "block"
    } else {
        let _ = writeln!(
            text,
            "@group(0) @binding({}) var<storage, read> control: array<u32>;",
            active.len()
        );
        "control"
    };
    let _ = writeln!(
        text,
        "fn due(run: u32) -> bool {{\n    \
         return launch.due == {ALWAYS}u || {block}[run * launch.control_stride + launch.due] != 0u;\n}}\n\
         fn group_index(group: vec3<u32>) -> u32 {{ return group.y * launch.grid_columns + group.x; }}"
    );
}

/// Places that host and device must agree on, as constants; without those whose names the kernel gives to its own.
fn layout(contract: &Contract) -> String {
    let control = [
        ("RUN", control::RUN),
        ("SEED_LOW", control::SEED_LOW),
        ("SEED_HIGH", control::SEED_HIGH),
        ("STEP", control::STEP),
        ("ACTIVE", control::ACTIVE),
        ("ENDED", control::ENDED),
        ("MAX_STEPS", control::MAX_STEPS),
        ("STOP_AFTER_GROKKING", control::STOP_AFTER_GROKKING),
        ("MEMORISED", control::MEMORISED),
        ("GROKKED", control::GROKKED),
        ("ROWS", control::ROWS),
        ("EVALUATIONS", control::EVALUATIONS),
        ("WARMUP", control::WARMUP),
        ("EVERY", control::EVERY),
        ("DUE", control::DUE),
        ("MODE", control::MODE),
        ("DENSE", control::DENSE),
        ("WIDTH", control::WIDTH),
        ("NEXT", control::NEXT),
        ("MULTIPLES", control::MULTIPLES as usize),
        ("LOG", control::LOG as usize),
        ("AROUND_MEMORISED", control::AROUND_MEMORISED as usize),
        ("LOG_END", control::LOG_END as usize),
        ("RATES", control::RATES),
        ("LR", control::LR),
        ("CORRECTION1", control::CORRECTION1),
        ("CORRECTION2", control::CORRECTION2),
        ("BETA1", control::BETA1),
        ("BETA2", control::BETA2),
        ("EPS", control::EPS),
        ("CLIP", control::CLIP),
        ("FILTER_ALPHA", control::FILTER_ALPHA),
        ("FILTER_LAMBDA", control::FILTER_LAMBDA),
        ("L1", control::L1),
        ("NOISE", control::NOISE),
        ("DROPOUT", control::DROPOUT),
        ("HOLD_FACTOR", control::HOLD_FACTOR),
        ("HYPER", control::HYPER),
        ("POINTS", control::POINTS),
        ("POINTS_FIRST", control::POINTS_FIRST),
        ("POINTS_END", control::POINTS_END),
        ("POINTS_LINEAR", control::POINTS_LINEAR),
        ("POINTS_COUNT", control::POINTS_COUNT),
        ("POINTS_HEAD", control::POINTS_HEAD),
        ("DECAY", control::DECAY),
        ("BATCH_LOSS", control::BATCH_LOSS),
        ("MEAN_SQUARE", control::MEAN_SQUARE),
        ("LN_BETA1", control::LN_BETA1),
        ("LN_BETA2", control::LN_BETA2),
        ("HISTORY", control::HISTORY),
        ("MEDIAN_STEPS", control::MEDIAN_STEPS as usize),
        ("ENDED_STEPS", control::ENDED_STEPS as usize),
        ("ENDED_GROKKED", control::ENDED_GROKKED as usize),
        ("ENDED_DIVERGED", control::ENDED_DIVERGED as usize),
    ];
    let columns = [
        ("TRAIN_ACCURACY", columns::TRAIN_ACCURACY),
        ("TEST_ACCURACY", columns::TEST_ACCURACY),
        ("BATCH_LOSS", columns::BATCH_LOSS),
        ("WEIGHT_NORM", columns::WEIGHT_NORM),
        ("GRADIENT_NORM", columns::GRADIENT_NORM),
        ("UPDATE_NORM", columns::UPDATE_NORM),
        ("TEMPORAL_COSINE", columns::TEMPORAL_COSINE),
        ("MOMENTUM_COSINE", columns::MOMENTUM_COSINE),
        ("N_BATCH", columns::N_BATCH),
        ("ZERO_GRADIENTS", columns::ZERO_GRADIENTS),
        ("NORM_MEAN", columns::NORM_MEAN),
        ("NORM_MIN", columns::NORM_MIN),
        ("NORM_MAX", columns::NORM_MAX),
        ("NORM_LOG_SD", columns::NORM_LOG_SD),
        ("COHERENCE", columns::COHERENCE),
        ("COHERENCE_UNBIASED", columns::COHERENCE_UNBIASED),
        ("NOISE_TRACE", columns::NOISE_TRACE),
        ("NOISE_G2", columns::NOISE_G2),
        ("N", columns::N),
        ("PARAMETERS", columns::PARAMETERS),
        ("MEAN_COSINE", columns::MEAN_COSINE),
        ("MIN_COSINE", columns::MIN_COSINE),
        ("NEGATIVE_FRACTION", columns::NEGATIVE_FRACTION),
        ("CENTRING_CONDITION", columns::CENTRING_CONDITION),
        ("RAW", columns::RAW),
        ("COSINE", columns::COSINE),
        ("CENTRED", columns::CENTRED),
        ("PROPERTIES", columns::PROPERTIES),
    ];
    let others = [
        ("PER_FORM", places::PER_FORM),
        ("TRACE", places::TRACE),
        ("FROBENIUS2", places::FROBENIUS2),
        ("DIAGONAL2", places::DIAGONAL2),
        ("SAMPLES", places::SAMPLES),
        ("RAW", places::RAW),
        ("COSINE", places::COSINE),
        ("CENTRED", places::CENTRED),
        ("COSINE_SUM", places::COSINE_SUM),
        ("PAIRS", places::PAIRS),
        ("COSINE_MIN", places::COSINE_MIN),
        ("NEGATIVE", places::NEGATIVE),
        ("CONDITION", places::CONDITION),
        ("HEAD", places::HEAD),
        ("TILE", places::TILE),
        ("TILE_FROBENIUS2", places::TILE_FROBENIUS2),
        ("TILE_COSINE", places::TILE_COSINE),
        ("TILE_COSINE2", places::TILE_COSINE2),
        ("TILE_MIN", places::TILE_MIN),
        ("TILE_NEGATIVE", places::TILE_NEGATIVE),
        ("TILE_ROWS", places::TILE_ROWS),
        ("FORM", columns::FORM),
        ("PER_PROPERTY", columns::PER_PROPERTY),
        ("PROPERTY_PARTS", columns::PARTS.len()),
        ("UPDATE_PARTS", places::UPDATE_PARTS),
        ("LEDGER_WIDTH", places::LEDGER_WIDTH),
        ("SEGMENTS", Segment::ALL.len()),
        ("BLOCK", BLOCK),
        ("GRAM_TILE", GRAM_TILE),
        ("FORM_CONDITION", places::FORM_CONDITION),
        ("STREAM_BATCHES", places::STREAM_BATCHES),
        ("STREAM_WIDTH", places::STREAM_WIDTH),
        ("SKETCH_SIDE", SKETCH_SIDE),
        ("SITE_WORDS", Site::WORDS),
        ("FEISTEL_MIN_BITS", FEISTEL_MIN_BITS as usize),
        ("FEISTEL_ROUNDS", FEISTEL_ROUNDS as usize),
        ("PURPOSE_BATCH_ORDER", Purpose::BatchOrder as usize),
        ("PURPOSE_GRADIENT_NOISE", Purpose::GradientNoise as usize),
        ("PURPOSE_DROPOUT", Purpose::Dropout as usize),
        ("PURPOSE_SKETCH", Purpose::Sketch as usize),
    ];
    let mut text = String::new();
    let mut constant = |prefix: &str, name: &str, value: usize| {
        let _ = writeln!(text, "const {prefix}{name}: u32 = {value}u;");
    };
    control
        .iter()
        .for_each(|(name, value)| constant("CONTROL_", name, *value));
    columns
        .iter()
        .for_each(|(name, value)| constant("COLUMN_", name, *value));
    for segment in Segment::ALL {
        constant("SEGMENT_", &segment.name().to_uppercase(), segment.index());
    }
    others
        .iter()
        .filter(|(name, _)| contract.constants.iter().all(|own| own.name != *name))
        .for_each(|(name, value)| constant("", name, *value));
    text
}
