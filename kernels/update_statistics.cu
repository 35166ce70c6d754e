// update_statistics — 2-norms of parameters, mean gradient and update; cos(g_t, g_{t-1}) and cos(g_t, m_{t-1}), null
// where either vector is zero; the update's norm is null where the update is not finite.
//
// in 0 sums [7], see `optimizer`   in 1 distance [1], with HELD: the squared norm of the whole update   inout 2 scalars

__device__ void run(const Args& args, u64 group) {
    if (threadIdx.x != 0) {
        return;
    }
    const wide* sums = args.sums;
    wide* row = args.scalars + CONTROL_RATES;
    row[COLUMN_WEIGHT_NORM] = sqrt(sums[0]);
    row[COLUMN_GRADIENT_NORM] = sqrt(sums[1]);
    // NaN stands for null, here for an update that overflowed and below for 0/0.
    const wide square = HELD ? args.distance[0] : sums[2];
    row[COLUMN_UPDATE_NORM] = is_finite(sums[2]) ? sqrt(square) : not_a_number();
    row[COLUMN_TEMPORAL_COSINE] = sums[3] / (sqrt(sums[1]) * sqrt(sums[4]));
    row[COLUMN_MOMENTUM_COSINE] = sums[5] / (sqrt(sums[1]) * sqrt(sums[6]));
}
