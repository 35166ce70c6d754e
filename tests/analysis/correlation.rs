//! Correlation, its comparison, and least squares.

use gmatrix::analysis::correlation::{compare_dependent, partial, pearson, permutation_p, spearman};
use gmatrix::analysis::regression::{fit, fit_exactly};

use crate::{all_close, close, most, normals, reference};

/// Year, price deflator, product, unemployed, armed forces, population: Longley's data of the StRD of NIST.
const LONGLEY: [[f64; 7]; 16] = [
    [60323.0, 83.0, 234289.0, 2356.0, 1590.0, 107608.0, 1947.0],
    [61122.0, 88.5, 259426.0, 2325.0, 1456.0, 108632.0, 1948.0],
    [60171.0, 88.2, 258054.0, 3682.0, 1616.0, 109773.0, 1949.0],
    [61187.0, 89.5, 284599.0, 3351.0, 1650.0, 110929.0, 1950.0],
    [63221.0, 96.2, 328975.0, 2099.0, 3099.0, 112075.0, 1951.0],
    [63639.0, 98.1, 346999.0, 1932.0, 3594.0, 113270.0, 1952.0],
    [64989.0, 99.0, 365385.0, 1870.0, 3547.0, 115094.0, 1953.0],
    [63761.0, 100.0, 363112.0, 3578.0, 3350.0, 116219.0, 1954.0],
    [66019.0, 101.2, 397469.0, 2904.0, 3048.0, 117388.0, 1955.0],
    [67857.0, 104.6, 419180.0, 2822.0, 2857.0, 118734.0, 1956.0],
    [68169.0, 108.4, 442769.0, 2936.0, 2798.0, 120445.0, 1957.0],
    [66513.0, 110.8, 444546.0, 4681.0, 2637.0, 121950.0, 1958.0],
    [68655.0, 112.6, 482704.0, 3813.0, 2552.0, 123366.0, 1959.0],
    [69564.0, 114.2, 502601.0, 3931.0, 2514.0, 125368.0, 1960.0],
    [69331.0, 115.7, 518173.0, 4806.0, 2572.0, 127852.0, 1961.0],
    [70551.0, 116.9, 554894.0, 4007.0, 2827.0, 130081.0, 1962.0],
];

/// Certified coefficients and standard errors, the intercept first.
const CERTIFIED: [[f64; 2]; 7] = [
    [-3482258.63459582, 890420.383607373],
    [15.0618722713733, 84.9149257747669],
    [-0.0358191792925910, 0.0334910077722432],
    [-2.02022980381683, 0.488399681651699],
    [-1.03322686717359, 0.214274163161675],
    [-0.0511041056535807, 0.226073200069370],
    [1829.15146461355, 455.478499142212],
];

#[test]
fn least_squares_has_the_certified_digits_of_longley() {
    let column = |j: usize| LONGLEY.iter().map(|row| row[j]).collect::<Vec<f64>>();
    let columns: Vec<Vec<f64>> = (1..7).map(column).collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let found = fit(&columns, &column(0)).unwrap();
    for (j, [b, error]) in CERTIFIED.into_iter().enumerate() {
        // The scaled design has a condition number of some 1e5.
        assert!((found.coefficients[j] / b - 1.0).abs() < 1e-8, "coefficient {j}");
        assert!((found.errors[j] / error - 1.0).abs() < 1e-8, "error {j}");
    }
    close(found.r2, 0.995479004577296, 1e-12);
    assert_eq!(found.freedom, 9);
    assert!(((found.rss / 9.0).sqrt() / 304.854073561965 - 1.0).abs() < 1e-10);
}

#[test]
fn one_column_matches_scipy() {
    let [x, y, _] = reference();
    // scipy.stats.linregress(x,y), scipy.stats.t.ppf(.975,18)
    let found = fit(&[&x], &y).unwrap();
    all_close(&found.coefficients, &[0.9997259594946143, 0.17501569402628592], 1e-13);
    all_close(&found.errors, &[0.3251952827840111, 0.21140022389743254], 1e-13);
    let half = 2.1009220402410382 * found.errors[1];
    let (low, high) = found.interval(1, 0.95);
    close(low, found.coefficients[1] - half, 1e-9);
    close(high, found.coefficients[1] + half, 1e-9);
    let sum: f64 = found.residuals.iter().map(|e| e * e).sum();
    close(sum, found.rss, 1e-15);
}

#[test]
fn a_fit_without_intercept_goes_through_the_origin() {
    let x = [1.0, 2.0, 4.0];
    // b = sum xy/sum xx = 35/21.
    let found = fit_exactly(&[&x], &[3.0, 2.0, 7.0]).unwrap();
    close(found.coefficients[0], 35.0 / 21.0, 1e-14);
    let nothing = fit_exactly(&[], &[3.0, 2.0, 7.0]).unwrap();
    assert!(nothing.coefficients.is_empty());
    close(nothing.rss, 62.0, 1e-14);
}

#[test]
fn degenerate_regressions_are_refused() {
    let [x, y, _] = reference();
    let double: Vec<f64> = x.iter().map(|x| 2.0 * x + 1.0).collect();
    let says = |columns: &[&[f64]], y: &[f64], words: &str| {
        let error = fit(columns, y).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    says(&[&x, &double], &y, "linearly dependent");
    says(&[&[0.0; 20]], &y, "linearly dependent");
    says(&[&x[..5]], &y, "5 values, expected 20");
    says(&[&x[..2]], &y[..2], "2 observations");
    let mut broken = x.clone();
    broken[3] = f64::NAN;
    says(&[&broken], &y, "finite");
    assert!(fit(&[&x], &broken).is_err());
}

#[test]
fn coefficients_match_scipy() {
    let [x, y, z] = reference();
    // scipy.stats.pearsonr(x,y), its confidence_interval()
    let found = pearson(&x, &y).unwrap();
    close(found.r, 0.1915227505619563, 1e-13);
    close(found.p, 0.41857575223094945, 1e-10);
    close(found.interval.0, -0.2742406978908174, 1e-10);
    close(found.interval.1, 0.5845050911560178, 1e-10);
    assert_eq!(found.n, 20);
    // scipy.stats.spearmanr(round(x),round(y))
    let round = |values: &[f64]| values.iter().map(|x| x.round_ties_even()).collect::<Vec<f64>>();
    let found = spearman(&round(&x), &round(&y)).unwrap();
    close(found.r, 0.23015007731211717, 1e-13);
    close(found.p, 0.3289764592808354, 1e-10);
    let half = 1.959963984540054 * (1.06f64 / 17.0).sqrt();
    close(found.interval.1, (found.r.atanh() + half).tanh(), 1e-10);
    // corrcoef of what lstsq on [1, z] leaves of x and y; t with 17 degrees of freedom; tanh(atanh(r)±1.96/sqrt(16))
    let found = partial(&x, &y, &[&z]).unwrap();
    close(found.r, 0.13641373820927818, 1e-12);
    close(found.p, 0.5776230261659192, 1e-10);
    close(found.interval.0, -0.33878692, 1e-7);
    close(found.interval.1, 0.55616295, 1e-7);
}

#[test]
fn a_strong_correlation_of_thirty_pairs() {
    // r = 0.896 exactly: orthogonal parts of length 1.
    let u: Vec<f64> = (0..30).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let v: Vec<f64> = (0..30).map(|i| if (i / 2) % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let mut v = v;
    v[28] = 0.0;
    v[29] = 0.0;
    let scale = 30f64.sqrt() / 28f64.sqrt();
    let r = 0.896f64;
    let y: Vec<f64> = u
        .iter()
        .zip(&v)
        .map(|(u, v)| r * u + (1.0 - r * r).sqrt() * scale * v)
        .collect();
    let found = pearson(&u, &y).unwrap();
    close(found.r, r, 1e-13);
    // 2*t.sf(r*sqrt(28/(1-r*r)),28), tanh(arctanh(r)±1.96/sqrt(27))
    assert!((found.p / 2.222741994025863e-11 - 1.0).abs() < 1e-6, "{}", found.p);
    close(found.interval.0, 0.79109827, 1e-8);
    close(found.interval.1, 0.9497037, 1e-8);
}

#[test]
fn wholly_correlated_and_few_pairs() {
    let x = [1.0, 2.0, 3.0, 5.0];
    let found = pearson(&x, &x).unwrap();
    assert_eq!((found.r, found.interval), (1.0, (1.0, 1.0)));
    assert_eq!(found.p, 0.0);
    assert_eq!(spearman(&x, &[-1.0, -20.0, -21.0, -22.0]).unwrap().r, -1.0);
    let three = pearson(&x[..3], &[1.0, 3.0, 2.0]).unwrap();
    close(three.r, 0.5, 1e-14);
    assert!(three.interval.0.is_nan() && three.interval.1.is_nan());
    // One degree of freedom is Cauchy's law: p = 1 - 2/pi atan(t), t = 1/sqrt(3).
    close(three.p, 2.0 / 3.0, 1e-10);
}

#[test]
fn what_has_no_correlation_is_refused() {
    let [x, y, _] = reference();
    assert!(pearson(&x, &y[..19]).unwrap_err().to_string().contains("20 and 19"));
    assert!(pearson(&x[..2], &y[..2]).is_err());
    // Ten times 0.1 sum to less than 1; it is a constant all the same.
    assert!(
        pearson(&[0.1; 10], &y[..10])
            .unwrap_err()
            .to_string()
            .contains("constant")
    );
    assert!(spearman(&[1.0, f64::NAN, 2.0], &[1.0, 2.0, 3.0]).is_err());
    let double: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
    assert!(
        partial(&x, &y, &[&double])
            .unwrap_err()
            .to_string()
            .contains("leave nothing")
    );
    assert!(partial(&x[..3], &y[..3], &[&[1.0, 5.0, 2.0]]).is_err());
}

#[test]
fn p_values_have_their_rates() {
    // Unrelated series: p <= 0.05 in no more than one of twenty, and often enough for the test to be of use.
    let trials = 1000;
    let mut alarms = [0usize; 3];
    for seed in 0..trials {
        let (x, y, z) = (
            normals(3 * seed, 15),
            normals(3 * seed + 1, 15),
            normals(3 * seed + 2, 15),
        );
        let p = [
            pearson(&x, &y).unwrap().p,
            spearman(&x, &y).unwrap().p,
            partial(&x, &y, &[&z]).unwrap().p,
        ];
        for (count, p) in alarms.iter_mut().zip(p) {
            *count += usize::from(p <= 0.05);
        }
    }
    for count in alarms {
        assert!((30..=most(trials as usize, 0.05)).contains(&count), "{alarms:?}");
    }
}

#[test]
fn permutation_p_values_have_their_rates() {
    let r = |x: &[f64], y: &[f64]| Ok(pearson(x, y)?.r);
    let trials = 300;
    let alarms = (0..trials)
        .filter(|&seed| {
            let (x, y) = (normals(2 * seed, 12), normals(2 * seed + 1, 12));
            permutation_p(&x, &y, r, 99, u64::from(seed)).unwrap() <= 0.05
        })
        .count();
    assert!((3..=most(trials as usize, 0.05)).contains(&alarms), "{alarms}");
    let x = normals(1, 12);
    assert_eq!(permutation_p(&x, &x, r, 99, 0).unwrap(), 0.01);
    assert!(permutation_p(&x, &[1.0; 12], r, 99, 0).is_err());
}

#[test]
fn dependent_correlations_match_their_formulas() {
    let [x, y, z] = reference();
    let found = compare_dependent(&x, &z, &y).unwrap();
    all_close(&found.r, &[0.19152275056, 0.13867568, 0.60660114], 1e-8);
    // Williams 1959 and Steiger 1980, with numpy.linalg.det of the 3x3 correlation matrix for the determinant:
    // t=(a-b)*sqrt((n-1)*(1+c)/(2*(n-1)/(n-3)*det(R)+(a+b)**2/4*(1-c)**3))
    close(found.williams_t, 0.250232967803084, 1e-12);
    close(found.williams_p, 0.8054061896315163, 1e-10);
    close(found.steiger_z, 0.2498220388431321, 1e-12);
    close(found.steiger_p, 0.8027249755057134, 1e-10);
    let turned = compare_dependent(&z, &x, &y).unwrap();
    close(turned.williams_t, -found.williams_t, 1e-13);
    close(turned.steiger_z, -found.steiger_z, 1e-13);
}

/// y, and x and z that each correlate with it by `a` and `b`, and share a part beside.
fn trio(seed: u32, n: usize, a: f64, b: f64) -> [Vec<f64>; 3] {
    let parts: Vec<Vec<f64>> = (0..4).map(|k| normals(4 * seed + k, n)).collect();
    let mix = |r: f64, own: &[f64]| -> Vec<f64> {
        let rest = (1.0 - r * r).sqrt();
        let shared = parts[0].iter().zip(&parts[1]).zip(own);
        shared.map(|((y, s), e)| r * y + rest * (0.6 * s + 0.8 * e)).collect()
    };
    [mix(a, &parts[2]), mix(b, &parts[3]), parts[0].clone()]
}

#[test]
fn dependent_comparisons_have_their_rates() {
    let trials = 1000;
    let share = |a: f64, b: f64| {
        let mut alarms = [0usize; 2];
        for seed in 0..trials {
            let [x, z, y] = trio(seed, 40, a, b);
            let found = compare_dependent(&x, &z, &y).unwrap();
            alarms[0] += usize::from(found.williams_p <= 0.05);
            alarms[1] += usize::from(found.steiger_p <= 0.05);
        }
        alarms
    };
    // Equal correlations: no more false alarms than one in twenty.
    for alarms in share(0.5, 0.5) {
        assert!((25..=most(trials as usize, 0.05)).contains(&alarms), "{alarms}");
    }
    // Unequal ones are found.
    for found in share(0.9, 0.5) {
        assert!(found > 950, "{found}");
    }
}

#[test]
fn too_few_units_compare_nothing() {
    let [x, y, z] = reference();
    assert!(compare_dependent(&x[..3], &z[..3], &y[..3]).is_err());
    assert!(compare_dependent(&x, &z[..19], &y).is_err());
    // The same twice does not differ: 0 of something, or 0/0.
    let same = compare_dependent(&x, &x, &y).unwrap();
    assert!(same.williams_p.is_nan() || same.williams_p == 1.0, "{same:?}");
}
