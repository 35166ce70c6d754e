//! The claims of `gmatrix theory`: what each is found to be, that a seed gives the same numbers, and that checks can fail.

use gmatrix::theory::{Claim, Expected, claims};

fn claim(all: &[Claim], number: u32) -> &Claim {
    all.iter().find(|claim| claim.number == number).unwrap()
}

/// The measured number of the one check or prediction that has these words.
#[track_caller]
fn measured(claim: &Claim, words: &str) -> f64 {
    let mut found = claim
        .checks
        .iter()
        .chain(&claim.predictions)
        .filter(|check| check.quantity.contains(words));
    let check = found.next().unwrap_or_else(|| panic!("no {words}"));
    assert!(found.next().is_none(), "more than one {words}");
    check.measured
}

#[test]
fn what_each_claim_is_found_to_be() {
    let all = claims(0).unwrap();
    let numbers: Vec<u32> = all.iter().map(|claim| claim.number).collect();
    assert_eq!(numbers, [20, 21, 22, 23, 24, 25, 26]);
    for claim in &all {
        assert_eq!(claim.holds, claim.number != 23, "{claim:#?}");
        // What the arithmetic predicts beside it comes out as well, but for one guess about AdamW.
        for check in &claim.predictions {
            assert!(check.met || claim.number == 26, "{check:?}");
        }
    }
    // Where a claim is too simple, the missing term shows.
    assert!(measured(claim(&all, 22), "by f ntvar(a) alone") < 0.99);
    assert!(measured(claim(&all, 23), "softmax: slope of ln ntvar(p) on ln p(1-p), lower") > 1.5);
    // Plain ntcov is not what Adam follows; with its metric, moments and decay it is.
    let realistic = claim(&all, 25);
    assert!(measured(realistic, "Adam: least R^2, plain") < 0.0);
    assert!(measured(realistic, "Adam: least R^2 of all") > 0.999);
    assert!(measured(realistic, "AdamW, minibatch: least R^2, + lagged") < 0.5);
    assert!(measured(claim(&all, 26), "Adam's metric less") < 0.0);

    assert_eq!(all, claims(0).unwrap());
}

#[test]
fn bounds_are_bounds() {
    assert!(Expected::AtMost(1.0).met(1.0) && !Expected::AtMost(1.0).met(1.1));
    assert!(Expected::AtLeast(1.0).met(1.0) && !Expected::AtLeast(1.0).met(0.9));
    let within = Expected::Within(0.9, 1.1);
    assert!(within.met(0.9) && within.met(1.1) && !within.met(0.89) && !within.met(1.11));
    for expected in [Expected::AtMost(1.0), Expected::AtLeast(1.0), within, Expected::Any] {
        assert!(!expected.met(f64::NAN));
    }
    assert_eq!(Expected::AtMost(1e-12).to_string(), "<= 1e-12");
    assert_eq!(within.to_string(), "0.9 to 1.1");
}
