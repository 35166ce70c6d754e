//! rank_statistics — agreement, ranks and nulls of the three forms, into the row.
//!
//! in 0 sums [32 + 3 N], see `plan::layout`   in 1 eigenvalues [3, N] ascending (SPECTRUM)   inout 2 scalars
//! params n, parameters P   order: ascending, in f64
//!
//! Ranks as in SCIENCE of the docs: erank (Roy & Vetterli 2007) on singular values and on eigenvalues, participation
//! ratio with its population form, stable rank; eigenvalues below 4 N eps lambda_max are dropped, eps that in which K
//! was formed. Centred statistics are null where centring costs more digits than K has to spare.

use crate::plan::layout::{
    CENTRED, CONDITION, COSINE, COSINE_MIN, COSINE_SUM, HEAD, NEGATIVE, PAIRS, PER_FORM, RAW,
};
use super::ranks::{Form, centring_holds};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::RATES;
use crate::stats::columns;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, parameters] = args.params();
    let sums = args.wide("sums");
    let spectrum = args.flag("SPECTRUM").then(|| args.wide("eigenvalues"));
    let eps = S::PRECISION.epsilon();
    let row = &mut args.wide_mut("scalars")[RATES..];
    row[columns::N] = n as f64;
    row[columns::PARAMETERS] = parameters as f64;
    row[columns::MEAN_COSINE] = sums[COSINE_SUM] / sums[PAIRS];
    row[columns::MIN_COSINE] = if sums[PAIRS] > 0.0 { sums[COSINE_MIN] } else { f64::NAN };
    row[columns::NEGATIVE_FRACTION] = sums[NEGATIVE] / sums[PAIRS];
    // Where nothing is left after centring, as of a single sample, there is no condition.
    row[columns::CENTRING_CONDITION] = if sums[CONDITION].is_finite() { sums[CONDITION] } else { f64::NAN };
    for (form, first) in [(RAW, columns::RAW), (COSINE, columns::COSINE), (CENTRED, columns::CENTRED)] {
        let out = &mut row[first..first + columns::FORM];
        let centred = form == CENTRED;
        if centred && !centring_holds(sums[CONDITION], eps) {
            out.fill(f64::NAN);
            continue;
        }
        // The centred null centres directions that have the raw norms.
        let norms = if centred { RAW } else { form };
        Form {
            head: &sums[form * PER_FORM..],
            eigenvalues: spectrum.map(|values| &values[form * n..][..n]),
            norms: &sums[HEAD + norms * n..][..n],
            centred,
            parameters,
            eps,
        }
        .write(out);
    }
}
