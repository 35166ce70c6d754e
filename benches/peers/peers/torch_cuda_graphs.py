"""A step captured into a CUDA graph, which is replayed: no launch costs the host anything."""

import numpy as np
import torch

from model_torch import adamw, loss_mean

from .torch_common import flat, wait
from .torch_eager import Run
from .work import Work


def prepare(task, read, device):
    cases = [read(seed) for seed in range(max(task.size, 1))]
    runs = [Run(case, device) for case in cases]
    for run, case in zip(runs, cases):
        run.optimizer = adamw(run.leaves.values(), case.optimizer)
        for group in run.optimizer.param_groups:
            group["capturable"] = True

    def steps():
        for run in runs:
            loss_mean(run.leaves, run.heads, *run.train).backward()
            run.optimizer.step()
            run.optimizer.zero_grad(set_to_none=False)

    # Capturing needs warmed-up allocations on a stream of its own; the weights are put back afterwards, in place.
    before = [{k: v.detach().clone() for k, v in run.leaves.items()} for run in runs]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            steps()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        steps()
    with torch.no_grad():
        for run, weights in zip(runs, before):
            for name, value in weights.items():
                run.leaves[name].copy_(value)
            for state in run.optimizer.state.values():
                for value in state.values():
                    value.zero_()
    return Work(graph.replay, lambda _: {"weights": np.stack([flat(run.leaves) for run in runs])}, wait)
