// gradient_noise — x = x + noise normal, the draws keyed by the run's seed and the step. With RELATIVE the noise is in
// units of sqrt(mean_square / len).
//
// inout 0 x [len]   in 1 scalars (rates, mean square)   params len   control: seed, step; a thread takes a pair
// import layout
// import wide
// import math
// import random

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let pair = group_index(group) * 256u + lane;
    if !due(run) || 2u * pair >= launch.len {
        return;
    }
    let rates = scalars_at(run);
    var unit = wide(1.0);
    if RELATIVE != 0u {
        unit = wide_sqrt(wide_div(scalars[rates + CONTROL_MEAN_SQUARE], wide_from_word(launch.len)));
    }
    let sd = narrow(wide_mul(scalars[rates + CONTROL_NOISE], unit));
    if sd == 0.0 {
        return;
    }
    let block = run * launch.control_stride;
    let seed = vec2(control[block + CONTROL_SEED_LOW], control[block + CONTROL_SEED_HIGH]);
    let words = philox(vec4(pair, 0u, control[block + CONTROL_STEP], PURPOSE_GRADIENT_NOISE), seed);
    let draws = radius(uniform_of(words.x, words.y)) * turn(uniform_of(words.z, words.w));
    let k = x_at(run) + 2u * pair;
    x[k] += sd * draws.x;
    if 2u * pair + 1u < launch.len {
        x[k + 1u] += sd * draws.y;
    }
}

/// The upper 53 of 64 random bits as a number in [0, 1).
fn uniform_of(low: u32, high: u32) -> vec2<f32> {
    return wide_add(exp2i(-32) * wide_from_word(high), exp2i(-53) * wide_from_word(low >> 11u));
}

/// sqrt(-2 ln(1 - u)).
fn radius(u: vec2<f32>) -> f32 {
    let rest = narrow(wide_sub(wide(1.0), u));
    if u.x < 0.5 {
        return sqrt(2.0 * log_1p(narrow(u) / rest));
    }
    return sqrt(-2.0 * log_exact(rest));
}

/// Cosine and sine of u turns, by their series within an eighth of a turn around the nearest quarter.
fn turn(u: vec2<f32>) -> vec2<f32> {
    let quarter = floor(4.0 * u.x + 0.5);
    let x = 6.2831853 * narrow(wide_sub(u, wide(0.25 * quarter)));
    let s = x * x;
    let sine = x * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s / 362880.0))));
    let cosine = 1.0 + s * (-0.5 + s * (1.0 / 24.0 + s * (-1.0 / 720.0 + s / 40320.0)));
    let side = u32(quarter) % 4u;
    if side == 0u {
        return vec2(cosine, sine);
    } else if side == 1u {
        return vec2(-sine, cosine);
    } else if side == 2u {
        return vec2(-cosine, -sine);
    }
    return vec2(sine, -cosine);
}
