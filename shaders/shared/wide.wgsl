// wide — numbers of 44 bits and more as pairs (high, low) of f32: high is the f32 nearest to their sum.
//
// Compilers may contract a * b + c and simplify (a + b) - a; either would destroy low halves, and fma is no way out,
// since some drivers round it twice. So each sum whose rounding matters passes through `opaque`: an exclusive-or with a
// zero that only the uniform buffer knows. On lavapipe sums keep 15 digits with it, and 7 without. Products are formed
// from halves of 12 bits, exactly.
// The range is that of f32: what is below 1e-38 becomes 0. The low half of a number that is not finite means nothing.

fn opaque(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ launch.zero);
}

/// a + b exactly.
fn two_sum(a: f32, b: f32) -> vec2<f32> {
    let sum = opaque(a + b);
    let other = opaque(sum - a);
    let lost_a = opaque(a - opaque(sum - other));
    let lost_b = opaque(b - other);
    return vec2(sum, opaque(lost_a + lost_b));
}

/// a + b exactly, where |a| >= |b|.
fn quick_two_sum(a: f32, b: f32) -> vec2<f32> {
    let sum = opaque(a + b);
    return vec2(sum, opaque(b - opaque(sum - a)));
}

/// The upper 12 bits, rounded, so that what remains has 12 with its sign.
fn upper(x: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) + 0x800u) & 0xfffff000u);
}

/// a * b exactly, unless it or what it lacks is below the range of f32.
fn two_product(a: f32, b: f32) -> vec2<f32> {
    let product = opaque(a * b);
    let a1 = upper(a);
    let a2 = opaque(a - a1);
    let b1 = upper(b);
    let b2 = opaque(b - b1);
    let first = opaque(opaque(a1 * b1) - product);
    let second = opaque(opaque(first + opaque(a1 * b2)) + opaque(a2 * b1));
    return vec2(product, opaque(second + opaque(a2 * b2)));
}

fn wide(x: f32) -> vec2<f32> {
    return vec2(x, 0.0);
}

fn wide_from_word(x: u32) -> vec2<f32> {
    return quick_two_sum(f32(x & 0xffff0000u), f32(x & 0xffffu));
}

/// The f32 nearest to it.
fn narrow(x: vec2<f32>) -> f32 {
    return x.x;
}

fn wide_add(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    let high = two_sum(x.x, y.x);
    let low = two_sum(x.y, y.y);
    let first = quick_two_sum(high.x, opaque(high.y + low.x));
    return quick_two_sum(first.x, opaque(first.y + low.y));
}

fn wide_sub(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    return wide_add(x, -y);
}

fn wide_mul(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    let product = two_product(x.x, y.x);
    if !is_finite(product.x) {
        return product;
    }
    return quick_two_sum(product.x, opaque(product.y + opaque(x.x * y.y + x.y * y.x)));
}

/// x / y; of zeros the quotient is NaN, of another number and zero infinite.
fn wide_div(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    if y.x == 0.0 {
        return wide(select(infinite(), not_a_number(), x.x == 0.0 || is_nan(x.x)));
    }
    let first = opaque(x.x / y.x);
    if !is_finite(first) || !is_finite(y.x) {
        return wide(first);
    }
    var rest = wide_sub(x, wide_mul(y, wide(first)));
    let second = opaque(rest.x / y.x);
    rest = wide_sub(rest, wide_mul(y, wide(second)));
    return wide_add(quick_two_sum(first, second), wide(opaque(rest.x / y.x)));
}

/// Square root; of a negative number NaN.
fn wide_sqrt(x: vec2<f32>) -> vec2<f32> {
    if x.x < 0.0 {
        return wide(not_a_number());
    }
    let root = opaque(sqrt(x.x));
    if x.x == 0.0 || !is_finite(root) {
        return wide(root);
    }
    let rest = wide_sub(x, two_product(root, root));
    return quick_two_sum(root, opaque(rest.x / (root + root)));
}

fn wide_less(x: vec2<f32>, y: vec2<f32>) -> bool {
    return x.x < y.x || (x.x == y.x && x.y < y.y);
}

fn wide_min(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    return select(y, x, wide_less(x, y));
}

fn wide_max(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    return select(x, y, wide_less(x, y));
}

/// The same without what is below the 53 bits that a checkpoint keeps: so must be what outlives a step.
fn storable(x: vec2<f32>) -> vec2<f32> {
    let high = i32((bitcast<u32>(x.x) >> 23u) & 0xffu);
    let low = i32((bitcast<u32>(x.y) >> 23u) & 0xffu);
    let dropped = (high - 52) - (low - 23);
    if dropped <= 0 {
        return x;
    }
    return vec2(x.x, bitcast<f32>(select(0u, bitcast<u32>(x.y) & (0xffffffffu << u32(min(dropped, 23))), dropped < 24)));
}

/// e^x - 1 to a relative error of 1e-11, for x <= 0.
fn wide_exp_m1(x: vec2<f32>) -> vec2<f32> {
    if x.x < -60.0 {
        return wide(-1.0);
    }
    // Halved until |x| <= 1/16, where twelve terms suffice; then e^2x - 1 = (e^x - 1)(e^x - 1 + 2) as often.
    var reduced = x;
    var halvings = 0u;
    while reduced.x < -0.0625 {
        reduced *= 0.5;
        halvings += 1u;
    }
    var sum = wide(1.0);
    for (var k = 12u; k >= 2u; k -= 1u) {
        sum = wide_add(wide(1.0), wide_div(wide_mul(reduced, sum), wide(f32(k))));
    }
    sum = wide_mul(reduced, sum);
    for (var k = 0u; k < halvings; k += 1u) {
        sum = wide_mul(sum, wide_add(sum, wide(2.0)));
    }
    return sum;
}

/// Natural logarithm of a number in (0, 1].
fn wide_log(x: vec2<f32>) -> vec2<f32> {
    let whole = parts(x.x);
    let fraction = vec2(whole.fraction, scale(x.y, -whole.exponent));
    // One step of Newton's from the logarithm in f32, for a fraction in [1/2, 1).
    let near = log_exact(whole.fraction);
    let value = wide_add(wide(1.0), wide_exp_m1(wide(near)));
    let off = wide_div(wide_sub(fraction, value), value);
    let rest = wide_sub(off, 0.5 * wide_mul(off, off));
    let turns = wide_mul(wide(f32(whole.exponent)), vec2(0.693147182, -1.904654299957768e-9));
    return wide_add(turns, wide_add(wide(near), rest));
}
