// ledger — predicted and measured changes of every property, their parts and running sums, into the row.
//
// in 0 products [K K + 4 K], with REMEMBERED [K K + 5 K], see `decompose`   in 1 held [K], with HELD: what holding the
// norm does, part of decay   in 2 change [K], measured   in 3 value [K], before the update   inout 4 ledger [K, 9]:
// running sums of the parts, the value after the last recorded step, whether there was one   inout 5 scalars
// params properties K
// import layout
// import wide
// import math
//
// predicted = selection + lagged + noise + decay + decay_lagged, the last with REMEMBERED, else null; second = measured -
// predicted. What a property did between two recorded steps is booked as `between`, so that the ledger's total is its
// change since the first recorded step.

const DECAY = 3u;
const DECAY_LAGGED = 4u;
const SECOND = 5u;
const BETWEEN = 6u;
const LAST = 7u;
const STARTED = 8u;
/// Places before the parts in a property's columns.
const FIRST = 3u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let x = group_index(group) * 64u + lane;
    let properties = launch.properties;
    if !due(run) || x >= properties {
        return;
    }
    let count = select(UPDATE_PARTS - 1u, UPDATE_PARTS, REMEMBERED != 0u);
    let parts0 = products_at(run) + properties * properties + x * count;
    let book = ledger_at(run) + x * LEDGER_WIDTH;
    let row = scalars_at(run) + CONTROL_RATES + COLUMN_PROPERTIES;
    let out = row + x * PER_PROPERTY;
    let before = value[value_at(run) + x];
    let measured = change[change_at(run) + x];
    var predicted = wide(0.0);
    for (var part = 0u; part < count; part += 1u) {
        var along = products[parts0 + part];
        if HELD != 0u && part == DECAY {
            along = wide_add(along, held[held_at(run) + x]);
        }
        predicted = wide_add(predicted, along);
        ledger[book + part] = storable(wide_add(ledger[book + part], along));
        scalars[out + FIRST + part] = along;
    }
    let second = wide_sub(measured, predicted);
    ledger[book + SECOND] = storable(wide_add(ledger[book + SECOND], second));
    if ledger[book + STARTED].x > 0.0 {
        let between = wide_sub(before, ledger[book + LAST]);
        ledger[book + BETWEEN] = storable(wide_add(ledger[book + BETWEEN], between));
    }
    ledger[book + LAST] = storable(wide_add(before, measured));
    ledger[book + STARTED] = wide(1.0);
    scalars[out] = before;
    scalars[out + 1u] = predicted;
    scalars[out + 2u] = measured;
    scalars[out + FIRST + SECOND] = second;
    var total = wide(0.0);
    for (var place = 0u; place <= BETWEEN; place += 1u) {
        let sum = ledger[book + place];
        scalars[out + PROPERTY_PARTS + place] = sum;
        total = wide_add(total, sum);
    }
    scalars[out + PROPERTY_PARTS + BETWEEN + 1u] = total;
    if REMEMBERED == 0u {
        // NaN stands for null.
        scalars[out + FIRST + DECAY_LAGGED] = wide(not_a_number());
        scalars[out + PROPERTY_PARTS + DECAY_LAGGED] = wide(not_a_number());
    }
    for (var y = 0u; y < properties; y += 1u) {
        let pair = x * properties + y;
        scalars[row + properties * PER_PROPERTY + pair] = products[products_at(run) + pair];
    }
}
