// reduce — sums and extremes over the LANES threads of a workgroup, in a tree of fixed shape. Every thread must call
// them, and every thread gets the result. LANES is a power of two that the kernel declares.

var<workgroup> lanes: array<vec2<f32>, LANES>;

/// Sum of wide numbers.
fn sum_lanes(lane: u32, value: vec2<f32>) -> vec2<f32> {
    lanes[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if lane < width {
            lanes[lane] = wide_add(lanes[lane], lanes[lane + width]);
        }
        workgroupBarrier();
    }
    let sum = lanes[0];
    workgroupBarrier();
    return sum;
}

/// Sums of two numbers side by side.
fn sum_pairs(lane: u32, value: vec2<f32>) -> vec2<f32> {
    lanes[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if lane < width {
            lanes[lane] += lanes[lane + width];
        }
        workgroupBarrier();
    }
    let sum = lanes[0];
    workgroupBarrier();
    return sum;
}

/// Largest of the first and smallest of the second numbers; NaN loses.
fn extreme_pairs(lane: u32, value: vec2<f32>) -> vec2<f32> {
    lanes[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if lane < width {
            let a = lanes[lane];
            let b = lanes[lane + width];
            lanes[lane] = vec2(select(a.x, b.x, b.x > a.x), select(a.y, b.y, b.y < a.y));
        }
        workgroupBarrier();
    }
    let found = lanes[0];
    workgroupBarrier();
    return found;
}

/// Least of wide numbers; NaN loses.
fn least_lanes(lane: u32, value: vec2<f32>) -> vec2<f32> {
    lanes[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if lane < width {
            lanes[lane] = wide_min(lanes[lane + width], lanes[lane]);
        }
        workgroupBarrier();
    }
    let found = lanes[0];
    workgroupBarrier();
    return found;
}
