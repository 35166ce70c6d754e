//! Survival curves, against SciPy 1.17 (`stats.ecdf` with log-log intervals) on the remission times of Freireich et al. (1963).

use gmatrix::analysis::survival::{kaplan_meier, median};

#[test]
fn remission_times_survive_as_scipy_says() {
    let times = [
        6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35,
    ]
    .map(f64::from);
    let seen = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0].map(|flag| flag == 1);
    let curve = kaplan_meier(&times, &seen).unwrap();
    let expected = [
        (6.0, 0.8571428571428571, 0.6197179552659838, 0.951551747646997),
        (7.0, 0.8067226890756302, 0.5631465646222333, 0.9228090192028804),
        (10.0, 0.7529411764705881, 0.5031995107999564, 0.8893618351692655),
        (13.0, 0.6901960784313724, 0.43161022248618397, 0.8490659633494507),
        (16.0, 0.6274509803921567, 0.36751085598750205, 0.8049121894718412),
        (22.0, 0.53781512605042, 0.26777893676713505, 0.7467907176353944),
        (23.0, 0.4481792717086834, 0.18805200595923235, 0.6801426284952414),
    ];
    assert_eq!(curve.len(), expected.len());
    for (point, (time, share, low, high)) in curve.iter().zip(expected) {
        assert_eq!(point.time, time);
        for (found, expected) in [(point.share, share), (point.interval.0, low), (point.interval.1, high)] {
            assert!((found - expected).abs() < 1e-9, "{time}: {found} against {expected}");
        }
    }
    assert_eq!((curve[0].at_risk, curve[0].events), (21, 3));
    assert_eq!(median(&curve), Some(23.0));
}

#[test]
fn what_was_never_seen_has_no_curve_and_what_always_was_ends_at_zero() {
    assert_eq!(kaplan_meier(&[3.0, 4.0], &[false, false]).unwrap(), []);
    let curve = kaplan_meier(&[1.0, 2.0, 3.0, 4.0], &[true; 4]).unwrap();
    assert_eq!(curve[3].share, 0.0);
    assert!(curve[3].interval.0.is_nan());
    assert_eq!(median(&curve), Some(2.0));
    assert_eq!(median(&curve[..1]), None);
    assert!(kaplan_meier(&[1.0], &[]).is_err());
    assert!(kaplan_meier(&[f64::NAN], &[true]).is_err());
}
