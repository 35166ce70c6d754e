// gram_metric — G M G' [N, N] of the per-sample gradients G, as scaled, for a diagonal metric M: as `gram_tile`, from
// gradients that are formed for a few rows of a weight at a time, since M stands between their factors.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 offsets [sites, 2]: first
// parameter of the weight and of the bias   in 5 metric [P]   out 6 gram [N, N]   params n, sites
// order: sites, then entries of the gradient, ascending, those of an embedding by pairs of positions (t, s); a workgroup
// makes a tile of 64 x 64, a thread 4 x 4 of it
// import layout
// import sites
// import gram

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let number = group_index(group);
    if !due(run) || number >= launch.groups {
        return;
    }
    let n = launch.n;
    let tile = upper_tile(number, (n + SIDE - 1u) / SIDE) * SIDE;
    var sums: array<vec4<f32>, 4>;
    for (var place = 0u; place < launch.sites; place += 1u) {
        let site = site_at(run, place);
        let offsets0 = offsets_at(run) + 2u * place;
        let starts = metric_at(run) + vec2(offsets[offsets0], offsets[offsets0 + 1u]);
        if site.kind == EMBEDDING {
            for (var row = 0u; row < 4u; row += 1u) {
                for (var column = 0u; column < 4u; column += 1u) {
                    let i = tile.x + lane / 16u + row * 16u;
                    let j = tile.y + lane % 16u + column * 16u;
                    if i < n && j < n {
                        sums[row][column] += table_product(run, site, starts.x, i, j);
                    }
                }
            }
        } else {
            let products = formed_products(run, site, starts, tile.x, tile.y, lane);
            for (var row = 0u; row < 4u; row += 1u) {
                sums[row] += products[row];
            }
        }
    }
    for (var row = 0u; row < 4u; row += 1u) {
        for (var column = 0u; column < 4u; column += 1u) {
            let i = tile.x + lane / 16u + row * 16u;
            let j = tile.y + lane % 16u + column * 16u;
            if i < n && j < n {
                gram[gram_at(run) + i * n + j] = sums[row][column];
                if tile.x != tile.y {
                    gram[gram_at(run) + j * n + i] = sums[row][column];
                }
            }
        }
    }
}

/// Products of the gradients of samples i0.. with those of samples j0.., of which DEPTH entries are formed at a time.
/// `starts` says where the metric of weight and bias begins.
fn formed_products(run: u32, site: Site, starts: vec2<u32>, i0: u32, j0: u32, lane: u32) -> array<vec4<f32>, 4> {
    let weights = site.d_out * select(site.positions, site.d_in, site.kind <= LINEAR_BIAS);
    let entries = weights + select(0u, site.d_out, site.kind == LINEAR_BIAS);
    var sums: array<vec4<f32>, 4>;
    for (var entry0 = 0u; entry0 < entries; entry0 += DEPTH) {
        for (var part = 0u; part < 4u; part += 1u) {
            let place = part * 256u + lane;
            let entry = entry0 + place % DEPTH;
            let row = place / DEPTH;
            var left = 0.0;
            var right = 0.0;
            if entry < entries {
                if i0 + row < launch.n {
                    left = gradient_entry(run, site, i0 + row, entry);
                }
                if j0 + row < launch.n {
                    let weight = select(starts.y + entry - weights, starts.x + entry, entry < weights);
                    right = gradient_entry(run, site, j0 + row, entry) * metric[weight];
                }
            }
            i_tile[place % DEPTH * SIDE + row] = left;
            j_tile[place % DEPTH * SIDE + row] = right;
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth += 1u) {
            let line = depth * SIDE + lane % 16u;
            let right = vec4(j_tile[line], j_tile[line + 16u], j_tile[line + 32u], j_tile[line + 48u]);
            let left = depth * SIDE + lane / 16u;
            for (var row = 0u; row < 4u; row += 1u) {
                sums[row] = fma(vec4(i_tile[left + row * 16u]), right, sums[row]);
            }
        }
        workgroupBarrier();
    }
    return sums;
}

/// An entry of a sample's gradient: of a weight row by row, its bias as a last row; of tables of positions, and of
/// gradients that are there, the cotangents themselves.
fn gradient_entry(run: u32, site: Site, sample: u32, entry: u32) -> f32 {
    let row = entry / site.d_out;
    let column = entry % site.d_out;
    if site.kind > LINEAR_BIAS {
        return cotangents[b_row(run, site, sample, row) + column];
    }
    var sum = 0.0;
    for (var t = 0u; t < site.positions; t += 1u) {
        let b = cotangents[b_row(run, site, sample, t) + column];
        if row < site.d_in {
            sum = fma(activations[a_row(run, site, sample, t) + row], b, sum);
        } else {
            sum += b;
        }
    }
    return sum;
}

/// Only rows of tokens that both samples have meet.
fn table_product(run: u32, site: Site, start: u32, i: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var t = 0u; t < site.positions; t += 1u) {
        let own = id_of(run, site, i, t);
        for (var s = 0u; s < site.positions; s += 1u) {
            if id_of(run, site, j, s) != own {
                continue;
            }
            let x = b_row(run, site, i, t);
            let y = b_row(run, site, j, s);
            for (var k = 0u; k < site.d_out; k += 1u) {
                sum = fma(cotangents[x + k] * metric[start + own * site.d_out + k], cotangents[y + k], sum);
            }
        }
    }
    return sum;
}
