//! ledger — predicted and measured changes of every property, their parts and running sums, into the row.
//!
//! in 0 products [K K + 4 K], with REMEMBERED [K K + 5 K], see `decompose`   in 1 held [K], with HELD: what holding the
//! norm does, part of decay   in 2 change [K], measured   in 3 value [K], before the update   inout 4 ledger [K, 9]:
//! running sums of the parts, the value after the last recorded step, whether there was one   inout 5 scalars
//! params properties K
//!
//! predicted = selection + lagged + noise + decay + decay_lagged, the last with REMEMBERED, else null; second = measured -
//! predicted. What a property did between two recorded steps is booked as `between`, so that the ledger's total is its
//! change since the first recorded step.

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::RATES;
use crate::plan::layout::{LEDGER_WIDTH, UPDATE_PARTS, update_parts};
use crate::stats::columns;

const DECAY: usize = 3;
const DECAY_LAGGED: usize = 4;
const SECOND: usize = 5;
const BETWEEN: usize = 6;
const LAST: usize = 7;
const STARTED: usize = 8;
/// Places before the parts in a property's columns.
const HEAD: usize = 3;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [properties] = args.params();
    let (products, change, value) = (args.wide("products"), args.wide("change"), args.wide("value"));
    let row = &mut args.wide_mut("scalars")[RATES..];
    let remembered = args.flag("REMEMBERED");
    let count = update_parts(remembered);
    let ledgers = args.wide_mut("ledger").chunks_exact_mut(LEDGER_WIDTH);
    for (x, ledger) in ledgers.enumerate() {
        let mut parts = [0.0; UPDATE_PARTS];
        parts[..count].copy_from_slice(&products[properties * properties + x * count..][..count]);
        if args.flag("HELD") {
            parts[DECAY] += args.wide("held")[x];
        }
        let predicted: f64 = parts.iter().sum();
        let second = change[x] - predicted;
        for (sum, part) in ledger.iter_mut().zip(&parts) {
            *sum += part;
        }
        ledger[SECOND] += second;
        if ledger[STARTED] > 0.0 {
            ledger[BETWEEN] += value[x] - ledger[LAST];
        }
        ledger[LAST] = value[x] + change[x];
        ledger[STARTED] = 1.0;
        let out = &mut row[columns::PROPERTIES + x * columns::PER_PROPERTY..][..columns::PER_PROPERTY];
        out[0] = value[x];
        out[1] = predicted;
        out[2] = change[x];
        out[HEAD..HEAD + UPDATE_PARTS].copy_from_slice(&parts);
        out[HEAD + SECOND] = second;
        let sums = &mut out[columns::PARTS.len()..];
        sums[..=BETWEEN].copy_from_slice(&ledger[..=BETWEEN]);
        sums[BETWEEN + 1] = ledger[..=BETWEEN].iter().sum();
        if !remembered {
            // NaN stands for null.
            out[HEAD + DECAY_LAGGED] = f64::NAN;
            out[columns::PARTS.len() + DECAY_LAGGED] = f64::NAN;
        }
    }
    let first = columns::PROPERTIES + properties * columns::PER_PROPERTY;
    row[first..first + properties * properties].copy_from_slice(&products[..properties * properties]);
}
