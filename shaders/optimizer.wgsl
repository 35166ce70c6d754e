// optimizer — one update of the weights, its moments, and the sums from which its norms and cosines follow.
// OPTIMIZER 0 sgd, 1 momentum, 2 adam (coupled L2), 3 adamw, 4 nesterov, each as in PyTorch.
//
// inout 0 theta [P]   in 1 gradient [P]   in 2 shaped [P], with SHAPED: what the update follows in the place of the
// gradient   inout 3 moments [3, P]: m, v, previous gradient; with 1, 2 and 4 [4, P]: decay's own share of m
// in 4 scalars (rates)   in 5 spans [tensors, 2]: end, group   out 6 partial [blocks, 7]: |theta|^2 (before), |g|^2,
// |update|^2, g.g_prev, |g_prev|^2, g.m_prev, |m_prev|^2
// params len P, tensors   order: 256 running sums in wide numbers within blocks of 16,384, added in a tree; a workgroup
// takes one block
// Decay and L1 (l1 times the sign of the weight) are added to the gradient, and decoupled in adamw. What of m they are
// is kept beside it, by m's own recursion with them alone.
// A weight that would overflow stays as it was, and |update|^2 is not finite: by that `control` ends the run.
// import layout
// import wide
// import math
// import reduce

const LANES = 256u;
const SUMS = 7u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let block = group_index(group);
    if !due(run) || block >= launch.groups {
        return;
    }
    let end = min((block + 1u) * BLOCK, launch.len);
    let rates = scalars_at(run);
    let lr = scalars[rates + CONTROL_LR];
    let beta1 = scalars[rates + CONTROL_BETA1];
    let beta2 = scalars[rates + CONTROL_BETA2];
    let new1 = narrow(wide_sub(wide(1.0), beta1));
    let new2 = narrow(wide_sub(wide(1.0), beta2));
    let step = narrow(wide_div(lr, scalars[rates + CONTROL_CORRECTION1]));
    let root_correction2 = narrow(wide_sqrt(scalars[rates + CONTROL_CORRECTION2]));
    let eps = narrow(scalars[rates + CONTROL_EPS]);
    let l1 = narrow(scalars[rates + CONTROL_L1]);
    let spans0 = spans_at(run);
    var sums: array<vec2<f32>, SUMS>;
    var tensor = 0u;
    for (var k = block * BLOCK + lane; k < end; k += LANES) {
        while spans[spans0 + 2u * tensor] <= k {
            tensor += 1u;
        }
        let decay = scalars[rates + CONTROL_DECAY + spans[spans0 + 2u * tensor + 1u]];
        let w_place = theta_at(run) + k;
        let m_place = moments_at(run) + k;
        let v_place = m_place + launch.len;
        let g_place = v_place + launch.len;
        let w = theta[w_place];
        let g = gradient[gradient_at(run) + k];
        let m_before = moments[m_place];
        let g_before = moments[g_place];
        var taken = g;
        if SHAPED != 0u {
            taken = shaped[shaped_at(run) + k];
        }
        let towards_zero = l1 * sign(w);
        let decaying = narrow(decay) * w + towards_zero;
        let share_place = g_place + launch.len;
        var w_after = w;
        if OPTIMIZER == 0u {
            w_after = w - narrow(lr) * (taken + decaying);
        } else if OPTIMIZER == 1u || OPTIMIZER == 4u {
            let pull = taken + decaying;
            let m = narrow(beta1) * m_before + pull;
            moments[m_place] = m;
            moments[share_place] = narrow(beta1) * moments[share_place] + decaying;
            w_after = w - narrow(lr) * select(m, pull + narrow(beta1) * m, OPTIMIZER == 4u);
        } else {
            var kept = w;
            var pull = taken;
            if OPTIMIZER == 2u {
                pull = taken + decaying;
                moments[share_place] = narrow(beta1) * moments[share_place] + new1 * decaying;
            } else {
                kept = w * narrow(wide_sub(wide(1.0), wide_mul(lr, decay))) - narrow(lr) * towards_zero;
            }
            let m = narrow(beta1) * m_before + new1 * pull;
            let v = narrow(beta2) * moments[v_place] + new2 * pull * pull;
            moments[m_place] = m;
            moments[v_place] = v;
            w_after = kept - step * m / (sqrt(v) / root_correction2 + eps);
        }
        theta[w_place] = select(w, w_after, is_finite(w_after));
        moments[g_place] = g;
        let change = two_sum(w_after, -w);
        sums[0] = wide_add(sums[0], two_product(w, w));
        sums[1] = wide_add(sums[1], two_product(g, g));
        sums[2] = wide_add(sums[2], wide_mul(change, change));
        sums[3] = wide_add(sums[3], two_product(g, g_before));
        sums[4] = wide_add(sums[4], two_product(g_before, g_before));
        sums[5] = wide_add(sums[5], two_product(g, m_before));
        sums[6] = wide_add(sums[6], two_product(m_before, m_before));
    }
    for (var k = 0u; k < SUMS; k += 1u) {
        let sum = sum_lanes(lane, sums[k]);
        if lane == 0u {
            partial[partial_at(run) + block * SUMS + k] = sum;
        }
    }
}
