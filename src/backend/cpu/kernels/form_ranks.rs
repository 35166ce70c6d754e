//! form_ranks — ranks and nulls of one form, in the order of the columns of `raw.`.
//!
//! in 0 sums [8 + N], see `plan::layout`   in 1 eigenvalues [N] ascending (SPECTRUM)   out 2 ranks [9]
//! params n, parameters P   order: ascending, in f64
//!
//! As `rank_statistics`. CENTRED: unit vectors less their mean, with the population form and the null that go with it;
//! null where centring costs more digits than K has to spare.

use super::ranks::{Form, centring_holds};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::layout::{FORM_CONDITION, PER_FORM, SAMPLES};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, parameters] = args.params();
    let (head, diagonal) = args.wide("sums").split_at(PER_FORM);
    let centred = args.flag("CENTRED");
    let eps = S::PRECISION.epsilon();
    let ranks = args.wide_mut("ranks");
    if centred && !centring_holds(head[FORM_CONDITION], eps) {
        ranks.fill(f64::NAN);
        return;
    }
    let units = vec![1.0; if centred { head[SAMPLES] as usize } else { 0 }];
    Form {
        head,
        eigenvalues: args.flag("SPECTRUM").then(|| args.wide("eigenvalues")),
        norms: if centred { &units } else { diagonal },
        centred,
        parameters,
        eps,
    }
    .write(ranks);
}
