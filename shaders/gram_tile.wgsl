// gram_tile — Gram matrix K [N, N] of the per-sample gradients, as scaled: all sites for one tile of (i, j), tiles on
// and above the diagonal only, mirrored when stored.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 gram [N, N]   params n, sites
// order: sites, then positions (t, s), then columns, ascending; a workgroup makes a tile of 64 x 64, a thread 4 x 4
// of it
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
    let products = gram_products(run, tile.x, tile.y, lane);
    for (var row = 0u; row < 4u; row += 1u) {
        for (var column = 0u; column < 4u; column += 1u) {
            let i = tile.x + lane / 16u + row * 16u;
            let j = tile.y + lane % 16u + column * 16u;
            if i < n && j < n {
                gram[gram_at(run) + i * n + j] = products[row][column];
                if tile.x != tile.y {
                    gram[gram_at(run) + j * n + i] = products[row][column];
                }
            }
        }
    }
}
