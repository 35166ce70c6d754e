//! Price's equation for a population of weighted units: how much of the change of a mean trait is a change of weights,
//! and how much a change of traits.
//!
//! With shares q and q' (weights over their sums), traits z and z', and the mean zbar = sum q z:
//!
//! ```text
//! sum q' z' - sum q z  =  sum (q'_k - q_k)(z_k - zbar)  +  sum q'_k (z'_k - z_k)
//!                         selection                        transmission
//! ```
//!
//! This is wbar Dz = Cov(w, z) + E(w Dz) (Price 1970) with fitness w_k = q'_k/q_k, written so that nothing is divided by
//! q_k: a unit without weight before the step takes part like any other. In groups g with Q_g = sum_g q and
//! Z_g = sum_g q z/Q_g, selection is
//!
//! ```text
//! sum_g (Q'_g - Q_g)(Z_g - zbar)  +  sum_g sum_{k in g} (q'_k - Q'_g q_k/Q_g)(z_k - Z_g)
//! between groups                     within groups
//! ```
//!
//! A group without weight before the step is taken to enter as it is composed after it: its units' traits before the
//! step, weighted by q', and no selection within.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// The change of a mean trait and its terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Mean trait before the step, weighted by q.
    pub mean: f64,
    /// Mean trait after it, weighted by q', less `mean`.
    pub change: f64,
    /// What the change of weights makes of it.
    pub selection: f64,
    /// What the change of traits makes of it.
    pub transmission: f64,
}

impl Price {
    /// |change - selection - transmission| over the sum of the terms' magnitudes: rounding. 0 if all are 0.
    pub fn identity_error(&self) -> f64 {
        relative(
            self.change - self.selection - self.transmission,
            &[self.selection, self.transmission],
        )
    }

    /// |selection| over |selection| + |transmission|; NaN where both are 0.
    pub fn selection_share(&self) -> f64 {
        self.selection.abs() / (self.selection.abs() + self.transmission.abs())
    }
}

/// [`Price`] with selection split into that between groups and that within them.
#[derive(Debug, Clone, PartialEq)]
pub struct Multilevel {
    /// The two-term form.
    pub total: Price,
    /// What the change of the groups' weights makes.
    pub between: f64,
    /// What the change of weights within groups makes: the sum of `groups`.
    pub within: f64,
    /// Every group by its label, in increasing order.
    pub groups: Vec<Group>,
}

/// One group's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Its label.
    pub label: usize,
    /// Q_g before the step and after it.
    pub share: [f64; 2],
    /// Z_g before the step; NaN where the group has no weight on either side of it.
    pub mean: f64,
    /// (Q'_g - Q_g)(Z_g - zbar).
    pub between: f64,
    /// Selection within it.
    pub within: f64,
    /// Its units' part of the transmission.
    pub transmission: f64,
}

impl Multilevel {
    /// As [`Price::identity_error`], of the three-term form.
    pub fn identity_error(&self) -> f64 {
        let terms = [self.between, self.within, self.total.transmission];
        relative(self.total.change - terms.iter().sum::<f64>(), &terms)
    }
}

/// Selection and transmission of a step that takes weights `q` to `q_after` and traits `z` to `z_after`.
///
/// Weights need not sum to 1: shares are taken. A unit that has no weight on either side is left out, and its traits may
/// be NaN.
///
/// # Errors
/// If lengths differ, a weight is negative or not finite, all are 0 on one side, or a trait that counts is not finite.
pub fn price(q: &[f64], q_after: &[f64], z: &[f64], z_after: &[f64]) -> Result<Price> {
    let units = Units::new(q, q_after, z, z_after)?;
    Ok(units.price())
}

/// [`price`] in groups: unit k belongs to `groups[k]`.
///
/// # Errors
/// As [`price`].
pub fn price_in_groups(q: &[f64], q_after: &[f64], z: &[f64], z_after: &[f64], groups: &[usize]) -> Result<Multilevel> {
    if groups.len() != q.len() {
        return Err(Error::shape(format!(
            "{} group labels for {} units, expected one for each",
            groups.len(),
            q.len()
        )));
    }
    let units = Units::new(q, q_after, z, z_after)?;
    let total = units.price();
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (unit, &label) in groups.iter().enumerate() {
        members.entry(label).or_default().push(unit);
    }
    let groups: Vec<Group> = members
        .into_iter()
        .map(|(label, members)| units.group(label, &members))
        .collect();
    let sum = |of: fn(&Group) -> f64| compensated(groups.iter().map(of));
    Ok(Multilevel {
        total,
        between: sum(|group| group.between),
        within: sum(|group| group.within),
        groups,
    })
}

/// Shares, and traits less the mean before the step; traits of units that do not count are 0.
struct Units {
    q: Vec<f64>,
    q_after: Vec<f64>,
    /// z - zbar.
    z: Vec<f64>,
    /// z' - zbar.
    z_after: Vec<f64>,
    mean: f64,
}

impl Units {
    fn new(q: &[f64], q_after: &[f64], z: &[f64], z_after: &[f64]) -> Result<Self> {
        let n = q.len();
        for (name, values) in [("q_after", q_after), ("z", z), ("z_after", z_after)] {
            if values.len() != n {
                return Err(Error::shape(format!(
                    "{name} has {} values, expected {n}, as many as q",
                    values.len()
                )));
            }
        }
        let counts: Vec<bool> = q.iter().zip(q_after).map(|(a, b)| *a != 0.0 || *b != 0.0).collect();
        let traits = |name: &str, values: &[f64]| -> Result<Vec<f64>> {
            (0..n)
                .map(|k| match (counts[k], values[k].is_finite()) {
                    (false, _) => Ok(0.0),
                    (true, true) => Ok(values[k]),
                    (true, false) => Err(Error::numeric(format!(
                        "{name}[{k}] is {}, expected a number, since the unit has weight",
                        values[k]
                    ))),
                })
                .collect()
        };
        let (q, q_after) = (shares("q", q)?, shares("q_after", q_after)?);
        let (z, z_after) = (traits("z", z)?, traits("z_after", z_after)?);
        let mean = compensated(q.iter().zip(&z).map(|(q, z)| q * z));
        let centred = |z: Vec<f64>| z.into_iter().map(|z| z - mean).collect();
        Ok(Self {
            q,
            q_after,
            z: centred(z),
            z_after: centred(z_after),
            mean,
        })
    }

    fn price(&self) -> Price {
        let units = || 0..self.q.len();
        let after = compensated(units().map(|k| self.q_after[k] * self.z_after[k]));
        // What rounding of the mean left over.
        let before = compensated(units().map(|k| self.q[k] * self.z[k]));
        Price {
            mean: self.mean,
            change: after - before,
            selection: compensated(units().map(|k| (self.q_after[k] - self.q[k]) * self.z[k])),
            transmission: compensated(units().map(|k| self.transmission(k))),
        }
    }

    fn transmission(&self, k: usize) -> f64 {
        self.q_after[k] * (self.z_after[k] - self.z[k])
    }

    fn group(&self, label: usize, members: &[usize]) -> Group {
        let sum = |of: &dyn Fn(usize) -> f64| compensated(members.iter().map(|&k| of(k)));
        let share = [sum(&|k| self.q[k]), sum(&|k| self.q_after[k])];
        let transmission = sum(&|k| self.transmission(k));
        let mean = if share[0] > 0.0 {
            sum(&|k| self.q[k] * self.z[k]) / share[0]
        } else if share[1] > 0.0 {
            sum(&|k| self.q_after[k] * self.z[k]) / share[1]
        } else {
            return Group {
                label,
                share,
                mean: f64::NAN,
                between: 0.0,
                within: 0.0,
                transmission,
            };
        };
        let within = if share[0] > 0.0 {
            sum(&|k| (self.q_after[k] - share[1] * (self.q[k] / share[0])) * (self.z[k] - mean))
        } else {
            0.0
        };
        Group {
            label,
            share,
            mean: mean + self.mean,
            between: (share[1] - share[0]) * mean,
            within,
            transmission,
        }
    }
}

fn shares(name: &str, weights: &[f64]) -> Result<Vec<f64>> {
    if let Some(k) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
        return Err(Error::numeric(format!(
            "{name}[{k}] is {}, expected a weight of at least 0",
            weights[k]
        )));
    }
    // Divided by the largest first, so that neither huge nor tiny weights leave the range of f64.
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return Err(Error::numeric(format!("{name} has no weight above 0")));
    }
    let total = compensated(weights.iter().map(|w| w / largest));
    Ok(weights.iter().map(|w| w / largest / total).collect())
}

fn relative(error: f64, terms: &[f64]) -> f64 {
    let scale: f64 = terms.iter().map(|x| x.abs()).sum();
    if error == 0.0 { 0.0 } else { error.abs() / scale }
}

/// Neumaier's sum: the rounding of every addition is kept and added at the end.
fn compensated(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() {
            (sum - next) + value
        } else {
            (value - next) + sum
        };
        sum = next;
    }
    sum + lost
}
