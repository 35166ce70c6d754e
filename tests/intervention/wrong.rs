//! What cannot be: one line, and nothing left behind.

use super::{TINY, gmatrix, train};

#[test]
fn wrong_use_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "run", &[&TINY]);
    train(path, "wide", &[&TINY, &["model.d_mlp=16"]]);
    for (arguments, code, expected) in [
        (
            &["set", "run", "--step", "30"][..],
            1,
            "run: has no checkpoint with its state at step 30, expected one of 20, 40, 60",
        ),
        (
            &["set", "none"],
            1,
            "none: is not a run directory: it holds no config.toml",
        ),
        (
            &["set", "run"],
            2,
            "train.steps = 60 leaves no step behind 60, where the branch begins; expected more, as --set train.steps=1060",
        ),
        (
            &["set", "run", "--step", "20", "--set", "model.d_mlp=24"],
            2,
            "the settings ask for another network than the checkpoint holds; a branch keeps its parent's",
        ),
        (
            &["set", "run", "--step", "20", "--set", "optimizer.lrr=1"],
            2,
            "--set optimizer.lrr=1: unknown key optimizer.lrr; did you mean optimizer.lr?",
        ),
        (
            &[
                "transplant",
                "run",
                "--step",
                "20",
                "--donor",
                "wide",
                "--groups",
                "mlp",
            ],
            1,
            "wide/checkpoints/step-00000060.safetensors: is of another network than the parent, expected the same shape",
        ),
        (
            &["transplant", "run", "--step", "20", "--donor", "run"],
            2,
            "transplant: nothing is chosen, expected --tensors or --groups",
        ),
        (
            &["noise", "run", "--step", "20", "--scale", "0.1", "--groups", "norm"],
            2,
            "--groups norm: the network has no such group, expected some of embed, position, attention, mlp, unembed, bias",
        ),
        (
            &["ablate", "run", "--step", "20", "--neurons", "0:12"],
            2,
            "neuron 0:12: expected layers below 1 and neurons below their widths [12]",
        ),
        (
            &["ablate", "run", "--step", "20", "--neurons", "3"],
            2,
            "--neurons \"3\": expected layer:index, as 0:12",
        ),
        (
            &["ablate", "run", "--step", "20", "--heads", "0:2"],
            2,
            "--heads 0:2: expected blocks below 1 and heads below 2",
        ),
        (
            &["ablate", "run", "--step", "20", "--frequencies", "4"],
            2,
            "frequency 4: expected 1 to 3, half the order of the group",
        ),
        (
            &["ablate", "run", "--step", "20", "--heads", "0:1", "--by", "mean"],
            2,
            "--by mean and --random are about neurons, expected --neurons, --clusters or --purity-below",
        ),
        (
            &["ablate", "run", "--step", "20", "--purity-below", "0"],
            2,
            "no neuron is like that, expected at least one to take out",
        ),
        (
            &["rewind", "run", "--step", "20", "--to", "40"],
            2,
            "--to 40: is later than the checkpoint of step 20, expected an earlier one",
        ),
        (
            &["rewind", "run", "--step", "40", "--to", "30"],
            1,
            "run: kept no weights of step 30; the nearest are of 20 and 40",
        ),
    ] {
        let output = gmatrix(path, &[&["intervene"], arguments, &["--out", "out"]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said),
            (Some(code), format!("error: {expected}\n")),
            "{arguments:?}"
        );
        assert!(!path.join("out").exists(), "{arguments:?} left something behind");
    }
    let output = gmatrix(path, &["intervene", "set", "run", "--step", "20", "--out", "run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("is not empty"),
        "{said}"
    );
    for arguments in [
        &["ablate", "run", "--out", "out"][..],
        &["scale", "run", "--out", "out"],
        &["set", "run"],
    ] {
        let output = gmatrix(path, &[&["intervene"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
