//! Arms with a donor.

use gmatrix::config::TaskOp;
use gmatrix::structure::weights as of_weights;
use gmatrix::task::Cyclic;

use super::{differences, grokked, norm, numbers, places, resume, state, succeed, weights, weights_file};

#[track_caller]
fn branched(arm: &str, out: &str, more: &[&str]) -> Vec<String> {
    let path = grokked();
    let arguments = [
        "intervene",
        arm,
        "host",
        "--step",
        "200",
        "--donor",
        "donor",
        "--donor-step",
        "600",
        "--out",
        out,
    ];
    succeed(path, &[&arguments, more].concat());
    let found = differences(&state(&path.join("host"), 200), &state(&path.join(out), 200));
    found.into_iter().collect()
}

#[test]
fn tensors_come_with_or_without_their_moments() {
    let path = grokked();
    for (moments, expected) in [
        ("keep", &["parameters"][..]),
        ("zero", &["moments", "parameters"]),
        ("donor", &["moments", "parameters"]),
    ] {
        let out = format!("transplant-{moments}");
        let more = [
            "--groups",
            "embed",
            "--tensors",
            "blocks.0.attn.W_V",
            "--moments",
            moments,
        ];
        assert_eq!(branched("transplant", &out, &more), expected);
        let (_, layout, host) = weights(&path.join("host"), 200);
        let (donor, found) = (weights(&path.join("donor"), 600).2, weights(&path.join(&out), 200).2);
        let value: Vec<usize> = layout
            .externals
            .iter()
            .filter(|external| ["embed.W_E", "blocks.0.attn.W_V"].contains(&external.name.as_str()))
            .flat_map(|external| external.indices(&layout).collect::<Vec<_>>())
            .collect();
        let moments_of = |run: &str, step| numbers(state(&path.join(run), step).get("moments").unwrap());
        let of = [moments_of("host", 200), moments_of("donor", 600), moments_of(&out, 200)];
        for (k, w) in found.iter().enumerate() {
            let is_new = value.contains(&k);
            assert_eq!(*w, if is_new { donor[k] } else { host[k] });
            for row in 0..3 {
                let [of_host, of_donor, of_found] = of.each_ref().map(|all| all[row * layout.len + k]);
                let expected = match moments {
                    "zero" if is_new && row < 2 => 0.0,
                    "donor" if is_new && row < 2 => of_donor,
                    _ => of_host,
                };
                assert_eq!(of_found, expected, "{moments} {row} {k}");
            }
        }
    }
    // All of the donor in the host is the donor.
    branched(
        "transplant",
        "whole",
        &["--groups", "embed,position,attention,mlp,unembed,bias"],
    );
    let said = succeed(path, &["compare", "whole", "donor", "--step", "200", "--step-b", "600"]);
    let agreement = said
        .lines()
        .find(|line| line.starts_with("weights.all.distance"))
        .unwrap();
    assert!(agreement.ends_with(" 0.000000"), "{agreement}");
}

#[test]
fn injected_neurons_take_the_place_of_the_weakest() {
    let path = grokked();
    let (_, layout, host) = weights(&path.join("host"), 200);
    let donor = weights(&path.join("donor"), 600).2;
    let (below, above) = (
        layout.tensor("blocks.0.mlp.W_in").clone(),
        layout.tensor("blocks.0.mlp.W_out").clone(),
    );
    let column =
        |w: &[f64], k: usize| -> Vec<f64> { (0..below.rows).map(|r| w[below.offset + r * below.cols + k]).collect() };
    let row = |w: &[f64], k: usize| w[above.offset + k * above.cols..][..above.cols].to_vec();
    let strength = |w: &[f64], k: usize| norm(column(w, k)) * norm(row(w, k));
    let injected = |out: &str, more: &[&str]| {
        assert_eq!(
            branched("inject", out, &[&["--neurons", "9"], more].concat()),
            ["parameters"]
        );
        let found = weights(&path.join(out), 200).2;
        let changed: Vec<usize> = (0..64).filter(|k| column(&found, *k) != column(&host, *k)).collect();
        for k in (0..layout.len).filter(|k| host[*k] != found[*k]) {
            let inside = ["blocks.0.mlp.W_in", "blocks.0.mlp.b_in", "blocks.0.mlp.W_out"];
            assert!(
                inside.iter().any(|name| places(&layout, name).contains(&k)),
                "{out}: {k}"
            );
        }
        (found, changed)
    };
    let (whole, changed) = injected("inject-donor", &[]);
    assert_eq!(changed.len(), 9);
    let weakest_kept = (0..64)
        .filter(|k| !changed.contains(k))
        .map(|k| strength(&host, k))
        .fold(f64::MAX, f64::min);
    assert!(changed.iter().all(|k| strength(&host, *k) <= weakest_kept));
    let from: Vec<usize> = changed
        .iter()
        .map(|k| (0..64).find(|j| column(&donor, *j) == column(&whole, *k)).unwrap())
        .collect();
    for (k, j) in changed.iter().zip(&from) {
        assert_eq!(row(&whole, *k), row(&donor, *j));
    }

    let (shuffled, same) = injected("inject-shuffled", &["--control", "shuffled", "--seed", "5"]);
    assert_eq!(same, changed);
    let mut moved = 0;
    for (k, j) in changed.iter().zip(&from) {
        assert_eq!(column(&shuffled, *k), column(&donor, *j));
        let writer = from.iter().find(|j| row(&donor, **j) == row(&shuffled, *k));
        moved += usize::from(writer.expect("a row of an injected neuron") != j);
    }
    assert!(moved >= 2, "{moved}");

    let (random, same) = injected("inject-random", &["--control", "random"]);
    assert_eq!(same, changed);
    for (k, j) in changed.iter().zip(&from) {
        assert!((strength(&random, *k) / strength(&donor, *j) - 1.0).abs() < 1e-5);
        assert!(column(&random, *k) != column(&donor, *j));
    }
    let (empty, same) = injected("inject-empty", &["--control", "empty"]);
    assert_eq!(same, changed);
    assert!(changed.iter().all(|k| strength(&empty, *k) == 0.0));
}

#[test]
fn components_of_embeddings_are_those_of_the_donor() {
    let path = grokked();
    let found = branched(
        "inject",
        "components",
        &["--parts", "embedding,unembedding", "--frequencies", "3,4"],
    );
    assert_eq!(found, ["parameters"]);
    let group = Cyclic::new(TaskOp::Add, 23).unwrap();
    // The power at these frequencies, and at the others, of the embedding.
    let powers = |run: &str, step: u64| {
        let (shape, layout, weights) = weights(&path.join(run), step);
        let spectrum = of_weights::spectrum(&of_weights::embedding(&shape, &weights, &group).unwrap());
        let tensor = layout.tensor("embed.W_E");
        let rows = &weights[tensor.offset..tensor.offset + 23 * tensor.cols];
        let mean: Vec<f64> = (0..tensor.cols)
            .map(|c| rows.iter().skip(c).step_by(tensor.cols).sum::<f64>() / 23.0)
            .collect();
        let total = rows
            .iter()
            .enumerate()
            .map(|(k, w)| (w - mean[k % tensor.cols]).powi(2))
            .sum::<f64>();
        spectrum.iter().map(|share| share * total).collect::<Vec<f64>>()
    };
    let (host, donor, found) = (powers("host", 200), powers("donor", 600), powers("components", 200));
    for k in 1..=11 {
        let expected = if [3, 4].contains(&k) { donor[k - 1] } else { host[k - 1] };
        assert!(
            (found[k - 1] - expected).abs() < 1e-5 * (1.0 + expected),
            "{k}: {}, expected {expected}",
            found[k - 1]
        );
    }
    branched(
        "inject",
        "circuit",
        &[
            "--parts",
            "neurons,embedding,attention,unembedding",
            "--moments",
            "zero",
        ],
    );
    assert!(weights_file(&path.join("circuit"), 200).is_file());
    resume(path, "circuit");
}
