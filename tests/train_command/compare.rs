//! `gmatrix compare`.

use super::{TINY, command, expect, text, train};

#[test]
fn two_steps_of_a_run_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    expect(&train(path, "run", &[&TINY], &[]).output().unwrap(), 0);
    let compare = |arguments: &[&str]| command(path, &[&["compare"], arguments].concat()).output().unwrap();
    let output = compare(&["run", "run", "--step", "20", "--step-b", "60", "--json", "-"]);
    expect(&output, 0);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("no {key} in {json}"));
    assert!(number("weights.all.distance") > 0.0);
    assert!((0.0..=1.0).contains(&number("cka.blocks.0.mlp.W_out")));
    assert!(json["angles"]["embedding"].as_array().unwrap().len() > 1);
    assert!(json["keys"]["a"].is_array());

    // Without a step, the newest weights; of a file, those it holds.
    let file = "run/checkpoints/step-00000060.safetensors";
    let output = compare(&["run", file]);
    expect(&output, 0);
    let table = text(&output.stdout);
    for line in ["function.agreement", "weights.all.cosine", "cka.logits"] {
        let found = table.lines().find(|row| row.starts_with(line)).unwrap();
        assert!(found.ends_with(" 1.000000"), "{found}");
    }

    for (arguments, code, expected) in [
        (
            &["run", "run", "--step", "25"][..],
            1,
            "error: run: kept no weights of step 25; the nearest are of 20 and 40\n",
        ),
        (
            &[file, file],
            2,
            "error: run/checkpoints/step-00000060.safetensors: weights alone do not say on what to compare, expected \
             --data or a run directory\n",
        ),
        (
            &["run", file, "--step-b", "20"],
            2,
            "error: run/checkpoints/step-00000060.safetensors: a step was asked for, expected a run directory\n",
        ),
    ] {
        let output = compare(arguments);
        expect(&output, code);
        assert_eq!(text(&output.stderr), expected);
    }
}
