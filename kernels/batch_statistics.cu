// batch_statistics — norms, coherence and noise of the step's batch.
//
// in 0 norm [N], as scaled   in 1 exponent [N]   inout 2 scalars, with |mean g|^2   params n
// order: every 256th sample ascending, then over the threads, in f64
//
// With S = sum |g_i|^2 and Q = |sum g_i|^2: coherence = Q/(n S), coherence_unbiased = (n coherence - 1)/(n - 1),
// noise_g2 = (Q - S)/(n (n - 1)), noise_trace = (S - Q/n)/(n - 1) (McCandlish et al. 1812.06162, batch of 1).

/// Root of a norm as scaled; rounding may have made it negative.
__device__ wide root_of(wide scaled) { return sqrt(Largest::of(scaled, 0.0)); }

__device__ wide log_of(const Args& args, u64 sample) {
    return log(root_of(args.norm[sample])) - wide(i32(args.exponent[sample])) * 0.69314718055994530942;
}

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const wide n = wide(args.n);
    wide sum = 0;
    wide square = 0;
    wide smallest = infinite();
    wide largest = 0;
    wide first = infinite();
    wide alive = 0;
    for (u64 k = threadIdx.x; k < args.n; k += THREADS) {
        const wide root = root_of(args.norm[k]);
        const wide norm = root * unscale<wide>(args.exponent[k]);
        sum += norm;
        square += norm * norm;
        smallest = Least::of(smallest, norm);
        largest = Largest::of(largest, norm);
        if (root > 0.0) {
            first = Least::of(first, wide(k));
            alive += 1.0;
        }
    }
    sum = sum_threads(warps, sum);
    square = sum_threads(warps, square);
    alive = sum_threads(warps, alive);
    smallest = search_threads<Least>(warps, smallest);
    largest = search_threads<Largest>(warps, largest);
    first = search_threads<Least>(warps, first);
    // Logarithms about that of the first non-zero norm, so that their variance does not cancel.
    const wide centre = alive > 0.0 ? log_of(args, u64(first)) : 0.0;
    wide logs = 0;
    wide log_squares = 0;
    for (u64 k = threadIdx.x; k < args.n; k += THREADS) {
        if (root_of(args.norm[k]) > 0.0) {
            const wide log = log_of(args, k) - centre;
            logs += log;
            log_squares += log * log;
        }
    }
    logs = sum_threads(warps, logs);
    log_squares = sum_threads(warps, log_squares);
    if (threadIdx.x != 0) {
        return;
    }
    const wide mean_square = args.scalars[CONTROL_MEAN_SQUARE];
    wide* row = args.scalars + CONTROL_RATES;
    row[COLUMN_N_BATCH] = n;
    row[COLUMN_ZERO_GRADIENTS] = n - alive;
    row[COLUMN_NORM_MEAN] = sum / n;
    row[COLUMN_NORM_MIN] = smallest;
    row[COLUMN_NORM_MAX] = largest;
    const wide mean_log = logs / alive;
    const wide log_sd = sqrt(Largest::of(log_squares / alive - mean_log * mean_log, 0.0));
    row[COLUMN_NORM_LOG_SD] = alive > 0.0 ? log_sd : not_a_number();
    const wide total = mean_square * n * n;
    const wide alpha = total / (n * square);
    row[COLUMN_COHERENCE] = alpha;
    // One sample says nothing about the spread; rounding would make it infinite.
    const wide others = args.n > 1 ? n - 1.0 : not_a_number();
    row[COLUMN_COHERENCE_UNBIASED] = (n * alpha - 1.0) / others;
    row[COLUMN_NOISE_TRACE] = (square - total / n) / others;
    row[COLUMN_NOISE_G2] = (total - square) / (n * others);
}
