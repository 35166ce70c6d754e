"""The reference: plain PyTorch in float64 on the CPU, each sample's gradient by a backward pass of its own."""

import numpy as np
import torch

import formulas
from case import NAMES
from model_torch import loss_mean, loss_sum

from .torch_common import flat, on, to_numpy
from .torch_eager import properties
from .work import Work


def gradient(value, leaves):
    parts = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def rows_of(task, case):
    weights, train, test = on("cpu", case)
    leaves = {name: weights[name].requires_grad_() for name in NAMES}
    if task.kind == "ntcov":
        return torch.stack([gradient(properties(leaves, case.heads, train, test)[k], leaves) for k in range(task.size)])
    samples = zip(*(part[: task.size] for part in train))
    return torch.stack([gradient(loss_sum(leaves, case.heads, t[None], y[None]), leaves) for t, y in samples])


def trained(task, case):
    weights, train, _ = on("cpu", case)
    leaves = {name: weights[name].requires_grad_() for name in NAMES}
    keys = case.optimizer
    optimizer = torch.optim.AdamW(leaves.values(), keys["lr"], (keys["beta1"], keys["beta2"]), keys["eps"], keys["weight_decay"],
                                  foreach=False)
    for _ in range(task.calls):
        optimizer.zero_grad()
        loss_mean(leaves, case.heads, *train).backward()
        optimizer.step()
    return flat(leaves)


def prepare(task, read, device):
    if task.kind in ("step", "runs"):
        cases = [read(seed) for seed in range(max(task.size, 1))]
        before = np.stack([np.concatenate([case.weights[name].ravel() for name in NAMES]) for case in cases])
        return Work(lambda: {"before": before, "weights": np.stack([trained(task, case) for case in cases])}, lambda found: found)
    rows = rows_of(task, read(0))
    K = rows @ rows.T
    if task.kind == "ntcov":
        return Work(lambda: {"matrix": K}, to_numpy)
    return Work(lambda: formulas.answer(torch, K, task.kind, torch.linalg.eigvalsh), to_numpy)
