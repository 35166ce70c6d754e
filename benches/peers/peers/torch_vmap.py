"""torch.func: gradients of single samples in memory, many runs in one call, the Jacobian of the properties."""

import numpy as np
import torch
from torch.func import grad, jacrev, vmap

from model_torch import adamw, loss_mean, loss_of_one

from .torch_common import flat, gram_work, on, product, quickest, to_numpy, wait
from .torch_eager import properties
from .work import Work

CHUNKS = (64, 128, 256, 512)


def prepare(task, read, device):
    case = read(0)
    weights, train, test = on(device, case)
    if task.kind == "ntcov":
        jacobian = jacrev(lambda w: torch.stack(properties(w, case.heads, train, test)))

        def call():
            rows = torch.cat([part.flatten(1) for part in jacobian(weights).values()], 1)
            return {"matrix": rows @ rows.T}

        return Work(call, to_numpy, wait)
    if task.kind == "runs":
        return many_runs([case, *map(read, range(1, task.size))], device)
    tokens, labels = (part[: task.size] for part in train)
    one = grad(lambda w, t, y: loss_of_one(w, case.heads, t, y))
    gradients = lambda chunk, n: vmap(one, (None, 0, 0), chunk_size=chunk)(weights, tokens[:n], labels[:n]).values()
    chunk = quickest([c for c in CHUNKS if c <= task.size] or [task.size], lambda chunk: gradients(chunk, 512))
    return gram_work(lambda: product(gradients(chunk, task.size)), task.kind, {"chunk": chunk})


def many_runs(cases, device):
    """All runs' weights are stacked; AdamW acts on each number by itself, so one optimiser serves all."""
    loaded = [on(device, case) for case in cases]
    leaves = {k: torch.stack([w[k] for w, _, _ in loaded]) for k in loaded[0][0]}
    tokens, labels = (torch.stack([train[part] for _, train, _ in loaded]) for part in (0, 1))
    step_gradients = vmap(grad(lambda w, t, y: loss_mean(w, cases[0].heads, t, y)))
    optimizer = adamw(leaves.values(), cases[0].optimizer)

    def call():
        for name, gradient in step_gradients(leaves, tokens, labels).items():
            leaves[name].grad = gradient
        optimizer.step()

    def numbers(_):
        return {"weights": np.stack([flat({k: v[r] for k, v in leaves.items()}) for r in range(len(cases))])}

    return Work(call, numbers, wait)
