//! Cotangents that carry a power of two of their own, so that no loss is too small for them.

use crate::backend::cpu::Scalar;

/// The logits other than one, relative to the largest of them.
pub struct Competitors {
    /// Q = sum over j != y of exp(z_j - m2).
    pub sum: f64,
    /// m2 - m, with m the largest of all logits: at most 0.
    pub behind: f64,
    /// z_y - m: at most 0.
    pub own: f64,
    /// Sum over all j of exp(z_j - m).
    pub partition: f64,
}

/// Fills `q` with exp(z_j - m2) (0 at y), m2 the largest logit but z_y, and returns what softmax is made of.
pub fn competitors<S: Scalar>(z: &[S], y: usize, q: &mut [S]) -> Competitors {
    let others = z[..y].iter().chain(&z[y + 1..]).copied();
    let second = others.fold(S::from_f64(f64::NEG_INFINITY), S::max);
    let mut sum = 0.0;
    for (j, (to, v)) in q.iter_mut().zip(z).enumerate() {
        *to = if j == y { S::ZERO } else { S::exp(*v - second) };
        sum += to.to_f64();
    }
    let (own, second) = (z[y].to_f64(), second.to_f64());
    let largest = own.max(second);
    Competitors {
        sum: if z.len() == 1 { 0.0 } else { sum },
        behind: second - largest,
        own: own - largest,
        partition: (own - largest).exp() + sum * (second - largest).exp(),
    }
}

/// x e^log as mantissa in [1/2, 1) and power of two; x > 0.
pub fn scale_to_unit(x: f64, log: f64) -> (f64, i32) {
    // ln 2 in two parts, the first so short that its multiples are exact: what remains of `log` keeps its digits.
    const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    let whole = (log * std::f64::consts::LOG2_E).round();
    let rest = (log - whole * LN_2[0]) - whole * LN_2[1];
    let (mantissa, power) = libm::frexp(x * rest.exp());
    (mantissa, power + whole as i32)
}

/// Scales a vector by a power of two so that its largest magnitude lies in [1/2, 1); returns the power. A zero vector
/// keeps 0, as does one that is not finite.
pub fn scale_by<S: Scalar>(vector: &mut [S]) -> i32 {
    let largest = vector.iter().fold(S::ZERO, |m, v| S::max(m, S::abs(*v)));
    if largest == S::ZERO || !S::is_finite(largest) {
        return 0;
    }
    let (_, power) = libm::frexp(largest.to_f64());
    // In two factors: that of a subnormal vector exceeds the range of its numbers.
    let first = -power / 2;
    let factors = [S::exp2i(first), S::exp2i(-power - first)];
    vector.iter_mut().for_each(|v| *v = *v * factors[0] * factors[1]);
    -power
}
