// row — copies the row's columns to the metrics ring, if anything was measured at this step.
//
// in 0 scalars   in 1 columns [columns]: the segment that fills each   inout 2 block   inout 3 ring [capacity, columns]
// inout 4 header [capacity, 2 + words]: run id, step, valid bits   params columns, capacity
// import layout

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let block0 = block_at(run);
    let flags = block0 + CONTROL_DUE;
    let measured = block[flags + SEGMENT_SCALARS] | block[flags + SEGMENT_EVALUATE] | block[flags + SEGMENT_GRAM]
        | block[flags + SEGMENT_DECOMPOSE];
    if measured == 0u {
        return;
    }
    let width = launch.columns;
    let place = block[block0 + CONTROL_ROWS] % launch.capacity;
    let row = scalars_at(run) + CONTROL_RATES;
    let ring0 = ring_at(run) + place * width;
    let header_width = 2u + (width + 31u) / 32u;
    let header0 = header_at(run) + place * header_width;
    for (var word = 2u; word < header_width; word += 1u) {
        header[header0 + word] = 0u;
    }
    header[header0] = block[block0 + CONTROL_RUN];
    header[header0 + 1u] = block[block0 + CONTROL_STEP];
    for (var column = 0u; column < width; column += 1u) {
        ring[ring0 + column] = scalars[row + column];
        if block[flags + columns[columns_at(run) + column]] != 0u {
            header[header0 + 2u + column / 32u] |= 1u << (column % 32u);
        }
    }
    block[block0 + CONTROL_ROWS] += 1u;
}
