// lanczos — ranks of a large form from its leading eigenvalues and from random probes of the rest, with standard errors.
//
// in 0 form [N, N]   in 1 sums [8], see `plan::layout`   inout 2 ranks [9], in the order of the columns of `raw.`
// out 3 errors [3], of erank_sigma, erank_lambda and stable_rank   inout 4 room, see `plan::layout`, which means nothing
// afterwards
// params n, probes, dimensions to search at most   control: seed, step
// order: see the shared files; probes eight at a time, in f64; one block
//
// Block Lanczos with full reorthogonalisation finds leading eigenpairs. Those it has found well are taken away; on what
// is left, stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017) estimates sums of functions of eigenvalues from
// probes of independent signs. A line is fitted to each function first: its sum is known from dimension and trace, and
// only what deviates from it scatters. Eigenvalues below 4 N eps lambda_max count as 0, as for exact spectra.
// The error joins the scatter between probes with what half as many Lanczos steps would change; that of stable_rank is
// the bound that the residual gives. Nulls, traces and participation ratios stay as they are.
// import quadrature

static_assert(u32(THREADS) == KRYLOV_THREADS && u32(THREADS) >= u32(KRYLOV), "a thread for each dimension");

/// Adds up what the leading eigenvalues, the lines and the probes say. One thread alone.
__device__ void write_ranks(const Args& args, const Krylov& at, const KrylovShared& shared, const Measure& measure,
                            const Lines& lines, u64 top, bool is_whole) {
    wide rest = args.sums[TRACE];
    Functions totals = {};
    for (u64 k = 0; k < top; k++) {
        const Functions f = measure.of(shared.values[k]);
        rest -= shared.values[k];
        UNROLL
        for (u32 place = 0; place < DEVIATIONS; place++) {
            totals.of[place] += f.of[place];
        }
    }
    const bool is_solved = top == at.n;
    UNROLL
    for (u32 place = 0; place < DEVIATIONS && !is_solved; place++) {
        totals.of[place] += lines.constants.of[place] * wide(at.n - top) + lines.slopes.of[place] * (rest / measure.largest);
        for (u64 probe = 0; probe < at.probes; probe++) {
            totals.of[place] += deviations_of(at, 2 * probe)[place] / wide(at.probes);
        }
    }
    const wide sigma = rank_of(totals.of[0], totals.of[1]);
    const wide lambda = rank_of(totals.of[3], totals.of[2]);
    const wide stable = args.sums[TRACE] / measure.largest;
    args.ranks[0] = sigma;
    args.ranks[1] = lambda;
    args.ranks[4] = stable;
    args.errors[0] = is_solved ? 0.0 : sigma * error_of(at, totals, 0, 1);
    args.errors[1] = is_solved ? 0.0 : lambda * error_of(at, totals, 3, 2);
    args.errors[2] = is_whole ? 0.0 : stable * shared.residuals[0] / measure.largest;
}

__device__ void run(const Args& args, u64 group) {
    __shared__ KrylovShared shared;
    if (threadIdx.x < 3) {
        args.errors[threadIdx.x] = not_a_number();
    }
    bool broken = false;
    for (u64 k = threadIdx.x; k < args.n * args.n; k += THREADS) {
        broken = broken || !is_finite(args.form[k]);
    }
    // The participation ratio is null where the form is.
    broken = broken || args.ranks[2] != args.ranks[2];
    if (__syncthreads_or(broken)) {
        return;
    }
    const Krylov at = lay_out(args.form, args.n, args.probes, args.dimensions, args.room);
    const u64 dimensions = search_space(at, shared, args.control);
    if (dimensions == 0 || !(shared.values[0] > 0.0)) {
        return;
    }
    const Measure measure = {shared.values[0], 4.0 * wide(args.n) * epsilon<real>() * shared.values[0]};
    const u64 top = found_well(at, shared, dimensions);
    Lines lines = {};
    if (top < args.n) {
        for (u64 first = 0; first < args.probes; first += KRYLOV_BLOCK) {
            follow_probes(at, shared, args.control, first, top);
        }
        lines = fit_lines(at, shared, measure);
        find_deviations(at, measure, lines);
    }
    if (threadIdx.x == 0) {
        write_ranks(args, at, shared, measure, lines, top, dimensions == args.n);
    }
}
