//! Configurations: presets, layers, properties, and the exact words of every refusal.

use std::fs;

use gmatrix::config::{Config, Layers, Preset, Property, Split, presets_page};
use proptest::prelude::*;

#[test]
fn presets_can_be_run_and_survive_writing_and_reading() {
    for preset in Preset::ALL {
        let config = preset.config();
        config.check().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, config.to_toml().unwrap()).unwrap();
        // Over any preset, since the file holds all keys.
        for base in Preset::ALL {
            assert_eq!(
                Layers::new(base).file(&path).unwrap().build().unwrap(),
                config,
                "{preset} over {base}"
            );
        }
        assert_eq!(preset.name().parse::<Preset>().unwrap(), preset);
    }
}

#[test]
fn presets_are_the_published_set_ups() {
    let nanda = Preset::Nanda.config();
    assert_eq!((nanda.task.p, nanda.task.train_fraction), (113, 0.3));
    assert_eq!(
        (nanda.model.d_model, nanda.model.heads, nanda.model.d_mlp),
        (128, 4, 512)
    );
    assert_eq!(
        (nanda.optimizer.lr.at(0), nanda.optimizer.weight_decay.at(0)),
        (1e-3, 1.0)
    );
    let gromov = Preset::Gromov.config();
    assert_eq!(
        (gromov.task.p, gromov.model.hidden.as_slice(), gromov.model.bias),
        (97, &[500][..], false)
    );
    assert_eq!(
        (gromov.optimizer.beta1.at(0), gromov.optimizer.beta2.at(0)),
        (0.9, 0.98)
    );
}

#[test]
fn later_layers_win() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    fs::write(
        &path,
        "[task]\np = 31\nseed = 7\n\n[optimizer]\nweight_decay_groups = { bias = 0 }\nbatch = 32\n",
    )
    .unwrap();
    let config = Layers::new(Preset::Nanda)
        .file(&path)
        .unwrap()
        .set("task.seed=8")
        .unwrap()
        .set("train.stop=grokked+5")
        .unwrap()
        .set("optimizer.weight_decay_groups.norm = 0.5")
        .unwrap()
        .build()
        .unwrap();
    assert_eq!((config.task.p, config.task.seed, config.model.d_model), (31, 8, 128));
    assert_eq!(
        config
            .optimizer
            .weight_decay_groups
            .values()
            .map(|decay| decay.at(0))
            .collect::<Vec<_>>(),
        [0.5, 0.0]
    );
    let text = config.to_toml().unwrap();
    assert!(
        text.contains("stop = \"grokked+5\"") && text.contains("batch = 32"),
        "{text}"
    );
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
}

/// What a file with this text is refused with.
fn file_error(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    fs::write(&path, text).unwrap();
    let message = Config::from_file(&path).expect_err(text).to_string();
    message.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn files_are_refused_with_place_key_and_expectation() {
    for (text, expected) in [
        (
            "[train]\nsteps = \n",
            "run.toml:2:9: not valid TOML: string values must be quoted, expected literal string",
        ),
        (
            "[train]\nstpes = 5",
            "run.toml:2:1: unknown key train.stpes; did you mean train.steps?",
        ),
        (
            "[tarin]\nsteps = 5",
            "run.toml:1:2: unknown section tarin; did you mean train?; the sections are task, model, loss, optimizer, train, stats",
        ),
        (
            "steps = 5",
            "run.toml:1:1: unknown section steps; did you mean stats?; the sections are task, model, loss, optimizer, train, stats",
        ),
        (
            "train = 5",
            "run.toml:1:9: train is a section, expected [train] and its keys below",
        ),
        (
            "train.steps = -5",
            "run.toml:1:15: train.steps = -5, expected a whole number of at least 1",
        ),
        (
            "[task]\np = \"x\"\nop = 3",
            "run.toml:2:5: task.p = \"x\", expected a whole number from 2 to 4096",
        ),
        (
            "[task]\nop = \"pow\"",
            "run.toml:2:6: task.op = \"pow\", expected \"add\", \"sub\", \"mul\", \"div\", \"sum_squares\", \"quadratic\", \"s5\", \"parity\", \"file\", \"idx\", \"cifar10\" or \"cifar100\"",
        ),
        (
            "[optimizer]\n  lr = nan",
            "run.toml:2:8: optimizer.lr = NaN, expected a number of at least 0, or such numbers on a schedule of steps, values and kind",
        ),
        (
            "[optimizer]\nweight_decay_groups = { biases = 1 }",
            "run.toml:2:23: optimizer.weight_decay_groups = { biases = 1 }, expected a table of numbers of at least 0, or of such numbers on a schedule of steps, values and kind, with keys among embed, position, attention, mlp, unembed, norm, bias",
        ),
        (
            "[model]\nd_model = 50",
            "run.toml:2:11: model.heads = 4 does not divide model.d_model = 50",
        ),
        (
            "[model]\nhidden = [8, 0]\nkind = \"mlp\"",
            "run.toml:2:10: model.hidden = [8, 0], expected a list of whole numbers of at least 1",
        ),
        (
            "[task]\np = 5\n[optimizer]\nbatch = 64",
            "run.toml:4:9: optimizer.batch = 64, expected at most the 12 examples of the training split",
        ),
        (
            "[task]\np = 2\ntrain_fraction = 0.2",
            "run.toml:3:18: task.train_fraction = 0.2 leaves 0 of 4 examples to train on and 4 to test on, expected at least one each",
        ),
        (
            "[task]\nop = \"file\"",
            "run.toml:2:6: task.op = \"file\" needs task.file",
        ),
        (
            "[task]\nfile = \"d.safetensors\"",
            "run.toml:2:8: task.file = \"d.safetensors\" needs task.op = \"file\", \"idx\", \"cifar10\" or \"cifar100\"",
        ),
        (
            "[task]\nop = \"idx\"\nfile = \"images\"",
            "run.toml:3:8: task.file = \"images\", expected two paths, images and labels, for task.op = \"idx\"",
        ),
        (
            "[task]\nop = \"file\"\nfile = \"a\"\ntest_file = [\"b\", \"c\"]",
            "run.toml:4:13: task.test_file = [\"b\", \"c\"], expected one path for task.op = \"file\"",
        ),
        (
            "[task]\nfile = 3",
            "run.toml:2:8: task.file = 3, expected a path in quotes, or a list of paths",
        ),
        (
            "[task]\nop = \"div\"\np = 91",
            "run.toml:3:5: task.p = 91 is not prime, which task.op = \"div\" needs",
        ),
        (
            "[task]\nop = \"parity\"\ntrain_samples = 10",
            "run.toml:2:6: task.op = \"parity\" needs task.train_samples and task.test_samples",
        ),
        (
            "[task]\nop = \"parity\"\ntrain_samples = 10\ntest_samples = 7\nbits = 4",
            "run.toml:3:17: task.train_samples + task.test_samples = 17, expected at most the 16 strings of 4 bits",
        ),
        (
            "[task]\nop = \"parity\"\ntrain_samples = 10\ntest_samples = 7\nparity = 41",
            "run.toml:5:10: task.parity = 41, expected a whole number of at least 1 and at most task.bits",
        ),
        (
            "[task]\np = 5\ntrain_samples = 25",
            "run.toml:3:17: task.train_samples = 25 leaves 25 of 25 examples to train on and 0 to test on, expected at least one each",
        ),
        (
            "[task]\np = 5\ntrain_samples = 20\ntest_samples = 6",
            "run.toml:4:16: task.test_samples = 6, expected at most the 5 examples that are not trained on",
        ),
        (
            "[task]\nlabel_noise = 0.1\nrandom_labels = true",
            "run.toml:2:15: task.label_noise with task.random_labels = true, expected one of them",
        ),
        (
            "[task]\nop = \"s5\"\n[stats]\nproperties = [\"logit:0:120\"]",
            "run.toml:4:14: stats.properties: \"logit:0:120\" has class 120, expected below 120, the number of classes",
        ),
        (
            "[model]\nkind = \"mlp\"\ninput = \"float\"",
            "run.toml:3:9: model.input = \"float\" needs real inputs, expected task.op = \"file\", \"idx\", \"cifar10\", \"cifar100\" or \"parity\"",
        ),
        (
            "[stats]\nproperties = [\"accuracy\"]",
            "run.toml:2:14: stats.properties: property \"accuracy\" is not known, expected train_loss, test_loss, loss, half_norm2, logit:i:c, prob:i:c, log_odds:i (each also with a split, as log_odds:test:i), mean_log_odds_train, mean_log_odds_test, restricted_loss, restricted_loss:k,…, fourier:k or linear:FILE#name (also linear:test:FILE#name)",
        ),
        (
            "[stats]\nproperties = [\"log_odds:test:1741\"]",
            "run.toml:2:14: stats.properties: \"log_odds:test:1741\" has index 1741, expected below 1741, the size of the test split",
        ),
        (
            "[stats]\nproperties = [\"logit:0:59\"]",
            "run.toml:2:14: stats.properties: \"logit:0:59\" has class 59, expected below task.p = 59",
        ),
        (
            "[stats]\nproperties = [\"log_odds:3\", \"log_odds:train:3\"]",
            "run.toml:2:14: stats.properties: \"log_odds:train:3\" stands there twice",
        ),
        (
            "[stats]\nproperties = [\"fourier:30\"]",
            "run.toml:2:14: stats.properties: \"fourier:30\": frequency 30, expected at most 29, half the order 59 of the group",
        ),
        (
            "[task]\nop = \"quadratic\"\n[stats]\nproperties = [\"restricted_loss\"]",
            "run.toml:4:14: stats.properties: \"restricted_loss\": operation \"quadratic\" adds in no cyclic group, expected \"add\", \"sub\", \"mul\" or \"div\"",
        ),
        (
            "[task]\nop = \"mul\"\np = 9\n[stats]\nproperties = [\"fourier:1\"]",
            "run.toml:5:14: stats.properties: \"fourier:1\": products modulo 9 form no cyclic group of p - 1 elements, expected a prime p",
        ),
        (
            "[task]\ntest_samples = 9\n[stats]\nproperties = [\"fourier:1\"]",
            "run.toml:4:14: stats.properties: \"fourier:1\" needs all examples, expected no task.test_samples",
        ),
        (
            "[stats]\nproperties = [\"loss\"]",
            "run.toml:2:14: stats.properties: \"loss\" is for measure, expected \"train_loss\" or \"test_loss\"",
        ),
        (
            "[stats]\nsamples = 0",
            "run.toml:2:11: stats.samples = 0, expected \"all\" or a whole number of at least 1",
        ),
        (
            "# µ = 1\n[train]\nchunk = 0",
            "run.toml:3:9: train.chunk = 0, expected a whole number of at least 1",
        ),
    ] {
        assert_eq!(file_error(text), expected);
    }
}

#[test]
fn settings_are_refused_with_their_own_text() {
    for (setting, expected) in [
        ("task.p", "--set task.p: expected section.key=value"),
        ("task=3", "--set task=3: expected task.key=value"),
        ("task.q=3", "--set task.q=3: unknown key task.q; did you mean task.p?"),
        (
            "tsak.p=3",
            "--set tsak.p=3: unknown section tsak; did you mean task?; the sections are task, model, loss, optimizer, train, stats",
        ),
        (
            "a.b.c.d=3",
            "--set a.b.c.d=3: unknown key a.b.c.d; the sections are task, model, loss, optimizer, train, stats",
        ),
        (
            "task.p.q=3",
            "--set task.p.q=3: unknown key task.p.q; did you mean task.p?",
        ),
        (
            "train.steps=1e4",
            "--set train.steps=1e4: train.steps = 10000.0, expected a whole number of at least 1",
        ),
        (
            "train.stop=groked",
            "--set train.stop=groked: train.stop = \"groked\", expected \"never\" or \"grokked+K\"",
        ),
        (
            "optimizer.lr=-1",
            "--set optimizer.lr=-1: optimizer.lr = -1, expected a number of at least 0, or such numbers on a schedule of steps, values and kind",
        ),
        (
            "optimizer.beta2=1",
            "--set optimizer.beta2=1: optimizer.beta2 = 1, expected a number of at least 0 and below 1, or such numbers on a schedule of steps, values and kind",
        ),
        (
            "task.train_fraction=1",
            "--set task.train_fraction=1: task.train_fraction = 1, expected a number between 0 and 1",
        ),
        (
            "model.heads=0",
            "--set model.heads=0: model.heads = 0, expected a whole number of at least 1",
        ),
        (
            "model.init=gromov",
            "--set model.init=gromov: model.init = \"gromov\" is for an MLP, expected \"nanda\" or \"fan_in\" for a transformer",
        ),
        (
            "optimizer.weight_decay_groups.mlp={ steps = [0, 5], values = [0, -1] }",
            "--set optimizer.weight_decay_groups.mlp={ steps = [0, 5], values = [0, -1] }: optimizer.weight_decay_groups = { mlp = { steps = [0, 5], values = [0.0, -1.0], kind = \"linear\" } }, expected a table of numbers of at least 0, or of such numbers on a schedule of steps, values and kind, with keys among embed, position, attention, mlp, unembed, norm, bias",
        ),
        (
            "optimizer.weight_decay_groups.bias=-1",
            "--set optimizer.weight_decay_groups.bias=-1: optimizer.weight_decay_groups = { bias = -1 }, expected a table of numbers of at least 0, or of such numbers on a schedule of steps, values and kind, with keys among embed, position, attention, mlp, unembed, norm, bias",
        ),
    ] {
        let message = Layers::new(Preset::Quick)
            .set(setting)
            .and_then(Layers::build)
            .expect_err(setting);
        assert_eq!(message.to_string(), expected);
    }
    let message = "nada".parse::<Preset>().unwrap_err().to_string();
    assert_eq!(
        message,
        "preset \"nada\" is not known; did you mean nanda?; the presets are quick, nanda, prenorm, grokfast, gromov"
    );
}

#[test]
fn every_word_that_is_offered_is_taken() {
    // The words in quotes of each key's expectation, as the page lists them.
    let page = presets_page();
    let rows = page
        .split("## What the keys mean")
        .nth(1)
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("| `"));
    let mut words = 0;
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let key = cells[0].trim_matches(['|', ' ', '`']);
        for word in cells[1].split('"').skip(1).step_by(2) {
            let word = word.replace("+K", "+5");
            Layers::new(Preset::Quick)
                .set(&format!("{key}=\"{word}\""))
                .unwrap_or_else(|e| panic!("{e}"));
            words += 1;
        }
    }
    assert_eq!(words, 54);
}

#[test]
fn the_documented_table_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/presets.md");
    if std::env::var_os("GMATRIX_BLESS").is_some() {
        fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        fs::write(path, presets_page()).unwrap();
    }
    let written = fs::read_to_string(path).unwrap();
    assert!(
        written == presets_page(),
        "docs/presets.md is out of date: run this test with GMATRIX_BLESS=1"
    );
    // All keys that a configuration has are in the table.
    for (section, keys) in toml::Table::try_from(Config::default()).unwrap() {
        for key in keys.as_table().unwrap().keys() {
            assert!(
                written.contains(&format!("| `{section}.{key}` |")),
                "{section}.{key} is not documented"
            );
        }
    }
}

#[test]
fn properties_are_written_as_they_are_read() {
    for text in [
        "train_loss",
        "test_loss",
        "loss",
        "half_norm2",
        "logit:3:0",
        "logit:test:3:96",
        "prob:0:1",
        "prob:test:0:1",
        "log_odds:17",
        "log_odds:test:0",
        "mean_log_odds_train",
        "mean_log_odds_test",
        "restricted_loss",
        "restricted_loss:7",
        "restricted_loss:1,5,12",
        "fourier:3",
        "linear:a:b/c d.safetensors#x#margin",
        "linear:test:d.safetensors#margin",
        "linear:train:test:d.safetensors#margin",
    ] {
        assert_eq!(text.parse::<Property>().unwrap().to_string(), text);
    }
    let property: Property = "log_odds:train:17".parse().unwrap();
    assert_eq!(property.to_string(), "log_odds:17");
    assert_eq!(property.sample(), Some((Split::Train, 17)));
    for text in [
        "",
        ":",
        "Loss",
        "loss:1",
        "logit",
        "logit:1",
        "logit:1:2:3",
        "logit:valid:1:2",
        "logit:-1:2",
        "logit:+1:2",
        "logit:01:2",
        "log_odds",
        "log_odds:",
        "log_odds:test",
        "log_odds:1:2",
        "log_odds:99999999999999999999999",
        "mean_log_odds",
        "restricted_loss:",
        "restricted_loss:0",
        "restricted_loss:1,",
        "restricted_loss:2,2",
        "restricted_loss:1:2",
        "fourier",
        "fourier:0",
        "fourier:test:1",
        "linear:",
        "linear:d.safetensors",
        "linear:d.safetensors#",
        "linear:#margin",
        "half_norm2 ",
    ] {
        text.parse::<Property>().expect_err(text);
    }
}

#[test]
fn schedules_are_read_written_and_refused() {
    let set = |text: &str| Layers::new(Preset::Quick).set(text).and_then(Layers::build);
    let table = "{ steps = [0, 1000, 2000], values = [0, 0, 1], kind = \"step\" }";
    let config = set(&format!("optimizer.weight_decay={table}")).unwrap();
    let decay = &config.optimizer.weight_decay;
    assert_eq!([0, 1999, 2000, 5000].map(|step| decay.at(step)), [0.0, 0.0, 1.0, 1.0]);
    let config = set("optimizer.lr={ steps = [10, 20], values = [1, 2] }").unwrap();
    assert_eq!(
        [0, 10, 15, 20].map(|step| config.optimizer.lr.at(step)),
        [1.0, 1.0, 1.5, 2.0]
    );
    for text in [
        "optimizer.lr={ steps = [10, 20], values = [1, 2] }",
        "stats.gram_every={ log = 20 }",
        "stats.decompose_every={ every = 50, dense = 5, around = \"grokked\", width = 200 }",
    ] {
        let config = set(text).unwrap();
        assert_eq!(
            toml::from_str::<Config>(&config.to_toml().unwrap()).unwrap(),
            config,
            "{text}"
        );
    }
    for wrong in [
        "optimizer.lr={ steps = [], values = [] }",
        "optimizer.lr={ steps = [0, 1], values = [1] }",
        "optimizer.lr={ steps = [1, 1], values = [1, 2] }",
        "optimizer.lr={ steps = [0, 1], values = [1, -2] }",
        "optimizer.lr={ steps = [0], values = [1], kind = \"cubic\" }",
        "optimizer.lr={ step = [0], values = [1] }",
        "optimizer.lr={ steps = [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16], values = [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16] }",
        "stats.gram_every={ log = 0 }",
        "stats.gram_every={ log = 101 }",
        "stats.evaluate_every=0",
        "stats.scalars_every={ every = 0, dense = 5, around = \"grokked\", width = 200 }",
        "stats.gram_every={ every = 5, dense = 0, around = \"grokked\", width = 200 }",
        "stats.gram_every={ every = 5, dense = 1, around = \"tomorrow\", width = 200 }",
    ] {
        let error = set(wrong).expect_err(wrong).to_string();
        let (key, _) = wrong.split_once('=').unwrap();
        assert!(error.starts_with(&format!("--set {wrong}: {key} = ")), "{error}");
        assert!(error.contains("expected a number"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", setting in "[a-z_.=\"0-9\\[\\]-]{0,30}") {
        let _ = text.parse::<Property>();
        let _ = Layers::new(Preset::Quick).set(&text).and_then(Layers::build);
        let _ = Layers::new(Preset::Quick).set(&setting).and_then(Layers::build);
        let _ = Layers::new(Preset::Quick).set(&format!("train.steps={text}")).and_then(Layers::build);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        fs::write(&path, &text).unwrap();
        let _ = Config::from_file(&path);
    }
}
