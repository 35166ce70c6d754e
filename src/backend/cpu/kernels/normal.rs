//! The standard normal distribution in loops that become vectors: no branch and no call, in f64 whatever the precision
//! of what it is for, with the same bits on every machine.

/// Beyond this the distribution function is below the smallest normal number.
const FAR: f64 = 37.5;
/// log2(e)
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln(2), its upper bits and the rest: a whole number below 2^11 times the first is exact.
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
/// Adding 1.5 2^52 rounds to a whole number, and leaves it in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The two series, as long as a precision needs them.
pub struct Series<const E: usize, const C: usize> {
    /// 1/k! from the highest k down to 0, for e^r at |r| <= ln(2)/2.
    exp: [f64; E],
    /// (1 + 2 z) e^(z^2) erfc(z) as a polynomial in (z - 4) / (z + 4), from the highest power down, for all z >= 0: the
    /// interpolant at Chebyshev's nodes, computed with 60 digits. (The substitution is that of M. Shepherd and
    /// J. Laframboise, Mathematics of Computation 36 (1981).)
    scaled_erfc: [f64; C],
}

/// 1/k! from k = N - 1 down to 0.
const fn inverse_factorials<const N: usize>() -> [f64; N] {
    let mut inverses = [1.0; N];
    let (mut k, mut factorial) = (1, 1.0);
    while k < N {
        factorial *= k as f64;
        inverses[N - 1 - k] = 1.0 / factorial;
        k += 1;
    }
    inverses
}

/// Relative errors below 4e-9, for what is rounded to f32.
pub const SINGLE: Series<9, 13> = Series {
    exp: inverse_factorials(),
    scaled_erfc: [
        0.00011660799658166694,
        -0.0002486322974476492,
        -0.0007163394718890914,
        0.005082809154341805,
        -0.016222274556440326,
        0.037139916895707926,
        -0.06632325953594628,
        0.09374044379277174,
        -0.10103995084812757,
        0.06809613205416176,
        0.015379683653270457,
        -0.13962108431457343,
        1.2329951186255526,
    ],
};

/// Relative errors below 5e-17, before rounding.
pub const DOUBLE: Series<14, 24> = Series {
    exp: inverse_factorials(),
    scaled_erfc: [
        9.655408225482863e-10,
        1.5712153638319064e-09,
        -1.2544825403855518e-08,
        -1.6357383982124768e-08,
        1.0683442926744586e-07,
        7.111912428010423e-08,
        -8.218020654813044e-07,
        2.980596055322769e-07,
        5.707239573693257e-06,
        -1.1225140354449658e-05,
        -2.439811794207995e-05,
        0.0001506231178516207,
        -0.00019925700412184815,
        -0.0007577737141838885,
        0.005031970032548695,
        -0.01619773397992426,
        0.0371675155318432,
        -0.06633036582050367,
        0.09373283499865172,
        -0.10103906603585294,
        0.0680970542546862,
        0.015379652102610162,
        -0.1396211168405625,
        1.2329951186255526,
    ],
};

/// Distribution function and density of the standard normal distribution. From -37.5 down the first is 0.
#[inline(always)]
pub fn cdf_and_density<const E: usize, const C: usize>(x: f64, series: &Series<E, C>) -> [f64; 2] {
    let a = x.abs();
    // e^(-a^2/2), a^2 in two parts: rounded as a whole, it would cost the digits of a^2/2 in front of the point.
    let high = f64::from_bits(a.to_bits() & 0xffff_ffff_f800_0000);
    let low = 0.5 * (a - high) * (a + high);
    let bell = exp(-0.5 * high * high, &series.exp) * (1.0 - low * (1.0 - 0.5 * low * (1.0 - low / 3.0)));
    let z = a * std::f64::consts::FRAC_1_SQRT_2;
    let tail = bell * polynomial(&series.scaled_erfc, (z - 4.0) / (z + 4.0)) / (2.0 + 4.0 * z);
    let tail = if a > FAR { 0.0 } else { tail };
    let density =
        if a > FAR { 0.0 } else { bell } * (0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
    [if x < 0.0 { tail } else { 1.0 - tail }, density]
}

/// e^y for y from -708 to 0; below it is not meant to be used.
#[inline(always)]
fn exp<const E: usize>(y: f64, series: &[f64; E]) -> f64 {
    let shifted = y * LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (y - k * LN_2[0]) - k * LN_2[1];
    let power = f64::from_bits((shifted.to_bits().wrapping_add(1023)) << 52);
    polynomial(series, r) * power
}

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum * x + coefficient;
    }
    sum
}
