// rank_statistics — agreement, ranks and nulls of the three forms, into the row.
//
// in 0 sums [32 + 3 N], see `plan::layout`   in 1 eigenvalues [3, N] ascending (SPECTRUM)   inout 2 scalars
// params n, parameters P   order: every 256th number ascending, then over the threads, in f64; a block takes one form
//
// Ranks as in SCIENCE of the docs: erank (Roy & Vetterli 2007) on singular values and on eigenvalues, participation
// ratio with its population form, stable rank; eigenvalues below 4 N eps lambda_max are dropped, eps that in which K
// was formed. Centred statistics are null where centring costs more digits than K has to spare.
// import ranks

__device__ void run(const Args& args, u64 form) {
    __shared__ wide warps[THREADS / WARP];
    __shared__ NullRoom room;
    const wide* sums = args.sums;
    const wide condition = sums[CONDITION];
    wide* row = args.scalars + CONTROL_RATES;
    if (form == RAW && threadIdx.x == 0) {
        row[COLUMN_N] = wide(args.n);
        row[COLUMN_PARAMETERS] = wide(args.parameters);
        row[COLUMN_MEAN_COSINE] = sums[COSINE_SUM] / sums[PAIRS];
        row[COLUMN_MIN_COSINE] = sums[PAIRS] > 0.0 ? sums[COSINE_MIN] : not_a_number();
        row[COLUMN_NEGATIVE_FRACTION] = sums[NEGATIVE] / sums[PAIRS];
        // Where nothing is left after centring, as of a single sample, there is no condition.
        row[COLUMN_CENTRING_CONDITION] = is_finite(condition) ? condition : not_a_number();
    }
    const bool centred = form == CENTRED;
    wide* out = row + (form == RAW ? COLUMN_RAW : form == COSINE ? COLUMN_COSINE : COLUMN_CENTRED);
    if (centred && !centring_holds(condition, epsilon<real>())) {
        for (u64 k = threadIdx.x; k < FORM; k += THREADS) {
            out[k] = not_a_number();
        }
        return;
    }
    // The centred null centres directions that have the raw norms.
    const wide* norms = sums + HEAD + (centred ? RAW : form) * args.n;
    const Nulls nulls = null_ranks(warps, room, norms, args.n, args.parameters, centred);
    const wide* eigenvalues = SPECTRUM ? args.eigenvalues + form * args.n : nullptr;
    const Form own = {sums + form * PER_FORM, eigenvalues, args.n, args.parameters, epsilon<real>()};
    write_ranks(warps, own, centred, nulls, out);
}
