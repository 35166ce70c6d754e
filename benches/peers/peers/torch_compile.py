"""PyTorch compiled: one graph of a step, optimiser included; and one of a whole structured Gram matrix."""

import numpy as np
import torch

from model_torch import loss_mean

from .structured import gram_of_block
from .torch_common import flat, gram_work, on, wait
from .torch_eager import Run
from .torch_structured import sites
from .work import Work


def prepare(task, read, device):
    if task.kind in ("step", "runs"):
        runs = [Run(read(seed), device, fused=False) for seed in range(max(task.size, 1))]
        for run in runs:  # a tensor, or the compiled optimiser would be compiled anew for every step
            for group in run.optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"])
        gradients = torch.compile(lambda leaves, heads, tokens, labels: loss_mean(leaves, heads, tokens, labels))
        update = torch.compile(lambda optimizer: optimizer.step())

        def call():
            for run in runs:
                run.optimizer.zero_grad()
                gradients(run.leaves, run.heads, *run.train).backward()
                update(run.optimizer)

        return Work(call, lambda _: {"weights": np.stack([flat(run.leaves) for run in runs])}, wait)
    case = read(0)
    weights, train, _ = on(device, case)
    tokens, labels = (part[: task.size] for part in train)
    everything = slice(None)
    whole = torch.compile(lambda captured: gram_of_block(captured, everything, everything))
    return gram_work(lambda: whole(sites(weights, case.heads, tokens, labels)), task.kind)
