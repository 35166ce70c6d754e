"""PyTorch as most people use it: autograd and a fused optimiser."""

import numpy as np
import torch

from model_torch import adamw, forward, loss_mean

from .torch_common import flat, on, to_numpy, wait
from .work import Work


class Run:
    """One network in training."""

    def __init__(self, case, device, fused=True):
        weights, self.train, _ = on(device, case)
        self.leaves = {k: v.requires_grad_() for k, v in weights.items()}
        self.optimizer, self.heads = adamw(self.leaves.values(), case.optimizer, fused), case.heads

    def step(self):
        self.optimizer.zero_grad()
        loss_mean(self.leaves, self.heads, *self.train).backward()
        self.optimizer.step()


def log_odds(z, y):
    """z_y less the log of the summed exponentials of all others, [N]."""
    label = torch.nn.functional.one_hot(y, z.shape[1]).bool()
    return z[label] - z.masked_fill(label, -torch.inf).logsumexp(1)


def properties(w, heads, train, test):
    """Values of tasks.PROPERTIES. Those of a single sample need that sample's pass alone."""
    losses, odds = [], []
    for tokens, labels in (train, test):
        z = forward(w, heads, tokens)[0]
        losses.append(torch.nn.functional.cross_entropy(z, labels))
        odds.append(log_odds(z, labels).mean())
    one = forward(w, heads, test[0][:1])[0]
    half = sum((v * v).sum() for v in w.values()) / 2
    return [*losses, half, *odds, one[0, 0], torch.softmax(one, 1)[0, 0], log_odds(one, test[1][:1])[0]]


def prepare(task, read, device):
    if task.kind == "ntcov":
        case = read(0)
        weights, train, test = on(device, case)
        leaves = {k: v.requires_grad_() for k, v in weights.items()}

        def call():
            values = properties(leaves, case.heads, train, test)
            rows = []
            for value in values:
                parts = torch.autograd.grad(value, list(leaves.values()), retain_graph=True, materialize_grads=True)
                rows.append(torch.cat([part.flatten() for part in parts]))
            rows = torch.stack(rows)
            return {"matrix": rows @ rows.T}

        return Work(call, to_numpy, wait)
    runs = [Run(read(seed), device) for seed in range(max(task.size, 1))]

    def call():
        for run in runs:
            run.step()

    return Work(call, lambda _: {"weights": np.stack([flat(run.leaves) for run in runs])}, wait)
