// form_ranks — ranks and nulls of one form, in the order of the columns of `raw.`.
//
// in 0 sums [8 + N], see `plan::layout`   in 1 eigenvalues [N] ascending (SPECTRUM)   out 2 ranks [9]
// params n, parameters P   order: every 256th number ascending, then over the threads, in f64; one block
//
// As `rank_statistics`. CENTRED: unit vectors less their mean, with the population form and the null that go with it;
// null where centring costs more digits than K has to spare.
// import ranks

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    __shared__ NullRoom room;
    const wide* head = args.sums;
    if (CENTRED && !centring_holds(head[FORM_CONDITION], epsilon<real>())) {
        for (u64 k = threadIdx.x; k < FORM; k += THREADS) {
            args.ranks[k] = not_a_number();
        }
        return;
    }
    const Nulls nulls = CENTRED ? null_of_units(head[SAMPLES], args.parameters)
                                : null_ranks(warps, room, head + PER_FORM, args.n, args.parameters, false);
    const Form own = {head, SPECTRUM ? args.eigenvalues : nullptr, args.n, args.parameters, epsilon<real>()};
    write_ranks(warps, own, CENTRED, nulls, args.ranks);
}
