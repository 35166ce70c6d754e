// sample_norms — squared norm of every sample's gradient over all sites, as scaled (true value: times 2^(-2 exponent)).
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 norm [N]   params n, sites
// order: sites, then positions (t, s) with t <= s, ascending; dot products in 64 running sums, added in a tree, their
// sum in wide numbers; a workgroup takes one sample
// import layout
// import sites
// import wide
// import math
// import reduce

const LANES = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let sample = group_index(group);
    if !due(run) || sample >= launch.n {
        return;
    }
    var total = wide(0.0);
    for (var number = 0u; number < launch.sites; number += 1u) {
        let site = site_at(run, number);
        let one_position = site.kind == POSITION || site.kind == MATERIALISED;
        for (var t = 0u; t < site.positions; t += 1u) {
            let last = select(site.positions, t + 1u, one_position);
            for (var s = t; s < last; s += 1u) {
                // The tokens are the same for all threads, so they skip a pair together.
                if site.kind == EMBEDDING && id_of(run, site, sample, t) != id_of(run, site, sample, s) {
                    continue;
                }
                let a_t = a_row(run, site, sample, t);
                let a_s = a_row(run, site, sample, s);
                let b_t = b_row(run, site, sample, t);
                let b_s = b_row(run, site, sample, s);
                var products = vec2(0.0);
                for (var k = lane; k < site.d_in; k += LANES) {
                    products.x = fma(activations[a_t + k], activations[a_s + k], products.x);
                }
                for (var k = lane; k < site.d_out; k += LANES) {
                    products.y = fma(cotangents[b_t + k], cotangents[b_s + k], products.y);
                }
                products = sum_pairs(lane, products);
                let product = weight_of(site, products.x) * products.y;
                total = wide_add(total, wide(select(2.0 * product, product, s == t)));
            }
        }
    }
    if lane == 0u {
        norm[norm_at(run) + sample] = total;
    }
}
