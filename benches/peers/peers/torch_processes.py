"""Many runs the obvious way: processes that know nothing of each other, as many as there are cores, each with a share of
the runs and one thread."""

import os

import numpy as np
import torch
import torch.multiprocessing as multiprocessing

from memory import peak_above

from .torch_common import flat
from .torch_eager import Run
from .work import Work


def serve(cases, pipe):
    torch.set_num_threads(1)
    runs = [Run(case, "cpu") for case in cases]
    peak = peak_above()
    while True:
        asked = pipe.recv()
        if asked == "step":
            for run in runs:
                run.step()
            pipe.send(None)
        else:
            pipe.send(peak() if asked == "memory" else [flat(run.leaves) for run in runs])


def prepare(task, read, device):
    cases = [read(seed) for seed in range(task.size)]
    count = min(task.size, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    context = multiprocessing.get_context("spawn")
    pipes = []
    for place in range(count):
        here, there = context.Pipe()
        context.Process(target=serve, args=(cases[place::count], there), daemon=True).start()
        pipes.append(here)

    def ask(what):
        for pipe in pipes:
            pipe.send(what)
        return [pipe.recv() for pipe in pipes]

    def numbers(_):
        found = [None] * task.size
        for place, share in enumerate(ask("weights")):
            found[place::count] = share
        return {"weights": np.stack(found)}

    return Work(lambda: ask("step"), numbers, choices={"processes": count}, memory=lambda: sum(ask("memory")))
