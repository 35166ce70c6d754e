//! Files of sweeps: the runs that they give, and what is said of mistakes.

use std::fs;

use gmatrix::backend::Precision;
use gmatrix::sweep::{SweepSpec, sobol};

fn read(text: &str) -> Result<SweepSpec, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    fs::write(&path, text).unwrap();
    SweepSpec::read(&path).map_err(|e| e.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

/// The values of all axes, run by run.
fn points(spec: &SweepSpec) -> Vec<Vec<String>> {
    let values = spec.runs.iter().map(|run| spec.axes.iter().map(|axis| run.value(axis)));
    values.map(Iterator::collect).collect()
}

#[test]
fn axes_are_crossed_and_the_seeds_vary_fastest() {
    let spec = read(
        r#"
        [sweep]
        preset = "prenorm"
        seeds = 2
        [task]
        p = 37
        [axes]
        optimizer.beta1 = [0.0, 0.9]
        "loss.kind" = ["cross_entropy", "cross_entropy_naive"]
        "#,
    )
    .unwrap();
    assert_eq!(spec.axes, ["optimizer.beta1", "loss.kind", "task.seed"]);
    let expected: Vec<Vec<String>> = ["0.0", "0.9"]
        .iter()
        .flat_map(|beta1| ["cross_entropy", "cross_entropy_naive"].map(|loss| (beta1, loss)))
        .flat_map(|(beta1, loss)| {
            ["0", "1"].map(|seed| vec![(*beta1).to_owned(), format!("{loss:?}"), seed.to_owned()])
        })
        .collect();
    assert_eq!(points(&spec), expected);
    for (k, run) in spec.runs.iter().enumerate() {
        assert_eq!(run.number as usize, k);
        // The base is the preset and the sections of the file.
        assert_eq!((run.config.task.p, run.config.model.layers), (37, 2));
        assert_eq!(run.precision, Precision::F32);
    }
}

#[test]
fn ranges_are_even_and_have_their_ends() {
    let spec = read(
        r#"
        [axes]
        optimizer.weight_decay = { log = [0.1, 10.0], n = 5 }
        optimizer.beta1 = { range = [0.1, 0.4], n = 4 }
        model.d_mlp = { log = [16, 128], n = 4 }
        "#,
    )
    .unwrap();
    let mut columns = vec![Vec::new(); 3];
    for run in &spec.runs {
        columns[0].push(run.config.optimizer.weight_decay.at(0));
        columns[1].push(run.config.optimizer.beta1.at(0));
        columns[2].push(run.config.model.d_mlp as f64);
    }
    for (column, expected) in columns.iter_mut().zip([
        &[0.1, 0.316227766017, 1.0, 3.16227766017, 10.0][..],
        &[0.1, 0.2, 0.3, 0.4],
        &[16.0, 32.0, 64.0, 128.0],
    ]) {
        column.sort_by(f64::total_cmp);
        column.dedup();
        assert_eq!(column, expected);
    }
}

#[test]
fn zipped_keys_go_together() {
    let spec = read(
        r#"
        [sweep]
        precision = ["f32", "f64"]
        seeds = [7, 3]
        [[zip]]
        model.d_model = [16, 32]
        model.d_mlp = [64, 128]
        "#,
    )
    .unwrap();
    let found = points(&spec);
    assert_eq!(found.len(), 8);
    assert_eq!(found[0], ["16", "64", "\"f32\"", "7"]);
    assert_eq!(found[3], ["16", "64", "\"f64\"", "3"]);
    assert_eq!(found[4], ["32", "128", "\"f32\"", "7"]);
    assert_eq!(spec.runs[2].precision, Precision::F64);
}

#[test]
fn skipped_points_have_no_numbers() {
    let spec = read(
        r#"
        [axes]
        optimizer.weight_decay = [0, 0.5, 1, 2]
        loss.kind = ["cross_entropy", "mse"]
        [[skip]]
        loss.kind = "mse"
        optimizer.weight_decay = { least = 0.5, most = 1 }
        [[skip]]
        optimizer.weight_decay = [2.0, 3]
        "#,
    )
    .unwrap();
    assert_eq!(spec.skipped, 4);
    let found: Vec<(f64, String)> = spec
        .runs
        .iter()
        .map(|run| (run.config.optimizer.weight_decay.at(0), run.value("loss.kind")))
        .collect();
    let [plain, mse] = ["\"cross_entropy\"", "\"mse\""].map(str::to_owned);
    assert_eq!(
        found,
        [(0.0, plain.clone()), (0.0, mse), (0.5, plain.clone()), (1.0, plain)]
    );
    assert_eq!(spec.runs.iter().map(|run| run.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// Points of SciPy's `qmc.Sobol(16, scramble=False, bits=32)`, as fractions of 2^32.
#[test]
fn sobol_points_are_scipys() {
    let points: [(u32, [u32; 16]); 3] = [
        (
            5,
            [
                3758096384, 3758096384, 536870912, 1610612736, 3758096384, 2684354560, 3758096384, 1610612736,
                1610612736, 536870912, 1610612736, 3758096384, 3758096384, 536870912, 3758096384, 1610612736,
            ],
        ),
        (
            37,
            [
                3959422976, 2751463424, 2483027968, 3959422976, 3288334336, 1275068416, 738197504, 3422552064,
                2617245696, 738197504, 67108864, 335544320, 2483027968, 3690987520, 469762048, 2080374784,
            ],
        ),
        (
            1999,
            [
                337641472, 2627731456, 576716800, 2111832064, 3445620736, 3160408064, 1512046592, 2082471936,
                1847590912, 1444937728, 60817408, 2124414976, 1235222528, 2833252352, 3642753024, 3114270720,
            ],
        ),
    ];
    for (index, expected) in points {
        let found: Vec<u32> = (0..16).map(|dimension| sobol::coordinate(index, dimension)).collect();
        assert_eq!(found, expected, "point {index}");
    }
}

#[test]
fn samples_lie_in_their_ranges_and_come_again() {
    let text = |method: &str, seed: u32| {
        format!(
            r#"
            [sample]
            method = "{method}"
            n = 64
            seed = {seed}
            [sample.keys]
            optimizer.lr = {{ log = [1e-4, 1e-2] }}
            optimizer.weight_decay = {{ range = [0.0, 3.0] }}
            model.layers = {{ range = [1, 4] }}
            loss.kind = ["cross_entropy", "mse"]
            "#
        )
    };
    for method in ["random", "sobol"] {
        let spec = read(&text(method, 0)).unwrap();
        assert_eq!(spec.runs, read(&text(method, 0)).unwrap().runs);
        assert_ne!(spec.runs, read(&text(method, 1)).unwrap().runs);
        let mut layers = [0; 4];
        let mut low_rates = 0;
        let mut decays: Vec<f64> = Vec::new();
        for run in &spec.runs {
            let lr = run.config.optimizer.lr.at(0);
            assert!((1e-4..=1e-2).contains(&lr), "{lr}");
            low_rates += usize::from(lr < 1e-3);
            decays.push(run.config.optimizer.weight_decay.at(0));
            layers[run.config.model.layers - 1] += 1;
        }
        assert!(decays.iter().all(|x| (0.0..=3.0).contains(x)));
        if method == "sobol" {
            // 64 points of a shifted net: each of 64 intervals holds one, each quarter and each half has its share.
            let mut strata: Vec<usize> = decays.iter().map(|x| (x / 3.0 * 64.0) as usize).collect();
            strata.sort_unstable();
            assert_eq!(strata, (0..64).collect::<Vec<_>>());
            assert_eq!((layers, low_rates), ([16; 4], 32));
        } else {
            assert!(layers.iter().all(|count| *count > 4), "{layers:?}");
        }
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, expected) in [
        (
            "[axes]\noptimizer.beta9 = [0.5]\n",
            "s.toml:2:11: unknown key optimizer.beta9; did you mean optimizer.beta1?",
        ),
        (
            "[axes]\noptimizer.beta1 = [0.5, 1.5]\n",
            "s.toml:2:25: optimizer.beta1 = 1.5, expected a number of at least 0 and below 1, or such numbers on a schedule of steps, values and kind",
        ),
        (
            "[axes]\ntask.p = [31, \"x\"]\n",
            "s.toml:2:15: task.p = \"x\", expected a whole number from 2 to 4096",
        ),
        (
            "[axes]\noptimizer.lr = 3\n",
            "s.toml:2:16: optimizer.lr: expected a list of values, { range = [first, last], n = count } or { log = [first, last], n = count }",
        ),
        (
            "[axes]\noptimizer.lr = []\n",
            "s.toml:2:16: optimizer.lr has no values, expected at least one",
        ),
        (
            "[axes]\noptimizer.lr = { log = [0, 1], n = 3 }\n",
            "s.toml:2:24: optimizer.lr: log = [0, 1], expected numbers above 0",
        ),
        (
            "[axes]\noptimizer.lr = { range = [1, 0], n = 3 }\n",
            "s.toml:2:26: optimizer.lr: [1, 0] does not rise, expected first < last",
        ),
        (
            "[axes]\noptimizer.lr = { range = [0, 1] }\n",
            "s.toml:2:26: optimizer.lr: a range needs n, the number of its values",
        ),
        (
            "[[zip]]\nmodel.d_model = [16, 32]\nmodel.d_mlp = [64]\n",
            "s.toml:3:15: model.d_mlp has 1 values, expected 2, as model.d_model beside it",
        ),
        (
            "[sweep]\nseeds = 3\n[axes]\ntask.seed = [1]\n",
            "s.toml: task.seed varies in two places, expected one",
        ),
        (
            "[sweep]\nseeds = 0\n",
            "s.toml:2:9: sweep.seeds = 0, expected a number of seeds from 1 to 100000, or a list of seeds",
        ),
        (
            "[sweep]\nprecision = \"f16\"\n",
            "s.toml:2:13: sweep.precision = \"f16\", expected \"f32\" or \"f64\"",
        ),
        (
            "[sweep]\npreset = \"nada\"\n",
            "s.toml:2:10: preset \"nada\" is not known; did you mean nanda?; the presets are quick, nanda, prenorm, grokfast, gromov",
        ),
        (
            "[sweep]\nseed = 3\n",
            "s.toml:2:1: unknown key sweep.seed; the keys are sweep.preset, sweep.seeds, sweep.precision, sweep.pack",
        ),
        (
            "[sample]\nmethod = \"halton\"\nn = 3\n",
            "s.toml:2:10: sample.method = \"halton\", expected \"random\" or \"sobol\"",
        ),
        (
            "[sample]\nmethod = \"sobol\"\n[sample.keys]\ntask.p = [7]\n",
            "s.toml:1:2: sample lacks n, the number of points",
        ),
        ("[[skip]]\ntask.seed = 0\n", "s.toml: [[skip]] leaves no run"),
        (
            "[[skip]]\n",
            "s.toml:1:1: skip has no conditions, expected at least one",
        ),
        (
            "[axes]\ntask.seed = { range = [0, 99999], n = 100000 }\noptimizer.lr = [1, 2]\n",
            "s.toml: its axes have more than 100000 points together",
        ),
        (
            "[task]\np = 1\n",
            "s.toml:2:5: task.p = 1, expected a whole number from 2 to 4096",
        ),
        (
            "[tsak]\np = 7\n",
            "s.toml:1:2: unknown section tsak; did you mean task?; the sections are task, model, loss, optimizer, train, stats",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn the_studies_can_be_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
    let mut sizes: Vec<(String, usize)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let spec = SweepSpec::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            gmatrix::sweep::packs(&spec).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, spec.runs.len())
        })
        .collect();
    sizes.sort();
    let sizes: Vec<(&str, usize)> = sizes.iter().map(|(name, runs)| (name.as_str(), *runs)).collect();
    assert_eq!(
        sizes,
        [
            ("beta1", 390),
            ("beta1-small", 25),
            ("micro-instability", 90),
            ("micro-instability-small", 32),
            ("rank-at-grokking", 40),
            ("rank-at-grokking-small", 16),
            ("weight-decay", 240),
            ("weight-decay-small", 24),
        ]
    );
}
