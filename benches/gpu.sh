#!/usr/bin/env bash
# usage: benches/gpu.sh OUT PROGRAM KERNELS_TEST CUDA_DRIVER_TEST
#
# What there is to find out on a machine with an NVIDIA GPU, from what was built elsewhere: the program, and the test
# binaries `kernels` and `cuda_driver` (`cargo test --release --test kernels --test cuda_driver --no-run` says where they
# are). Leaves in OUT, a new directory such as benches/results/DEVICE, what the machine is and what each command printed;
# goes on behind a failure, and ends with 1 if there was one.
set -uo pipefail
[[ $# -eq 4 ]] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
out=$1 program=$2 kernels=$3 tests=$4
mkdir "$out" || exit 2
failed=0

# Runs a command into a file of its own, and notes how it ended.
note() {
    local name=$1 start=$SECONDS code=0
    shift
    "$@" >"$out/$name.txt" 2>&1 || code=$?
    echo "$name: code $code, $((SECONDS - start)) s" | tee -a "$out/summary.txt"
    ((code == 0)) || failed=1
}

note devices "$program" devices
note machine bash -c 'uname -srm; lscpu | grep "Model name"; nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv'
export GMATRIX_REQUIRE=cuda
note conformance "$kernels" cuda_device --nocapture
note training "$tests" training --test-threads=1 --nocapture
if command -v compute-sanitizer >/dev/null; then
    # Every launch on its own, so that a report names the kernel.
    export GMATRIX_CUDA_LAUNCH=waiting
    for tool in memcheck racecheck; do
        note "$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" --exact training::cuda_trains_as_the_cpu_does
    done
    unset GMATRIX_CUDA_LAUNCH
else
    echo "no compute-sanitizer" | tee -a "$out/summary.txt"
fi
runs=$(mktemp -d)
for launch in graphs single; do
    GMATRIX_CUDA_LAUNCH=$launch note "train-$launch" "$program" train --backend cuda --quiet --set train.steps=2000 --out "$runs/$launch"
done
note profile "$program" train --backend cuda --quiet --profile --set train.steps=500 --out "$runs/profile"
note bench "$program" bench --backend cuda --json "$out/bench.json"
rm -r "$runs"
exit "$failed"
