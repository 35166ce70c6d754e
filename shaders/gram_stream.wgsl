// gram_stream — the tiles of `gram_tile`, none of which is stored: per tile five sums, its row sums and column sums.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 norm [N]   in 5 exponent [N]
// out 6 tiles [tiles, 264]: off-diagonal sums over the tile of K^2, cos, cos^2, the least cos, how many are negative,
// then sums of its rows and of its columns, on the common scale of `gram_forms`   params n, sites
// order: as `gram_tile`, in quarters of 64 x 64; of each, in wide numbers, 4 of a row or column in a thread, then the
// 16 threads ascending; the five sums in a thread, then in a tree; pairs i < j only, each once
// import layout
// import sites
// import gram
// import wide
// import math
// import reduce
// import scales

const LANES = 256u;
const QUARTERS = GRAM_TILE / SIDE;

/// Sums of the tile's rows, then of its columns.
var<workgroup> edges: array<vec2<f32>, 2u * GRAM_TILE>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let number = group_index(group);
    if !due(run) || number >= launch.groups {
        return;
    }
    let n = launch.n;
    let smallest = smallest_exponent(run, lane);
    let tile = upper_tile(number, (n + GRAM_TILE - 1u) / GRAM_TILE) * GRAM_TILE;
    edges[lane] = wide(0.0);
    workgroupBarrier();
    var square = wide(0.0);
    var cosines = wide(0.0);
    var cosine_squares = wide(0.0);
    var negative = 0u;
    var least = wide(infinite());
    for (var quarter = 0u; quarter < QUARTERS * QUARTERS; quarter += 1u) {
        let i0 = tile.x + quarter / QUARTERS * SIDE;
        let j0 = tile.y + quarter % QUARTERS * SIDE;
        // Below the diagonal, or beyond the last sample, there is nothing.
        if i0 > j0 || j0 >= n {
            continue;
        }
        let products = gram_products(run, i0, j0, lane);
        var row_sums: array<vec2<f32>, 4>;
        var column_sums: array<vec2<f32>, 4>;
        for (var row = 0u; row < 4u; row += 1u) {
            let i = i0 + lane / 16u + row * 16u;
            for (var column = 0u; column < 4u; column += 1u) {
                let j = j0 + lane % 16u + column * 16u;
                if i >= j || j >= n {
                    continue;
                }
                let product = products[row][column];
                let scales = scale_of(run, i, smallest) * scale_of(run, j, smallest);
                let raw = wide(select(product * scales, 0.0, scales == 0.0));
                row_sums[row] = wide_add(row_sums[row], raw);
                column_sums[column] = wide_add(column_sums[column], raw);
                square = wide_add(square, wide_mul(raw, raw));
                if has_gradient(run, i) && has_gradient(run, j) {
                    let norms = wide_mul(wide_sqrt(norm[norm_at(run) + i]), wide_sqrt(norm[norm_at(run) + j]));
                    let cosine = wide_div(wide(product), norms);
                    cosines = wide_add(cosines, cosine);
                    cosine_squares = wide_add(cosine_squares, wide_mul(cosine, cosine));
                    negative += select(0u, 1u, cosine.x < 0.0);
                    least = wide_min(cosine, least);
                }
            }
        }
        add_edges(lane, i0 - tile.x, true, row_sums);
        add_edges(lane, GRAM_TILE + j0 - tile.y, false, column_sums);
    }
    let out0 = tiles_at(run) + number * TILE;
    tiles[out0 + TILE_ROWS + lane] = edges[lane];
    square = sum_lanes(lane, square);
    cosines = sum_lanes(lane, cosines);
    cosine_squares = sum_lanes(lane, cosine_squares);
    let negatives = sum_lanes(lane, wide_from_word(negative));
    least = least_lanes(lane, least);
    if lane < TILE_ROWS {
        tiles[out0 + lane] = wide(0.0);
    }
    storageBarrier();
    if lane == 0u {
        tiles[out0 + TILE_FROBENIUS2] = square;
        tiles[out0 + TILE_COSINE] = cosines;
        tiles[out0 + TILE_COSINE2] = cosine_squares;
        tiles[out0 + TILE_MIN] = least;
        tiles[out0 + TILE_NEGATIVE] = negatives;
    }
}

fn has_gradient(run: u32, sample: u32) -> bool {
    return norm[norm_at(run) + sample].x > 0.0;
}

/// Adds what each thread found for four rows (or columns) to the sums of 64 of them, which begin at `first`. The tiles'
/// memory is free between products, and holds the halves of 64 x 16 wide numbers.
fn add_edges(lane: u32, first: u32, of_rows: bool, found: array<vec2<f32>, 4>) {
    var own = found;
    let line = select(lane % 16u, lane / 16u, of_rows);
    let place = select(lane / 16u, lane % 16u, of_rows);
    for (var part = 0u; part < 4u; part += 1u) {
        let at = (line + part * 16u) * 16u + place;
        i_tile[at] = own[part].x;
        j_tile[at] = own[part].y;
    }
    workgroupBarrier();
    if lane < SIDE {
        var sum = edges[first + lane];
        for (var k = 0u; k < 16u; k += 1u) {
            sum = wide_add(sum, vec2(i_tile[lane * 16u + k], j_tile[lane * 16u + k]));
        }
        edges[first + lane] = sum;
    }
    workgroupBarrier();
}
