// spectrum — eigenvalues of symmetric matrices, ascending; NaN for a matrix that is not finite.
//
// inout 0 forms [matrices, N, N], used up   out 1 eigenvalues [matrices, N]   params matrices, n
// order: as `eigenvalues.cuh`, in f64; a block takes one matrix
// import eigenvalues

__device__ void run(const Args& args, u64 number) {
    __shared__ wide warps[THREADS / WARP];
    eigenvalues_of(warps, args.forms + number * args.n * args.n, args.n, args.eigenvalues + number * args.n);
}
