//! Models against each other.

use gmatrix::analysis::frequency_models::{Oscillation, compare_frequencies};
use gmatrix::analysis::model_comparison::{Model, compare};

use crate::{close, normals, reference};

fn model(name: &str, columns: &[&[f64]]) -> Model {
    Model {
        name: name.to_owned(),
        columns: columns.iter().map(|column| column.to_vec()).collect(),
    }
}

#[test]
fn criteria_and_held_out_errors_match_numpy() {
    let [x, y, z] = reference();
    let groups: Vec<usize> = (0..20).map(|i| i % 4).collect();
    let models = [model("xz", &[&x, &z]), model("none", &[]), model("x", &[&x])];
    let found = compare(&y, &models, &groups).unwrap();
    // rss from lstsq, n=20, k=coefficients+1: n*log(rss/n)+2*k+2*k*(k+1)/(n-k-1), n*log(rss/n)+k*log(n);
    // sqrt(se/20) and 1-se/sm with se, sm summed over groups i%4 predicted from the others; weights exp(-dAICc/2)
    let expected = [
        (
            "none",
            0.44861079877844634,
            1.7341929929452515,
            0.9028776846862273,
            0.0,
            0.69745568,
        ),
        (
            "x",
            2.4953158826660795,
            3.9825127033280525,
            0.9618824548871389,
            -0.13497466620599496,
            0.25065724,
        ),
        (
            "xz",
            5.645349273131595,
            6.961611700680892,
            0.9747743914100578,
            -0.16560226824720936,
            0.05188708,
        ),
    ];
    assert_eq!(found.len(), 3);
    for (model, (name, aicc, bic, error, r2, weight)) in found.iter().zip(expected) {
        assert_eq!(model.name, name);
        close(model.aicc, aicc, 1e-12);
        close(model.bic, bic, 1e-12);
        close(model.delta, aicc - 0.44861079877844634, 1e-12);
        close(model.weight, weight, 1e-7);
        close(model.held_out_error, error, 1e-12);
        close(model.held_out_r2, r2, 1e-12);
    }
    close(found[1].coefficients[1], 0.17501569402628592, 1e-12);
    close(found[1].errors[1], 0.21140022389743254, 1e-12);
    close(found[1].r2, 0.1915227505619563f64.powi(2), 1e-12);
}

#[test]
fn the_model_that_made_the_data_is_found() {
    // With one superfluous column AICc prefers the larger model in some 16 % of series (chi2_1 > 2 and the correction).
    let mut larger = 0;
    for seed in 0..200 {
        let (x, other, noise) = (
            normals(3 * seed, 40),
            normals(3 * seed + 1, 40),
            normals(3 * seed + 2, 40),
        );
        let y: Vec<f64> = x.iter().zip(&noise).map(|(x, e)| 1.0 + 2.0 * x + e).collect();
        let groups: Vec<usize> = (0..40).map(|i| i % 5).collect();
        let models = [
            model("true", &[&x]),
            model("wrong", &[&other]),
            model("both", &[&x, &other]),
        ];
        let found = compare(&y, &models, &groups).unwrap();
        assert_eq!(found[2].name, "wrong");
        assert!(found[2].delta > 10.0 && found[2].weight < 0.01 && found[0].held_out_r2 > 0.4);
        larger += usize::from(found[0].name == "both");
        let total: f64 = found.iter().map(|model| model.weight).sum();
        close(total, 1.0, 1e-12);
    }
    assert!((10..=45).contains(&larger), "{larger} of 200");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let [x, y, z] = reference();
    let groups: Vec<usize> = (0..20).map(|i| i % 4).collect();
    let says = |y: &[f64], models: &[Model], groups: &[usize], words: &str| {
        let error = compare(y, models, groups).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    says(&y, &[], &groups, "no models");
    says(&y, &[model("x", &[&x])], &groups[..19], "19 group labels for 20");
    says(&y, &[model("x", &[&x, &x])], &groups, "model x: the columns");
    says(
        &y[..4],
        &[model("x", &[&x[..4]])],
        &groups[..4],
        "expected more than 4 for AICc",
    );
    says(&[0.1; 20], &[model("none", &[])], &groups, "without any error");
    // Dependent once group 0 is left out: the column differs from 0 there alone.
    let only: Vec<f64> = z
        .iter()
        .zip(&groups)
        .map(|(z, g)| if *g == 0 { *z } else { 0.0 })
        .collect();
    says(&y, &[model("only", &[&only])], &groups, "model only: the columns");
    let one = compare(&y, &[model("x", &[&x])], &[3; 20]).unwrap();
    assert!(one[0].held_out_error.is_nan() && one[0].held_out_r2.is_nan());
}

/// Runs of a design that varies everything apart, with the frequency of `law` and 5 % of noise.
fn runs(law: impl Fn(&Oscillation) -> f64) -> Vec<Oscillation> {
    let noise = normals(77, 7 * 36);
    (0..36)
        .map(|i| {
            let e = &noise[7 * i..];
            let mut run = Oscillation {
                frequency: 0.0,
                lr: [3e-4, 1e-3, 3e-3][i % 3],
                weight_decay: [0.25, 0.5, 1.0, 2.0][i / 3 % 4],
                gradient_norm: (0.5 * e[0]).exp(),
                weight_norm: 30.0 * (0.3 * e[1]).exp(),
                competition: (0.7 * e[2]).exp(),
                sharpness: 1e4 * (0.8 * e[3]).exp(),
                zero_gradients: 0.1 * e[4].abs(),
                group: i / 3 % 4,
            };
            run.frequency = law(&run) * (0.05 * e[5]).exp();
            run
        })
        .collect()
}

#[test]
fn each_frequency_model_is_recognised_by_its_own_law() {
    type Law = fn(&Oscillation) -> f64;
    let laws: [(&str, Law, f64); 5] = [
        ("M1", |r| 2.0 * (r.lr * r.weight_decay).powf(0.8), 0.8),
        (
            "M2",
            |r| 0.01 * (r.gradient_norm / (r.weight_decay * r.weight_norm)).powf(0.5),
            0.5,
        ),
        ("M3", |r| 0.01 * r.competition.powf(-0.6), -0.6),
        ("M4", |r| 0.01 * (r.sharpness * r.lr / 38.0), 1.0),
        ("M5", |r| 0.01 * (4.0 * r.zero_gradients).exp(), 4.0),
    ];
    for (name, law, slope) in laws {
        let found = compare_frequencies(&runs(law)).unwrap();
        assert_eq!((found.used, found.models.len(), found.left_out.len()), (36, 6, 0));
        let best = &found.models[0];
        assert_eq!(best.name, name);
        close(best.coefficients[1], slope, 6.0 * best.errors[1]);
        assert!(
            found.models[1].delta > 10.0 && best.held_out_r2 > 0.7,
            "{name}: {best:?}"
        );
    }
    // Nothing that was varied: the constant.
    assert_eq!(compare_frequencies(&runs(|_| 0.01)).unwrap().models[0].name, "M0");
}

#[test]
fn models_without_a_regressor_are_left_out_by_name() {
    let mut few = runs(|r| r.lr * r.weight_decay);
    for run in &mut few {
        run.sharpness = f64::NAN;
        run.zero_gradients = 0.0;
    }
    few[0].competition = f64::NAN;
    let found = compare_frequencies(&few).unwrap();
    assert_eq!((found.used, found.models.len()), (35, 4));
    let names: Vec<&str> = found.left_out.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["M4", "M5"]);
    assert!(found.left_out[0].1.contains("not measured") && found.left_out[1].1.contains("the same"));
    // A weight decay of 0 has no logarithm: the run is not used.
    few[1].weight_decay = 0.0;
    assert_eq!(compare_frequencies(&few).unwrap().used, 34);
}

#[test]
fn a_regressor_that_varies_only_in_runs_not_used_is_left_out() {
    let mut few = runs(|r| r.lr * r.weight_decay);
    for (i, run) in few.iter_mut().enumerate() {
        // Zero but in the runs whose competition was not measured.
        run.zero_gradients = if i < 4 { 0.1 * i as f64 } else { 0.0 };
        if i < 4 {
            run.competition = f64::NAN;
        }
    }
    let found = compare_frequencies(&few).unwrap();
    assert_eq!(found.used, 32);
    assert_eq!(found.left_out.len(), 1);
    assert_eq!(found.left_out[0].0, "M5");
}

#[test]
fn frequencies_must_be_positive_and_runs_enough() {
    let mut few = runs(|r| r.lr);
    few[5].frequency = 0.0;
    let error = compare_frequencies(&few).unwrap_err().to_string();
    assert!(error.contains("run 5 has frequency 0"), "{error}");
    assert!(compare_frequencies(&runs(|r| r.lr)[..2]).is_err());
    assert!(compare_frequencies(&[]).is_err());
    // Each regressor measured in another half.
    let mut halves = runs(|r| r.lr);
    for (i, run) in halves.iter_mut().enumerate() {
        if i % 2 == 0 {
            run.competition = f64::NAN;
        } else {
            run.sharpness = f64::NAN;
        }
    }
    assert!(compare_frequencies(&halves).is_err());
}
