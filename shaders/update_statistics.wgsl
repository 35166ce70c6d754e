// update_statistics — 2-norms of parameters, mean gradient and update; cos(g_t, g_{t-1}) and cos(g_t, m_{t-1}), null
// where either vector is zero; the update's norm is null where the update is not finite.
//
// in 0 sums [7], see `optimizer`   in 1 distance [1], with HELD: the squared norm of the whole update   inout 2 scalars
// import layout
// import wide
// import math

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let from0 = sums_at(run);
    let row = scalars_at(run) + CONTROL_RATES;
    let norm = wide_sqrt(sums[from0 + 1u]);
    scalars[row + COLUMN_WEIGHT_NORM] = wide_sqrt(sums[from0]);
    scalars[row + COLUMN_GRADIENT_NORM] = norm;
    let is_whole = is_finite(sums[from0 + 2u].x);
    var update = sums[from0 + 2u];
    if HELD != 0u {
        update = distance[distance_at(run)];
    }
    scalars[row + COLUMN_UPDATE_NORM] = select(wide(not_a_number()), wide_sqrt(update), is_whole);
    scalars[row + COLUMN_TEMPORAL_COSINE] = cosine(sums[from0 + 3u], norm, wide_sqrt(sums[from0 + 4u]));
    scalars[row + COLUMN_MOMENTUM_COSINE] = cosine(sums[from0 + 5u], norm, wide_sqrt(sums[from0 + 6u]));
}

/// Divided by one norm after the other, since their product may leave the range of f32. NaN stands for null.
fn cosine(product: vec2<f32>, x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    if x.x == 0.0 || y.x == 0.0 {
        return wide(not_a_number());
    }
    return wide_div(wide_div(product, x), y);
}
