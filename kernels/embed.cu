// embed — looks up tokens: out row (n, t) = table[id + t * id_step] (+ position[t]); with SUM, row n sums over t.
//
// in 0 ids [T, N]   in 1 table [V, d]   in 2 position [T, d] (POSITION)   out 3 out, rows by stride_n, stride_t
// params n, t, d, stride_n, stride_t, id_step   order: t ascending; a thread makes one element

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.n * args.d * (SUM ? 1 : args.t)) {
        return;
    }
    const u64 column = k % args.d;
    const u64 sample = k / args.d % args.n;
    const u64 first = k / args.d / args.n;
    const u64 end = SUM ? args.t : first + 1;
    real sum = real(0);
    for (u64 place = first; place < end; place++) {
        const u64 id = args.ids[place * args.n + sample] + place * args.id_step;
        const real value = args.table[id * args.d + column];
        sum = place == first ? value : sum + value;
        if (POSITION) {
            sum += args.position[place * args.d + column];
        }
    }
    if (end > first) {
        args.out[sample * args.stride_n + first * args.stride_t + column] = sum;
    }
}
