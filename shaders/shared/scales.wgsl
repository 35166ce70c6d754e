// scales — the common scale of the raw form of a Gram matrix, as `plan::layout::common_scale` has it. Needs `math` and
// `reduce`.

/// Smallest exponent among the samples that have a gradient (0 if none has), had by all threads of the workgroup
/// together, as -1 times the largest of the negatives: those are exact, being far below 2^24.
fn smallest_exponent(run: u32, lane: u32) -> i32 {
    var found = -infinite();
    for (var sample = lane; sample < launch.n; sample += LANES) {
        if has_gradient(run, sample) {
            found = max(found, -f32(bitcast<i32>(exponent[exponent_at(run) + sample])));
        }
    }
    found = extreme_pairs(lane, vec2(found, 0.0)).x;
    return select(0, -i32(found), found > -infinite());
}

/// 2^-(e - smallest), 0 for a sample without a gradient.
fn scale_of(run: u32, sample: u32, smallest: i32) -> f32 {
    let power = smallest - bitcast<i32>(exponent[exponent_at(run) + sample]);
    return select(0.0, exp2i(power), has_gradient(run, sample));
}
