//! What `cuda-host` must object to: kernels that a GPU may run wrongly, and kernels that break CUDA's rules, beside the
//! same kernels put right.

use std::sync::Arc;

use gmatrix::backend::cuda;

use super::library::{Library, compile, compiler, file};

const THREADS: usize = 64;

/// A kernel of one block of 64 threads whose body is this, with `out` `[64]` in f64; compiled, or none without a compiler.
fn kernel(name: &str, body: &str) -> Option<Arc<Library>> {
    if let Err(why) = compiler() {
        println!("Unsupported: {why}");
        let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|name| name == "cuda-host"),
            "cuda-host is required: {why}"
        );
        return None;
    }
    let part = format!(
        "enum : u32 {{ THREADS = {THREADS} }};\nstruct Launch {{\n    wide* out;\n}};\n\
         ENTRY void __launch_bounds__(THREADS) {name}(const Launch launch) {{\n\
         const u32 lane = threadIdx.x;\nwide* out = launch.out;\n{body}\n}}\n"
    );
    Some(compile(name, &file(name, &cuda::common(), &[part])).expect("a kernel that compiles"))
}

/// What it leaves in `out` when threads run in this order.
fn run(library: &Library, order: u32) -> Result<Vec<f64>, String> {
    let mut out = vec![0.0; THREADS];
    let arguments = (out.as_mut_ptr() as u64).to_ne_bytes();
    // SAFETY: `out` has a number for each thread, and the kernels below write no others.
    unsafe { library.launch(0, &arguments, [1, 1, 1], order) }?;
    Ok(out)
}

/// Whether all orders give this.
fn always(library: &Library, expected: impl Fn(usize) -> f64) -> bool {
    [0, 1, 7].iter().all(|order| {
        let out = run(library, *order).expect("a kernel that keeps to the rules");
        out.iter().enumerate().all(|(k, x)| *x == expected(k))
    })
}

/// What is said about a kernel that breaks a rule.
fn complaint(name: &str, body: &str) -> Option<String> {
    let library = kernel(name, body)?;
    Some(run(&library, 0).expect_err("a rule is broken"))
}

#[test]
fn cuda_host_objects_to_a_missing_barrier() {
    let body = |barrier: &str| {
        format!(
            "__shared__ wide shared[THREADS];\nshared[lane] = lane;\n{barrier}\nout[lane] = shared[THREADS - 1 - lane];"
        )
    };
    let (Some(right), Some(wrong)) = (
        kernel("reversed", &body("__syncthreads();")),
        kernel("raced", &body("")),
    ) else {
        return;
    };
    assert!(always(&right, |k| (THREADS - 1 - k) as f64));
    assert!(!always(&wrong, |k| (THREADS - 1 - k) as f64));
}

#[test]
fn cuda_host_objects_to_lanes_that_are_taken_to_run_in_step() {
    let body = |barrier: &str| {
        format!(
            "__shared__ wide shared[THREADS];\nshared[lane] = 1;\n__syncthreads();\n\
             for (u32 width = WARP / 2; width > 0; width /= 2) {{\n\
             const wide other = lane % WARP < width ? shared[lane + width] : 0;\n{barrier}\n\
             shared[lane] += other;\n{barrier}\n}}\n\
             out[lane] = shared[lane / WARP * WARP];\n"
        )
    };
    let (Some(right), Some(wrong)) = (
        kernel("warped", &body("__syncwarp(FULL);")),
        kernel("in_step", &body("")),
    ) else {
        return;
    };
    assert!(always(&right, |_| 32.0));
    assert!(!always(&wrong, |_| 32.0));
}

#[test]
fn cuda_host_shuffles_and_votes_as_cuda_does() {
    let body = "const u32 low = __ballot_sync(FULL, lane % WARP < 5);\n\
                const wide first = __shfl_sync(FULL, wide(lane), 3);\n\
                const u32 swapped = __shfl_xor_sync(FULL, lane, 1);\n\
                const u32 any = __syncthreads_or(lane == 40);\n\
                const u32 none = __syncthreads_or(lane == 400);\n\
                out[lane] = low * 1000.0 + first * 100.0 + swapped + 0.5 * any + 0.25 * none;";
    if let Some(library) = kernel("votes", body) {
        assert!(always(&library, |k| {
            31_000.0 + 100.0 * (3 + k / 32 * 32) as f64 + (k ^ 1) as f64 + 0.5
        }));
    }
}

#[test]
fn cuda_host_objects_to_a_barrier_that_some_threads_never_reach() {
    let different = complaint(
        "parted",
        "if (lane < 32) {\n__syncthreads();\n} else {\n__syncthreads();\n}\nout[lane] = 1;",
    );
    let left = complaint(
        "left",
        "if (lane < 40) {\n__syncthreads();\n} else {\nout[lane] = sum_warp(1);\n}\nout[lane] = 1;",
    );
    let Some((different, left)) = different.zip(left) else {
        return;
    };
    assert!(different.contains("different barriers"), "{different}");
    assert!(left.contains("do not come"), "{left}");
}

#[test]
fn cuda_host_objects_to_a_shuffle_with_a_lane_that_is_not_there() {
    let outside = complaint(
        "outside",
        "if (lane % WARP < 16) {\nout[lane] = __shfl_xor_sync(0xffffu, wide(lane), 16);\n}",
    );
    if let Some(outside) = outside {
        assert!(outside.contains("not in mask"), "{outside}");
    }
}

#[test]
fn cuda_host_fills_shared_memory_with_nan() {
    let body = "__shared__ wide shared[THREADS];\nout[lane] = shared[lane];";
    if let Some(library) = kernel("unwritten", body) {
        assert!(
            run(&library, 0)
                .expect("a kernel that keeps to the rules")
                .iter()
                .all(|x| x.is_nan())
        );
    }
}

#[test]
fn cuda_host_objects_to_arguments_of_another_length() {
    if let Some(library) = kernel("arguments", "out[lane] = 1;") {
        // SAFETY: a launch with arguments of the wrong length is refused before anything runs.
        let refused = unsafe { library.launch(0, &[0; 16], [1, 1, 1], 0) };
        assert_eq!(
            refused.expect_err("a refusal"),
            "16 bytes of arguments, the kernel takes 8"
        );
    }
}
