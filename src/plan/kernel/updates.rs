//! The optimiser, and what its update does to properties.

use super::BLOCK;
use super::parts::{choice, flag, no_flops, one, product, read, update, when, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// One update of the weights. moments `[3, P]`: m, v, previous gradient; `[4, P]` under rules that remember decay
    /// (1, 2, 4), with decay's own share of m. spans: ends and group of each tensor. partial `[blocks, 7]`: |theta|^2,
    /// |g|^2, |update|^2, g.g_prev, |g_prev|^2, g.m_prev, |m_prev|^2.
    /// OPTIMIZER 0 sgd, 1 momentum, 2 adam (coupled L2), 3 adamw, 4 nesterov. With SHAPED the update follows the first
    /// row of `shaped`, and the sums are still about `gradient`.
    OPTIMIZER = "optimizer" {
        bindings: [
            update("theta", Real), read("gradient", Real), when(read("shaped", Real), "SHAPED"),
            update("moments", Real), read("scalars", Wide), read("spans", Word), write("partial", Wide),
        ],
        params: [len, tensors],
        constants: [choice("OPTIMIZER", &[0, 1, 2, 3, 4]), flag("SHAPED")],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 30 * u64::from(p[0]),
    }
    /// Norms of the step's vectors and their cosines, from the optimiser's sums; with HELD, `distance` `[1]` is the squared
    /// norm of the whole update.
    UPDATE_STATISTICS = "update_statistics" {
        bindings: [read("sums", Wide), when(read("distance", Wide), "HELD"), update("scalars", Wide)],
        params: [],
        constants: [flag("HELD")],
        items: one,
        flops: no_flops,
    }
    /// gradients `[1 + K, P]`: the step's, then one per property. partial `[blocks, K * K + parts K]`: products of the
    /// property gradients with each other, then of each with the selection, lagged, noise and decay parts of the coming
    /// update, and with decay_lagged where the rule remembers decay (1, 2, 4); row `full` of gradients is the mean gradient over the whole training split. With SHAPED, `shaped` `[3, P]` holds
    /// what the optimiser takes, what of it the step's gradient gives now, and what the whole split's would give now;
    /// `full` is then a row of it.
    DECOMPOSE = "decompose" {
        bindings: [
            read("gradients", Real), when(read("shaped", Real), "SHAPED"), read("theta", Real),
            read("moments", Real), read("scalars", Wide), read("spans", Word), write("partial", Wide),
        ],
        params: [len, tensors, properties, full],
        constants: [choice("OPTIMIZER", &[0, 1, 2, 3, 4]), flag("SHAPED")],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 2 * u64::from(p[0]) * (product(p, &[2, 2]) + 4 * u64::from(p[2])),
    }
    /// Predicted and measured changes, their parts, and the ledger, into the row; with HELD, `held` `[K]` is added to the
    /// decay parts. With REMEMBERED there is a part decay_lagged, else its columns are null.
    LEDGER = "ledger" {
        bindings: [
            read("products", Wide), when(read("held", Wide), "HELD"), read("change", Wide), read("value", Wide),
            update("ledger", Wide), update("scalars", Wide),
        ],
        params: [properties],
        constants: [flag("HELD"), flag("REMEMBERED")],
        items: |p| p[0].into(),
        flops: no_flops,
    }
}
