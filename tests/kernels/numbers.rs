//! The numbers oracles compute with: f32 and f64 for the naive loop whose error sets the bound, [`Truth`] for the
//! reference.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What an oracle's loop is written in.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    fn new(x: f64) -> Self;
    fn value(self) -> f64;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sqrt(self) -> Self;
    fn erfc(self) -> Self;

    fn abs(self) -> Self {
        if self < Self::new(0.0) { -self } else { self }
    }
}

/// Sum in the given order.
pub fn sum<T: Real>(terms: impl IntoIterator<Item = T>) -> T {
    terms.into_iter().fold(T::new(0.0), |sum, term| sum + term)
}

/// The largest of some numbers.
pub fn largest<T: Real>(values: impl IntoIterator<Item = T>) -> Option<T> {
    values.into_iter().reduce(|a, b| if b > a { b } else { a })
}

macro_rules! native {
    ($type:ident, $erfc:path) => {
        impl Real for $type {
            fn new(x: f64) -> Self {
                x as $type
            }
            fn value(self) -> f64 {
                self.into()
            }
            fn exp(self) -> Self {
                $type::exp(self)
            }
            fn ln(self) -> Self {
                $type::ln(self)
            }
            fn ln_1p(self) -> Self {
                $type::ln_1p(self)
            }
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            fn erfc(self) -> Self {
                $erfc(self)
            }
        }
    };
}

native!(f32, libm::erfcf);
native!(f64, libm::erfc);

/// A number of about 31 digits (the unevaluated sum of two f64) with the scale of the terms it was made of: sums of
/// absolute values, carried through every operation. Errors are measured against that scale, so a result that cancels
/// is not asked for digits it cannot have.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    high: f64,
    low: f64,
    scale: f64,
}

impl Truth {
    fn of(high: f64, low: f64, scale: f64) -> Self {
        let sum = high + low;
        // Infinities have no rest.
        let low = if sum.is_finite() { low - (sum - high) } else { 0.0 };
        Self {
            high: sum,
            low,
            scale: scale.max(sum.abs()),
        }
    }

    /// What its errors are measured against; at least its absolute value.
    pub fn scale(self) -> f64 {
        self.scale
    }

    /// This minus a number of fewer digits.
    pub fn minus(self, x: f64) -> f64 {
        (self.high - x) + self.low
    }

    fn scaled(self, scale: f64) -> Self {
        Self {
            scale: scale.max(self.high.abs()),
            ..self
        }
    }

    /// e^x of the digits alone: x = k ln 2 + 512 r, a Taylor series in r, squared nine times.
    fn exponential(self) -> Self {
        const LN2: [f64; 2] = [std::f64::consts::LN_2, 2.319_046_813_846_3e-17];
        if !(self.high > -745.0 && self.high < 709.0) {
            return Self::of(self.high.exp(), 0.0, 0.0);
        }
        let k = (self.high / LN2[0]).round();
        let r = self - Self::of(LN2[0], LN2[1], 0.0) * Self::new(k);
        let r = r * Self::new((-9f64).exp2());
        let mut term = Self::new(1.0);
        let mut total = term;
        for j in 1..12 {
            term = term * r / Self::new(f64::from(j));
            total = total + term;
        }
        for _ in 0..9 {
            total = total * total;
        }
        // In two factors, since 2^k alone may be subnormal.
        let half = (k / 2.0).trunc();
        let (a, b) = (half.exp2(), (k - half).exp2());
        Self::of(total.high * a * b, total.low * a * b, 0.0)
    }

    fn logarithm(self) -> Self {
        if !(self.high > 0.0 && self.high.is_finite()) {
            return Self::of(self.high.ln(), 0.0, 0.0);
        }
        let guess = Self::new(self.high.ln());
        guess + (self * (-guess).exponential() - Self::new(1.0))
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

impl Add for Truth {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (high, low) = two_sum(self.high, other.high);
        let (rest, last) = two_sum(self.low, other.low);
        Self::of(high, low + rest + last, self.scale + other.scale)
    }
}

impl Neg for Truth {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            high: -self.high,
            low: -self.low,
            ..self
        }
    }
}

impl Sub for Truth {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Truth {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let low = self.high.mul_add(other.high, -high) + (self.high * other.low + self.low * other.high);
        Self::of(high, low, self.scale * other.scale)
    }
}

impl Div for Truth {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let scale = self.scale / other.high.abs() + self.high.abs() * other.scale / (other.high * other.high);
        let first = self.high / other.high;
        if !first.is_finite() {
            return Self::of(first, 0.0, 0.0);
        }
        let rest = self - other * Self::new(first);
        Self::of(first, rest.high / other.high, scale)
    }
}

impl PartialEq for Truth {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Truth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.high.partial_cmp(&other.high) {
            Some(Ordering::Equal) => self.low.partial_cmp(&other.low),
            order => order,
        }
    }
}

impl Real for Truth {
    fn new(x: f64) -> Self {
        Self {
            high: x,
            low: 0.0,
            scale: x.abs(),
        }
    }
    fn value(self) -> f64 {
        self.high
    }
    fn exp(self) -> Self {
        let y = self.exponential();
        // An error of the argument becomes a relative one.
        y.scaled(y.high * self.scale.max(1.0))
    }
    fn ln(self) -> Self {
        self.logarithm().scaled(self.scale / self.high.abs())
    }
    fn ln_1p(self) -> Self {
        // The sum keeps both, however small x is.
        let sum = Self::new(1.0) + self;
        sum.logarithm().scaled(self.scale / sum.high.abs())
    }
    fn sqrt(self) -> Self {
        let root = self.high.sqrt();
        if !(root > 0.0 && root.is_finite()) {
            return Self::of(root, 0.0, self.scale.sqrt());
        }
        let rest = self - Self::new(root) * Self::new(root);
        Self::of(root, rest.high / (2.0 * root), self.scale / root)
    }
    fn erfc(self) -> Self {
        // Good to the last place of f64, which the floor of every bound covers.
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-self.high * self.high).exp();
        Self::of(libm::erfc(self.high), -slope * self.low, slope * self.scale)
    }
}

#[test]
fn truth_has_more_digits_than_f64() {
    let third = Truth::new(1.0) / Truth::new(3.0);
    let one = third + third + third;
    assert!(one.minus(1.0).abs() < 1e-31);
    for x in [-600.0, -30.25, -1e-20, 0.0, 1e-9, 0.7, 55.5] {
        let back = Truth::new(x).exponential().logarithm();
        assert!(
            back.minus(x).abs() < 1e-29 * f64::max(1.0, f64::abs(x)),
            "{x}: {}",
            back.minus(x)
        );
    }
    assert!((Truth::new(2.0).sqrt() * Truth::new(2.0).sqrt()).minus(2.0).abs() < 1e-31);
    assert!((Truth::new(1e-80).ln_1p().value() / 1e-80 - 1.0).abs() < 1e-15);
}
