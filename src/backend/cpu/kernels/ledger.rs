//! ledger — predicted and measured changes of every property, their parts and running sums, into the row.
//!
//! in 0 products [K K + 4 K], see `decompose`   in 1 held [K], with HELD: what holding the norm does, part of decay
//! in 2 change [K], measured   in 3 value [K], before the update   inout 4 ledger [K, 8]: running sums of the parts, the
//! value after the last recorded step, whether there was one   inout 5 scalars   params properties K
//!
//! predicted = selection + lagged + noise + decay; second = measured - predicted. What a property did between two
//! recorded steps is booked as `between`, so that the ledger's total is its change since the first recorded step.

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::RATES;
use crate::plan::layout::{LEDGER_WIDTH, UPDATE_PARTS};
use crate::stats::columns;

const DECAY: usize = 3;
const SECOND: usize = 4;
const BETWEEN: usize = 5;
const LAST: usize = 6;
const STARTED: usize = 7;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [properties] = args.params();
    let (products, change, value) = (args.wide("products"), args.wide("change"), args.wide("value"));
    let row = &mut args.wide_mut("scalars")[RATES..];
    let ledgers = args.wide_mut("ledger").chunks_exact_mut(LEDGER_WIDTH);
    for (x, ledger) in ledgers.enumerate() {
        let mut parts = [0.0; UPDATE_PARTS];
        parts.copy_from_slice(&products[properties * properties + x * UPDATE_PARTS..][..UPDATE_PARTS]);
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
        out[3..7].copy_from_slice(&parts);
        out[7] = second;
        let sums = &mut out[columns::PARTS.len()..];
        sums[..=BETWEEN].copy_from_slice(&ledger[..=BETWEEN]);
        sums[BETWEEN + 1] = ledger[..=BETWEEN].iter().sum();
    }
    let first = columns::PROPERTIES + properties * columns::PER_PROPERTY;
    row[first..first + properties * properties].copy_from_slice(&products[..properties * properties]);
}
