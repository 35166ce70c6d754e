//! Measures of concentration.

use gmatrix::structure::weights::gini;

#[test]
fn gini_of_equal_and_of_single_numbers() {
    assert!(gini(&[2.0; 5]).abs() < 1e-15);
    assert!((gini(&[0.0, 0.0, 0.0, 7.0]) - 0.75).abs() < 1e-15);
    assert!((gini(&[1.0, 3.0]) - 0.25).abs() < 1e-15);
    assert!((gini(&[3.0, 1.0]) - 0.25).abs() < 1e-15);
    assert!(gini(&[0.0, 0.0]).is_nan());
}
