//! What each arm that needs no donor changes, and that it changes nothing else.

use std::path::Path;
use std::sync::Arc;

use gmatrix::backend::{Executor, Precision, cpu_executor};
use gmatrix::comparison::activations;
use gmatrix::config::{Config, TaskOp};
use gmatrix::model::initial_weights;
use gmatrix::plan::Plan;
use gmatrix::record::read_metrics;
use gmatrix::structure::neurons::key_frequencies;
use gmatrix::structure::{Table, weights as of_weights};
use gmatrix::task::{Cyclic, Task};

use super::{TINY, differences, grokked, norm, numbers, places, resume, state, succeed, train, weights};

fn make(plan: Arc<Plan>) -> gmatrix::Result<Box<dyn Executor>> {
    cpu_executor(plan, Precision::F64)
}

/// A branch `out` of `run` by these arguments; names of what differs from the parent at the step.
#[track_caller]
fn branched(path: &Path, arm: &str, run: &str, step: u64, out: &str, more: &[&str]) -> Vec<String> {
    let text = step.to_string();
    let arguments = ["intervene", arm, run, "--step", &text, "--out", out];
    succeed(path, &[&arguments, more].concat());
    let found = differences(&state(&path.join(run), step), &state(&path.join(out), step));
    found.into_iter().collect()
}

#[test]
fn updates_by_decay_alone_shrink_every_weight() {
    for kind in ["adamw", "sgd"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let settings = [
            &format!("optimizer.kind={kind}"),
            "optimizer.lr=1e-2",
            "optimizer.weight_decay=0.5",
        ];
        train(path, "parent", &[&TINY, &settings]);
        let found = branched(path, "decay-only", "parent", 20, "branch", &[]);
        let expected: &[&str] = if kind == "adamw" { &["moments"] } else { &[] };
        assert_eq!(found, expected);
        resume(path, "branch");
        let (before, after) = (weights(&path.join("parent"), 20).2, weights(&path.join("branch"), 60).2);
        let factor = (1.0 - 1e-2 * 0.5f64).powi(40);
        for (k, (w, v)) in before.iter().zip(&after).enumerate() {
            assert!(
                (w * factor - v).abs() <= 5e-6 * w.abs(),
                "{kind} weight {k}: {v}, expected {}",
                w * factor
            );
        }
    }
}

#[test]
fn a_frozen_norm_is_the_present_one() {
    for (of, held) in [("global", 1), ("tensor", 0)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        // The parent holds twice the initial norm in one of both cases: the branch holds what is there all the same.
        let already = ["optimizer.hold_norm=global", "optimizer.hold_factor=2.0"];
        train(path, "parent", &[&TINY, &already[..2 * held]]);
        let found = branched(path, "freeze-norm", "parent", 20, "branch", &["--of", of]);
        assert_eq!(found, ["held_square"]);
        resume(path, "branch");
        let (_, layout, before) = weights(&path.join("parent"), 20);
        let after = weights(&path.join("branch"), 60).2;
        assert!(before != after);
        let (a, b) = (norm(before.clone()), norm(after.clone()));
        assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
        if of == "tensor" {
            for tensor in layout.tensors.iter().filter(|tensor| !tensor.name.contains("b_")) {
                let of = |w: &[f64]| norm(w[places(&layout, &tensor.name)].to_vec());
                assert!((of(&before) / of(&after) - 1.0).abs() < 1e-5, "{}", tensor.name);
            }
        }
        let norms = read_metrics(&path.join("branch")).unwrap();
        assert!(norms.measured("weight_norm").all(|(_, x)| (x / a - 1.0).abs() < 1e-5));
    }
}

#[test]
fn noise_is_relative_seeded_and_only_where_it_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "parent", &[&TINY]);
    let noisy = |out: &str, seed: &str| {
        let more = ["--scale", "0.1", "--groups", "embed,mlp", "--seed", seed];
        assert_eq!(branched(path, "noise", "parent", 40, out, &more), ["parameters"]);
        weights(&path.join(out), 40).2
    };
    let (_, layout, before) = weights(&path.join("parent"), 40);
    let (first, again, other) = (noisy("a", "3"), noisy("b", "3"), noisy("c", "4"));
    assert_eq!(first, again);
    assert!(first != other);
    for tensor in &layout.tensors {
        let range = places(&layout, &tensor.name);
        let moved = norm(range.clone().map(|k| first[k] - before[k]));
        let share = moved / norm(before[range].to_vec());
        if ["embed", "mlp"].contains(&tensor.group.name()) {
            assert!((0.07..0.13).contains(&share), "{}: {share}", tensor.name);
        } else {
            assert_eq!(moved, 0.0, "{}", tensor.name);
        }
    }
    resume(path, "a");
}

#[test]
fn moments_are_reset_and_shuffled_where_it_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "parent", &[&TINY]);
    let (_, layout, _) = weights(&path.join("parent"), 40);
    let chosen = places(&layout, "blocks.0.mlp.W_in");
    for arm in ["reset-moments", "shuffle-moments"] {
        let found = branched(path, arm, "parent", 40, arm, &["--tensors", "blocks.0.mlp.W_in"]);
        assert_eq!(found, ["moments"]);
        let moments = |run: &str| numbers(state(&path.join(run), 40).get("moments").unwrap());
        let (before, after) = (moments("parent"), moments(arm));
        let len = layout.len;
        let part = |all: &[f64], row: usize| all[row * len..][chosen.clone()].to_vec();
        for row in 0..3 {
            for k in (0..len).filter(|k| !chosen.contains(k)) {
                assert_eq!(before[row * len + k], after[row * len + k]);
            }
        }
        assert_eq!(part(&before, 2), part(&after, 2), "the previous gradient");
        if arm == "reset-moments" {
            assert!((0..2).all(|row| part(&after, row).iter().all(|x| *x == 0.0)));
            continue;
        }
        // Pairs of m and v stay together.
        let pairs = |all: &[f64]| {
            let mut pairs: Vec<(u64, u64)> = part(all, 0)
                .iter()
                .zip(part(all, 1))
                .map(|(m, v)| (m.to_bits(), v.to_bits()))
                .collect();
            let as_they_stand = pairs.clone();
            pairs.sort_unstable();
            (pairs, as_they_stand)
        };
        assert_eq!(pairs(&before).0, pairs(&after).0);
        assert!(pairs(&before).1 != pairs(&after).1);
    }
}

#[test]
fn weights_are_scaled_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "parent", &[&TINY, &["train.steps=80"]]);
    let of = |run: &str, step| weights(&path.join(run), step).2;
    assert_eq!(
        branched(path, "scale", "parent", 40, "half", &["--factor", "0.5"]),
        ["parameters"]
    );
    let (before, after) = (of("parent", 40), of("half", 40));
    assert!(before.iter().zip(&after).all(|(w, v)| 0.5 * w == *v));

    branched(
        path,
        "scale",
        "parent",
        60,
        "as",
        &["--norms-of", "parent", "--donor-step", "20"],
    );
    let layout = weights(&path.join("parent"), 20).1;
    for tensor in layout.tensors.iter().filter(|tensor| !tensor.name.contains("W_KV")) {
        let norm_in = |w: &[f64]| norm(w[places(&layout, &tensor.name)].to_vec());
        let (found, expected) = (norm_in(&of("as", 60)), norm_in(&of("parent", 20)));
        assert!(
            (found / expected - 1.0).abs() < 1e-6,
            "{}: {found}, expected {expected}",
            tensor.name
        );
    }

    assert_eq!(
        branched(path, "rewind", "parent", 60, "back", &["--to", "20"]),
        ["parameters"]
    );
    assert_eq!(of("back", 60), of("parent", 20));
    let found = branched(
        path,
        "rewind",
        "parent",
        60,
        "start",
        &["--to", "0", "--moments", "zero"],
    );
    assert_eq!(found, ["moments", "parameters"]);
    let config = Config::from_file(&path.join("parent/config.toml")).unwrap();
    let (shape, ..) = weights(&path.join("parent"), 20);
    let first: Vec<f64> = initial_weights(&shape, &config.model, config.task.seed)
        .into_iter()
        .map(|w| f64::from(w as f32))
        .collect();
    assert_eq!(of("start", 60), first);
}

#[test]
fn neurons_and_heads_and_tensors_are_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "parent", &[&TINY]);
    let (_, layout, before) = weights(&path.join("parent"), 40);
    let at = |name: &str, row: usize, column: usize| {
        let tensor = layout.tensor(name);
        tensor.offset + row * tensor.cols + column
    };
    let of_neuron = |i: usize| -> Vec<usize> {
        let below = (0..8).map(|row| at("blocks.0.mlp.W_in", row, i));
        let above = (0..8).map(|column| at("blocks.0.mlp.W_out", i, column));
        below.chain(above).chain([at("blocks.0.mlp.b_in", 0, i)]).collect()
    };
    let of_head: Vec<usize> = (4..8)
        .flat_map(|row| (0..8).map(move |column| (row, column)))
        .map(|(row, column)| at("blocks.0.attn.W_O", row, column))
        .collect();
    for (flag, value, zero) in [
        ("--neurons", "0:3,0:7", [of_neuron(3), of_neuron(7)].concat()),
        ("--heads", "0:1", of_head),
        ("--tensors", "unembed.W_U", places(&layout, "unembed.W_U").collect()),
    ] {
        assert_eq!(
            branched(path, "ablate", "parent", 40, &flag[2..], &[flag, value]),
            ["parameters"]
        );
        let after = weights(&path.join(&flag[2..]), 40).2;
        for (k, (w, found)) in before.iter().zip(&after).enumerate() {
            let expected = if zero.contains(&k) { 0.0 } else { *w };
            assert_eq!(*found, expected, "{flag} {k}");
        }
    }

    // By their mean, neurons leave the mean logits over the training split as they were.
    branched(
        path,
        "ablate",
        "parent",
        40,
        "mean",
        &["--neurons", "0:1,0:4,0:5", "--by", "mean"],
    );
    let config = Config::from_file(&path.join("parent/config.toml")).unwrap();
    let task = Task::new(&config.task, &config.model).unwrap();
    let mean = |run: &str| {
        let (shape, _, weights) = weights(&path.join(run), 40);
        let logits = activations(&make, &shape, &weights, &task.train).unwrap().logits;
        (0..logits.cols)
            .map(|c| logits.values.iter().skip(c).step_by(logits.cols).sum::<f64>() / logits.rows as f64)
            .collect::<Vec<f64>>()
    };
    for (a, b) in mean("parent").iter().zip(mean("mean")) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn frequencies_are_projected_out_and_kept() {
    let path = grokked();
    let group = Cyclic::new(TaskOp::Add, 23).unwrap();
    let spectra = |out: &str| {
        let (shape, _, weights) = weights(&path.join(out), 600);
        let embedding = of_weights::embedding(&shape, &weights, &group).unwrap();
        let unembedding = of_weights::unembedding(&shape, &weights, &group).unwrap();
        [of_weights::spectrum(&embedding), of_weights::spectrum(&unembedding)]
    };
    assert_eq!(
        branched(path, "ablate", "host", 600, "without", &["--frequencies", "2,5"]),
        ["parameters"]
    );
    branched(path, "ablate", "host", 600, "only", &["--keep-frequencies", "2,5"]);
    for (without, only) in spectra("without").iter().zip(spectra("only")) {
        for k in 1..=11 {
            let [gone, left] = if [2, 5].contains(&k) {
                [without[k - 1], 0.0]
            } else {
                [0.0, only[k - 1]]
            };
            assert!(gone < 1e-10 && left < 1e-10, "{k}: {gone} {left}");
        }
    }
    // Both parts and the rest add up: what one takes out, the other keeps.
    let of = |run: &str| weights(&path.join(run), 600).2;
    let (_, layout, whole) = weights(&path.join("host"), 600);
    let (without, only) = (of("without"), of("only"));
    for k in places(&layout, "blocks.0.mlp.W_in") {
        assert_eq!((without[k], only[k]), (whole[k], whole[k]));
    }
    resume(path, "without");
}

#[test]
fn neurons_are_chosen_by_what_they_carry() {
    let path = grokked();
    let config = Config::from_file(&path.join("host/config.toml")).unwrap();
    let task = Task::new(&config.task, &config.model).unwrap();
    let group = Cyclic::new(TaskOp::Add, 23).unwrap();
    let table = Table::new(group, &task.train, &task.test, config.loss.kind).unwrap();
    let (shape, layout, before) = weights(&path.join("host"), 600);
    let neurons = table.responses(&make, &shape, &before).unwrap().neurons;
    let key = key_frequencies(&neurons)[0];
    let gone = |out: &str| -> Vec<usize> {
        let after = weights(&path.join(out), 600).2;
        let above = layout.tensor("blocks.0.mlp.W_out");
        let zero = |k: &usize| {
            after[above.offset + k * above.cols..][..above.cols]
                .iter()
                .all(|w| *w == 0.0)
        };
        (0..neurons.len()).filter(zero).collect()
    };
    let which = |is: &dyn Fn(usize) -> bool| -> Vec<usize> { (0..neurons.len()).filter(|k| is(*k)).collect() };
    let text = key.to_string();
    branched(path, "ablate", "host", 600, "cluster", &["--clusters", &text]);
    let cluster = which(&|k| neurons[k].cluster == Some(key));
    assert_eq!(gone("cluster"), cluster);
    branched(path, "ablate", "host", 600, "impure", &["--purity-below", "0.7"]);
    assert_eq!(gone("impure"), which(&|k| neurons[k].purity < 0.7));

    // The control takes others, about as strong together.
    branched(
        path,
        "ablate",
        "host",
        600,
        "random",
        &["--clusters", &text, "--random", "--seed", "2"],
    );
    let random = gone("random");
    assert!(random.iter().all(|k| !cluster.contains(k)));
    let strength = |which: &[usize]| which.iter().map(|k| neurons[*k].norm).sum::<f64>();
    let largest = neurons.iter().map(|neuron| neuron.norm).fold(0.0, f64::max);
    let excess = strength(&random) - strength(&cluster);
    assert!((0.0..largest).contains(&excess), "{excess}");
}
