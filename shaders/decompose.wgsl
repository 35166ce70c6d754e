// decompose — products of the property gradients with each other and with the parts of the coming update.
//
// in 0 gradients [1 + K, P]: the step's mean gradient, then one per property   in 1 shaped [3, P], with SHAPED: what the
// optimiser takes, what of it the step's gradient gives now, what that of the whole split would give now
// in 2 theta [P]   in 3 moments [3, P], with OPTIMIZER 1, 2 and 4 [4, P]   in 4 scalars (rates)   in 5 spans [tensors, 2]
// out 6 partial [blocks, K K + 4 K], with OPTIMIZER 1, 2 and 4 [blocks, K K + 5 K]   params len P, tensors,
// properties K, full (row of `gradients`, with SHAPED of `shaped`, with what the mean gradient over the whole training
// split gives)   order: 256 running sums in wide numbers within blocks of 16,384, added in a tree; a workgroup takes one
// block
// import layout
// import wide
// import math
// import reduce
//
// Parts of the update: selection, what the full gradient does now; noise, what the minibatch adds to it; lagged, what
// earlier gradients do through the moments and through what shaped the gradient; decay, that of weight decay and L1 now;
// decay_lagged, where decay goes through moments (OPTIMIZER 1, 2 and 4), what that of earlier steps still does. Adam's
// metric 1/(sqrt(v_t / c2) + eps) contains the step's own gradient.

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let block = group_index(group);
    if !due(run) || block >= launch.groups {
        return;
    }
    let first = block * BLOCK;
    let end = min(first + BLOCK, launch.len);
    let properties = launch.properties;
    let count = select(UPDATE_PARTS - 1u, UPDATE_PARTS, remembers());
    let pairs0 = partial_at(run) + block * (properties * properties + count * properties);
    let along0 = pairs0 + properties * properties;
    for (var x = 0u; x < properties; x += 1u) {
        let own = gradients_at(run) + (1u + x) * launch.len;
        for (var y = x; y < properties; y += 1u) {
            let other = gradients_at(run) + (1u + y) * launch.len;
            var sum = wide(0.0);
            for (var k = first + lane; k < end; k += LANES) {
                sum = wide_add(sum, two_product(gradients[own + k], gradients[other + k]));
            }
            sum = sum_lanes(lane, sum);
            if lane == 0u {
                partial[pairs0 + x * properties + y] = sum;
                partial[pairs0 + y * properties + x] = sum;
            }
        }
        var sums: array<vec2<f32>, UPDATE_PARTS>;
        var tensor = 0u;
        for (var k = first + lane; k < end; k += LANES) {
            while spans[spans_at(run) + 2u * tensor] <= k {
                tensor += 1u;
            }
            let parts_of_k = changes(run, k, spans[spans_at(run) + 2u * tensor + 1u]);
            for (var part = 0u; part < count; part += 1u) {
                sums[part] = wide_add(sums[part], wide_mul(wide(gradients[own + k]), parts_of_k[part]));
            }
        }
        for (var part = 0u; part < count; part += 1u) {
            let sum = sum_lanes(lane, sums[part]);
            if lane == 0u {
                partial[along0 + x * count + part] = sum;
            }
        }
    }
}

/// Whether decay of earlier steps acts on through the moments.
fn remembers() -> bool {
    return OPTIMIZER == 1u || OPTIMIZER == 2u || OPTIMIZER == 4u;
}

/// The parts of one weight's change: selection, lagged, noise, decay, decay_lagged.
fn changes(run: u32, k: u32, tensor_group: u32) -> array<vec2<f32>, UPDATE_PARTS> {
    let rates = scalars_at(run);
    let lr = scalars[rates + CONTROL_LR];
    let beta1 = scalars[rates + CONTROL_BETA1];
    let beta2 = scalars[rates + CONTROL_BETA2];
    let decay = scalars[rates + CONTROL_DECAY + tensor_group];
    let w = theta[theta_at(run) + k];
    let pull = wide_add(wide_mul(decay, wide(w)), scalars[rates + CONTROL_L1] * sign(w));
    // The first moment in two parts: decay's share, and what is left.
    var share = 0.0;
    if remembers() {
        share = moments[moments_at(run) + 3u * launch.len + k];
    }
    let m = two_sum(moments[moments_at(run) + k], -share);
    var taken = gradients[gradients_at(run) + k];
    var current = taken;
    var full = 0.0;
    if SHAPED != 0u {
        taken = shaped[shaped_at(run) + k];
        current = shaped[shaped_at(run) + launch.len + k];
        full = shaped[shaped_at(run) + launch.full * launch.len + k];
    } else {
        full = gradients[gradients_at(run) + launch.full * launch.len + k];
    }
    let noise = two_sum(current, -full);
    let earlier = two_sum(taken, -current);
    // What a gradient of now is multiplied with, what decays with it, and what the moments are multiplied with.
    var now = -lr;
    var decaying = -lr;
    var past = wide(0.0);
    if OPTIMIZER == 1u {
        past = wide_mul(now, beta1);
    } else if OPTIMIZER == 4u {
        past = wide_mul(now, wide_mul(beta1, beta1));
        now = wide_mul(now, wide_add(wide(1.0), beta1));
        decaying = now;
    } else if OPTIMIZER != 0u {
        var sum = wide(taken);
        if OPTIMIZER == 2u {
            sum = wide_add(sum, pull);
        }
        let v_before = wide(moments[moments_at(run) + launch.len + k]);
        let v_now = wide_mul(wide_sub(wide(1.0), beta2), wide_mul(sum, sum));
        let v = wide_add(wide_mul(beta2, v_before), v_now);
        let root = wide_sqrt(wide_div(v, scalars[rates + CONTROL_CORRECTION2]));
        let metric = wide_mul(scalars[rates + CONTROL_CORRECTION1], wide_add(root, scalars[rates + CONTROL_EPS]));
        let step = -wide_div(lr, metric);
        past = wide_mul(step, beta1);
        now = wide_mul(step, wide_sub(wide(1.0), beta1));
        decaying = select(-lr, now, OPTIMIZER == 2u);
    }
    return array(
        wide_mul(now, wide(full)),
        wide_add(wide_mul(past, m), wide_mul(now, earlier)),
        wide_mul(now, noise),
        wide_mul(decaying, pull),
        wide_mul(past, wide(share)),
    );
}
