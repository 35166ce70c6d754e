// block_statistics — agreement of pairs of gradients within and between splits and classes.
//
// in 0 gram [N, N], as scaled   in 1 labels [N]   out 2 agreement [3, 3, 2]   params n, first
// order: in wide numbers, a column ascending in one thread; 256 running sums over columns, added in a tree; one
// workgroup a run
// import wide
// import math
// import reduce
//
// Blocks: both of the first `first` samples, both of the rest, one of each. In each: all pairs i < j of non-zero
// gradients, those with one label, those with two. Of each: mean cosine, mean sign of the product (stiffness, Fort et
// al. 1901.09491, without the pairs i = j); null where there is no pair.

const LANES = 256u;

/// Blocks, and kinds of pairs in each.
const GROUPS = 9u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    var cosines: array<vec2<f32>, GROUPS>;
    var pairs: array<u32, GROUPS>;
    var positive: array<u32, GROUPS>;
    var negative: array<u32, GROUPS>;
    for (var j = lane; j < launch.n; j += LANES) {
        let d_j = entry(run, j, j);
        if !(d_j > 0.0) {
            continue;
        }
        let root = wide_sqrt(wide(d_j));
        for (var i = 0u; i < j; i += 1u) {
            let d_i = entry(run, i, i);
            if !(d_i > 0.0) {
                continue;
            }
            let product = entry(run, i, j);
            let cosine = wide_div(wide(product), wide_mul(wide_sqrt(wide(d_i)), root));
            let block = select(select(2u, 1u, i >= launch.first), 0u, j < launch.first);
            let is_same = labels[labels_at(run) + i] == labels[labels_at(run) + j];
            // First among all pairs of the block, then among those of its kind.
            for (var kind = 0u; kind < 2u; kind += 1u) {
                let place = 3u * block + kind * select(2u, 1u, is_same);
                cosines[place] = wide_add(cosines[place], cosine);
                pairs[place] += 1u;
                positive[place] += select(0u, 1u, product > 0.0);
                negative[place] += select(0u, 1u, product < 0.0);
            }
        }
    }
    for (var place = 0u; place < GROUPS; place += 1u) {
        let cosine = sum_lanes(lane, cosines[place]);
        let count = sum_lanes(lane, wide_from_word(pairs[place]));
        let signs = wide_sub(wide_from_word(positive[place]), wide_from_word(negative[place]));
        let sign_sum = sum_lanes(lane, signs);
        if lane == 0u {
            let out = agreement_at(run) + 2u * place;
            agreement[out] = wide_div(cosine, count);
            agreement[out + 1u] = wide_div(sign_sum, count);
        }
    }
}

fn entry(run: u32, i: u32, j: u32) -> f32 {
    return gram[gram_at(run) + i * launch.n + j];
}
