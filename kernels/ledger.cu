// ledger — predicted and measured changes of every property, their parts and running sums, into the row.
//
// in 0 products [K K + 4 K], with REMEMBERED [K K + 5 K], see `decompose`   in 1 held [K], with HELD: what holding the
// norm does, part of decay   in 2 change [K], measured   in 3 value [K], before the update   inout 4 ledger [K, 9]:
// running sums of the parts, the value after the last recorded step, whether there was one   inout 5 scalars
// params properties K
// order: parts in their order; a thread takes one property
//
// predicted = selection + lagged + noise + decay + decay_lagged, the last with REMEMBERED, else null; second = measured -
// predicted. What a property did between two recorded steps is booked as `between`, so that the ledger's total is its
// change since the first recorded step.

constexpr u32 PARTS = REMEMBERED ? UPDATE_PARTS : UPDATE_PARTS - 1;
constexpr u32 DECAY = 3;
constexpr u32 DECAY_LAGGED = 4;
constexpr u32 SECOND = UPDATE_PARTS;
constexpr u32 BETWEEN = SECOND + 1;
constexpr u32 LAST = BETWEEN + 1;
constexpr u32 STARTED = LAST + 1;

__device__ void run(const Args& args, u64 group) {
    const u64 x = group * THREADS + threadIdx.x;
    if (x >= args.properties) {
        return;
    }
    const wide* parts = args.products + args.properties * args.properties + x * PARTS;
    wide* book = args.ledger + x * LEDGER_WIDTH;
    wide* row = args.scalars + CONTROL_RATES + COLUMN_PROPERTIES;
    wide* out = row + x * PER_PROPERTY;
    const wide before = args.value[x];
    const wide measured = args.change[x];
    wide predicted = 0;
    for (u32 part = 0; part < PARTS; part++) {
        const wide along = HELD && part == DECAY ? parts[part] + args.held[x] : parts[part];
        predicted += along;
        book[part] += along;
        out[3 + part] = along;
    }
    const wide second = measured - predicted;
    book[SECOND] += second;
    if (book[STARTED] > 0.0) {
        book[BETWEEN] += before - book[LAST];
    }
    book[LAST] = before + measured;
    book[STARTED] = 1;
    out[0] = before;
    out[1] = predicted;
    out[2] = measured;
    out[3 + UPDATE_PARTS] = second;
    wide total = 0;
    for (u32 place = 0; place <= BETWEEN; place++) {
        out[PROPERTY_PARTS + place] = book[place];
        total += book[place];
    }
    out[PROPERTY_PARTS + BETWEEN + 1] = total;
    if (!REMEMBERED) {
        // NaN stands for null.
        out[3 + DECAY_LAGGED] = not_a_number();
        out[PROPERTY_PARTS + DECAY_LAGGED] = not_a_number();
    }
    for (u64 y = 0; y < args.properties; y++) {
        const u64 pair = x * args.properties + y;
        row[args.properties * PER_PROPERTY + pair] = args.products[pair];
    }
}
