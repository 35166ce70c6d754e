// clip — factor = min(1, clip / (|x| + 1e-6)), as PyTorch's clip_grad_norm_; 1 where clip is 0.
//
// in 0 square [1] = |x|^2   in 1 scalars (rates)   out 2 factor [1]

__device__ void run(const Args& args, u64 group) {
    if (threadIdx.x != 0) {
        return;
    }
    const wide clip = args.scalars[CONTROL_CLIP];
    const wide factor = clip / (sqrt(args.square[0]) + 1e-6);
    args.factor[0] = clip == 0.0 || factor >= 1.0 ? 1.0 : factor;
}
