// math — what WGSL lacks or leaves to drivers: tests for NaN that no compiler may drop, powers of two, exp and log to
// an ulp or two (WGSL allows log an absolute error of 2^-21 near 1), the normal distribution function.
//
// exp and log follow Cephes (Moshier), erfc FreeBSD's s_erff.c.

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// Constant expressions may not be infinite, so they hide behind the launch's zero.
fn infinite() -> f32 {
    return bitcast<f32>(0x7f800000u ^ launch.zero);
}

fn not_a_number() -> f32 {
    return bitcast<f32>(0x7fc00000u ^ launch.zero);
}

/// 2^exponent; 0 below the smallest subnormal number.
fn exp2i(exponent: i32) -> f32 {
    if exponent > 127 {
        return infinite();
    }
    if exponent < -126 {
        return bitcast<f32>(select(0u, 1u << u32(max(exponent + 149, 0)), exponent >= -149));
    }
    return bitcast<f32>(u32(exponent + 127) << 23u);
}

/// x * 2^exponent, in two factors, so that neither leaves the range before the product does.
fn scale(x: f32, exponent: i32) -> f32 {
    let bounded = clamp(exponent, -300, 250);
    let half = bounded / 2;
    return x * exp2i(half) * exp2i(bounded - half);
}

/// x = fraction * 2^exponent with a fraction in [1/2, 1); x > 0 and finite.
struct Parts {
    fraction: f32,
    exponent: i32,
}

fn parts(x: f32) -> Parts {
    var bits = bitcast<u32>(x);
    var exponent = -126;
    if bits < 0x800000u {
        bits = bitcast<u32>(x * 16777216.0);
        exponent -= 24;
    }
    return Parts(bitcast<f32>((bits & 0x7fffffu) | 0x3f000000u), exponent + i32(bits >> 23u));
}

/// e^x = fraction * 2^exponent with a fraction near 1, for any x.
fn exp_parts(x: f32) -> Parts {
    let bounded = select(clamp(x, -1e6, 1e6), x, is_nan(x));
    let turns = round(bounded * 1.44269504);
    let r = (bounded - turns * 0.693359375) + turns * 2.12194440e-4;
    var y = 1.9875691500e-4;
    y = y * r + 1.3981999507e-3;
    y = y * r + 8.3334519073e-3;
    y = y * r + 4.1665795894e-2;
    y = y * r + 1.6666665459e-1;
    y = y * r + 5.0000001201e-1;
    return Parts(y * r * r + r + 1.0, i32(turns));
}

fn exp_exact(x: f32) -> f32 {
    let p = exp_parts(x);
    return scale(p.fraction, p.exponent);
}

/// Natural logarithm; of 0 minus infinity, of a negative number NaN.
fn log_exact(x: f32) -> f32 {
    if !(x > 0.0) || !is_finite(x) {
        return select(select(not_a_number(), -infinite(), x == 0.0), x, x > 0.0);
    }
    var p = parts(x);
    var f = p.fraction - 1.0;
    if p.fraction < 0.707106781 {
        p.exponent -= 1;
        f = p.fraction + p.fraction - 1.0;
    }
    let z = f * f;
    var y = 7.0376836292e-2;
    y = y * f - 1.1514610310e-1;
    y = y * f + 1.1676998740e-1;
    y = y * f - 1.2420140846e-1;
    y = y * f + 1.4249322787e-1;
    y = y * f - 1.6668057665e-1;
    y = y * f + 2.0000714765e-1;
    y = y * f - 2.4999993993e-1;
    y = y * f + 3.3333331174e-1;
    let e = f32(p.exponent);
    return (f + (y * f * z - e * 2.12194440e-4 - 0.5 * z)) + e * 0.693359375;
}

/// ln(1 + x) for x >= 0.
fn log_1p(x: f32) -> f32 {
    let sum = bitcast<f32>(bitcast<u32>(1.0 + x) ^ launch.zero);
    if !is_finite(sum) {
        return log_exact(sum);
    }
    let lost = select(x - (sum - 1.0), 1.0 - (sum - x), x > 1.0);
    return log_exact(sum) + lost / sum;
}

fn erfc_tail(x: f32) -> f32 {
    let a = abs(x);
    if a < 1.25 {
        let s = a - 1.0;
        let p = -2.3621185683e-3 + s * (4.1485610604e-1 + s * (-3.7220788002e-1 + s * (3.1834661961e-1
            + s * (-1.1089469492e-1 + s * (3.5478305072e-2 + s * -2.1663755178e-3)))));
        let q = 1.0 + s * (1.0642088205e-1 + s * (5.4039794207e-1 + s * (7.1828655899e-2
            + s * (1.2617121637e-1 + s * (1.3637083583e-2 + s * 1.1984500103e-2)))));
        return 1.0 - 8.4506291151e-1 - p / q;
    }
    let s = 1.0 / (a * a);
    var p: f32;
    var q: f32;
    if a < 2.857142857 {
        p = -9.8649440333e-3 + s * (-6.9385856390e-1 + s * (-1.0558626175e+1 + s * (-6.2375331879e+1
            + s * (-1.6239666748e+2 + s * (-1.8460508728e+2 + s * (-8.1287437439e+1 + s * -9.8143291473e+0))))));
        q = 1.0 + s * (1.9651271820e+1 + s * (1.3765776062e+2 + s * (4.3456588745e+2 + s * (6.4538726807e+2
            + s * (4.2900814819e+2 + s * (1.0863500214e+2 + s * (6.5702495575e+0 + s * -6.0424413532e-2)))))));
    } else {
        p = -9.8649431020e-3 + s * (-7.9928326607e-1 + s * (-1.7757955551e+1 + s * (-1.6063638306e+2
            + s * (-6.3756646729e+2 + s * (-1.0250950928e+3 + s * -4.8351919556e+2)))));
        q = 1.0 + s * (3.0338060379e+1 + s * (3.2579251099e+2 + s * (1.5367296143e+3 + s * (3.1998581543e+3
            + s * (2.5530502930e+3 + s * (4.7452853394e+2 + s * -2.2440952301e+1))))));
    }
    let z = bitcast<f32>(bitcast<u32>(a) & 0xffffe000u);
    return exp_exact(-z * z - 0.5625) * exp_exact((z - a) * (z + a) + p / q) / a;
}

fn erfc(x: f32) -> f32 {
    if is_nan(x) {
        return x;
    }
    if abs(x) < 0.84375 {
        let z = x * x;
        let p = 1.2837916613e-1 + z * (-3.2504209876e-1 + z * (-2.8481749818e-2 + z * (-5.7702702470e-3
            + z * -2.3763017452e-5)));
        let q = 1.0 + z * (3.9791721106e-1 + z * (6.5022252500e-2 + z * (5.0813062117e-3 + z * (1.3249473704e-4
            + z * -3.9602282413e-6))));
        let y = p / q;
        return select(0.5 - (x - 0.5 + x * y), 1.0 - (x + x * y), x < 0.25);
    }
    if abs(x) > 28.0 {
        return select(0.0, 2.0, x < 0.0);
    }
    let tail = erfc_tail(x);
    return select(tail, 2.0 - tail, x < 0.0);
}

/// The standard normal distribution function.
fn normal_cdf(x: f32) -> f32 {
    return 0.5 * erfc(-x * 0.707106781);
}
