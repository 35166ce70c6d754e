"""A process of its own for one peer and one task. It reads commands and writes answers, one line of JSON each.

    prepare {twice, patience}    load libraries and inputs, call twice, or once if that takes longer than patience: seconds of the
                                 first call, checks, choices
    round {repeats, seconds}     seconds of up to so many calls, and the peak of memory so far
    numbers {calls, path}        call so often on fresh inputs, write the answer's numbers as .npz
"""

import importlib
import json
import os
import sys
import time

import numpy as np

from case import read_case
from memory import peak_above, reset_peak
from tasks import Task


def limit_threads(threads):
    """The libraries' own settings come by the environment; this is for those that look at the affinity alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


class Worker:
    def __init__(self, order):
        self.order, self.task = order, Task(*order["task"])
        dtype = {"f32": np.float32, "f64": np.float64}[order["precision"]]
        self.read = lambda seed: read_case(order["inputs"], self.task.preset, seed, dtype)
        self.work = self.above = None
        self.libraries = set(order["packages"])
        limit_threads(order["threads"])
        if "torch" in self.libraries:
            import torch

            torch.set_num_threads(order["threads"])
        if order["device"] == "cuda":
            self.require_cuda()
        if "jax" in self.libraries:
            import jax

            jax.config.update("jax_enable_x64", order["precision"] == "f64")

    def require_cuda(self):
        if "torch" in self.libraries:
            import torch

            if not torch.cuda.is_available():
                raise RuntimeError("PyTorch sees no CUDA device")
        else:
            import jax

            if jax.default_backend() != "gpu":
                raise RuntimeError("JAX sees no CUDA device: install jax[cuda13]")

    def make(self):
        return importlib.import_module(f"peers.{self.order['module']}").prepare(self.task, self.read, self.order["device"])

    def prepare(self, twice, patience):
        importlib.import_module(f"peers.{self.order['module']}")
        self.above = peak_above()
        self.work = self.make()
        first, answer = self.clock()
        if twice or first < patience:  # a second call, for what is compiled or allocated late
            answer = self.clock()[1]
        checks = {}
        if self.task.kind in ("gram", "statistics", "spectrum"):
            K = self.work.numbers(answer)["gram"].astype(np.float64)
            checks = {"trace": float(np.trace(K)), "frobenius": float(np.linalg.norm(K)), "corner": float(K[-1, 0])}
        self.reset_peak()
        return {"first": first, "choices": self.work.choices, "checks": checks}

    def clock(self):
        start = time.perf_counter()
        answer = self.work.wait(self.work.call())
        return time.perf_counter() - start, answer

    def round(self, repeats, seconds):
        times = []
        while len(times) < repeats and (not times or sum(times) < seconds):
            times.append(self.clock()[0])
        return {"times": times, "peak": self.peak_bytes()}

    def numbers(self, path):
        self.work = self.make()
        for _ in range(self.task.calls):
            answer = self.clock()[1]
        np.savez(path, **self.work.numbers(answer))
        return {}

    # The allocator's own count on a GPU, the resident set on the CPU.

    def reset_peak(self):
        if self.order["device"] == "cuda" and "torch" in self.libraries:
            import torch

            torch.cuda.reset_peak_memory_stats()
        else:
            reset_peak()

    def peak_bytes(self):
        if self.order["device"] == "cuda":
            if "torch" in self.libraries:
                import torch

                return torch.cuda.max_memory_allocated()
            import jax

            return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"]
        return self.above() + self.work.memory()


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    worker = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if command["do"] == "start":
                worker, answer = Worker(command["order"]), {}
            else:
                answer = getattr(worker, command["do"])(**command.get("with", {}))
        except Exception as error:  # whatever a library raises is this peer's result
            said = (str(error).strip().splitlines() or [""])[0]
            answer = {"error": f"{type(error).__name__}: {said}"[:300]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
