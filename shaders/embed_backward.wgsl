// embed_backward — table row id + t * id_step collects 2^-exponent[n] b(n, t) / divisor (+ what was there).
//
// in 0 b, rows by stride_n and stride_t   in 1 ids [T, N]   in 2 exponent [N]   inout 3 table [rows, d]
// params n, t, d, stride_n, stride_t, id_step, rows, divisor   order: t ascending, then n; a thread makes one element of
// the table; the threads of a row look for its ids together, 256 at a time, and mark them as bits
// import math

const LOOKED_AT = 256u;

var<workgroup> found: array<atomic<u32>, 8>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let item = group_index(group);
    let across = (launch.d + 63u) / 64u;
    let row = item / across;
    let column = item % across * 64u + lane;
    if !due(run) || row >= launch.rows {
        return;
    }
    let inverse = 1.0 / f32(launch.divisor);
    let b0 = b_at(run) + column;
    let count = launch.t * launch.n;
    var sum = 0.0;
    for (var first = 0u; first < count; first += LOOKED_AT) {
        if lane < LOOKED_AT / 32u {
            atomicStore(&found[lane], 0u);
        }
        workgroupBarrier();
        for (var offset = lane; offset < LOOKED_AT; offset += 64u) {
            let place = first + offset;
            if place < count && ids[ids_at(run) + place] + place / launch.n * launch.id_step == row {
                atomicOr(&found[offset / 32u], 1u << (offset % 32u));
            }
        }
        workgroupBarrier();
        for (var word = 0u; word < LOOKED_AT / 32u; word += 1u) {
            var bits = atomicLoad(&found[word]);
            while bits != 0u {
                let place = first + word * 32u + firstTrailingBit(bits);
                bits &= bits - 1u;
                if column < launch.d {
                    let sample = place % launch.n;
                    let factor = exp2i(-bitcast<i32>(exponent[exponent_at(run) + sample])) * inverse;
                    sum = fma(factor, b[b0 + sample * launch.stride_n + place / launch.n * launch.stride_t], sum);
                }
            }
        }
        workgroupBarrier();
    }
    if column >= launch.d {
        return;
    }
    let place = table_at(run) + row * launch.d + column;
    if ACCUMULATE != 0u {
        sum += table[place];
    }
    table[place] = sum;
}
