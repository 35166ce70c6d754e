// gram — products of per-sample gradients over all sites, 64 x 64 at a time: what `gram_tile` stores and `gram_stream`
// sums. Needs `layout` and `sites`, and 256 threads, each of which gets 4 x 4 products: rows y + 16 row and columns
// x + 16 column, y = lane / 16, x = lane % 16.
// Order: sites, then positions (t, s), then columns of the captured rows, ascending.

const SIDE = 64u;
const DEPTH = 16u;

var<workgroup> i_tile: array<f32, 1024>;
var<workgroup> j_tile: array<f32, 1024>;

/// Products of samples i0.. with samples j0...
fn gram_products(run: u32, i0: u32, j0: u32, lane: u32) -> array<vec4<f32>, 4> {
    let n = launch.n;
    let y = lane / 16u;
    let x = lane % 16u;
    var sums: array<vec4<f32>, 4>;
    for (var number = 0u; number < launch.sites; number += 1u) {
        let site = site_at(run, number);
        let one_position = site.kind == POSITION || site.kind == MATERIALISED;
        for (var t = 0u; t < site.positions; t += 1u) {
            for (var s = select(0u, t, one_position); s < select(site.positions, t + 1u, one_position); s += 1u) {
                var weights: array<vec4<f32>, 4>;
                if site.kind <= LINEAR_BIAS {
                    let starts = activations_at(run) + site.a.x + vec2(t, s) * site.a.z;
                    weights = row_products(true, starts, site.a.y, site.d_in, i0, j0, lane);
                }
                let starts = cotangents_at(run) + site.b.x + vec2(t, s) * site.b.z;
                let b = row_products(false, starts, site.b.y, site.d_out, i0, j0, lane);
                for (var row = 0u; row < 4u; row += 1u) {
                    if site.kind == EMBEDDING {
                        let own = id_of(run, site, min(i0 + y + row * 16u, n - 1u), t);
                        for (var column = 0u; column < 4u; column += 1u) {
                            let other = id_of(run, site, min(j0 + x + column * 16u, n - 1u), s);
                            // A selection, not a product: what other tokens' cotangents hold must not matter.
                            sums[row][column] += select(0.0, b[row][column], own == other);
                        }
                    } else if one_position {
                        sums[row] += b[row];
                    } else {
                        let more = select(0.0, 1.0, site.kind == LINEAR_BIAS);
                        sums[row] = fma(weights[row] + more, b[row], sums[row]);
                    }
                }
            }
        }
    }
    return sums;
}

/// Products of the rows of samples i0.. with those of samples j0..: rows of activations or cotangents that start at
/// `starts` and lie `stride` apart.
fn row_products(
    of_a: bool, starts: vec2<u32>, stride: u32, width: u32, i0: u32, j0: u32, lane: u32,
) -> array<vec4<f32>, 4> {
    var sums: array<vec4<f32>, 4>;
    for (var depth0 = 0u; depth0 < width; depth0 += DEPTH) {
        for (var part = 0u; part < 4u; part += 1u) {
            let place = part * 256u + lane;
            let depth = depth0 + place % DEPTH;
            let row = place / DEPTH;
            var left = 0.0;
            var right = 0.0;
            if depth < width {
                if i0 + row < launch.n {
                    left = load_row(of_a, starts.x + (i0 + row) * stride + depth);
                }
                if j0 + row < launch.n {
                    right = load_row(of_a, starts.y + (j0 + row) * stride + depth);
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

fn load_row(of_a: bool, place: u32) -> f32 {
    if of_a {
        return activations[place];
    }
    return cotangents[place];
}

/// Row and column of tile `number` among those on and above the diagonal of a matrix of `side` x `side` tiles: row i has
/// as many as are left of the diagonal's end.
fn upper_tile(number: u32, side: u32) -> vec2<u32> {
    var rest = number;
    var left = side;
    var row = 0u;
    while rest >= left {
        rest -= left;
        left -= 1u;
        row += 1u;
    }
    return vec2(row, row + rest);
}
