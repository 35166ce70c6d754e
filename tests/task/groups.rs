//! The cyclic groups in which operations add.

use gmatrix::config::{ModelConfig, TaskOp};
use gmatrix::task::{Cyclic, Task};
use proptest::prelude::*;

use super::{mlp, task};

#[test]
fn units_modulo_seven_are_powers_of_three() {
    let group = Cyclic::new(TaskOp::Mul, 7).unwrap();
    let powers: Vec<u32> = (0..6).map(|e| group.class(e)).collect();
    assert_eq!((group.order(), powers), (6, vec![1, 3, 2, 6, 4, 5]));
    assert_eq!(
        (group.of_class(0), group.of_class(6), group.of_class(7)),
        (None, Some(3), None)
    );
    assert_eq!((group.of_pair(3, 2), group.of_pair(0, 2)), (Some(3), None));
    for (op, p) in [
        (TaskOp::Mul, 8),
        (TaskOp::Div, 9),
        (TaskOp::SumSquares, 7),
        (TaskOp::S5, 7),
    ] {
        Cyclic::new(op, p).expect_err("no cyclic group");
    }
}

proptest! {
    #[test]
    fn elements_of_pairs_are_those_of_their_labels(
        op in prop_oneof![Just(TaskOp::Add), Just(TaskOp::Sub), Just(TaskOp::Mul), Just(TaskOp::Div)],
        p in prop_oneof![Just(2u32), Just(3), Just(5), Just(13), Just(31)],
        is_mlp: bool,
    ) {
        let model = if is_mlp { mlp(gmatrix::config::MlpInput::OneHot) } else { ModelConfig::default() };
        let group = Cyclic::new(op, p).unwrap();
        let Ok(task) = Task::new(&task(op, p, 0.5), &model) else { return Ok(()) };
        group.check_complete(&[&task.train, &task.test]).unwrap();
        let none = group.order() as u32;
        for (element, label) in group.of_examples(&task.train).into_iter().zip(&task.train.labels) {
            if element == none {
                prop_assert_eq!(*label, 0);
            } else {
                prop_assert_eq!(group.class(element as usize), *label);
                prop_assert_eq!(group.of_class(*label as usize), Some(element as usize));
            }
        }
        // Some pair of elements is missing, or there twice, unless all rows of a split have a factor 0.
        if group.of_examples(&task.test).iter().any(|element| *element != none) {
            prop_assert!(group.check_complete(&[&task.train]).is_err());
            prop_assert!(group.check_complete(&[&task.train, &task.test, &task.test]).is_err());
        }
    }
}
