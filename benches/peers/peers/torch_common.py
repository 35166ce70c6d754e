"""What all peers on PyTorch share."""

import time

import numpy as np
import torch

import formulas
from case import NAMES

from .work import Work


def on(device, case):
    """Weights and both splits as tensors of their own."""
    move = lambda array: torch.tensor(array, device=device)
    return {k: move(v) for k, v in case.weights.items()}, tuple(map(move, case.train)), tuple(map(move, case.test))


def wait(answer):
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return answer


def to_numpy(found):
    return {name: value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value) for name, value in found.items()}


def flat(weights):
    return torch.cat([weights[name].detach().flatten() for name in NAMES]).double().cpu().numpy()


def gram_work(gram, kind, choices=None):
    """`gram()` gives K; statistics and eigenvalues are the same for all peers on PyTorch."""
    call = lambda: formulas.answer(torch, gram(), kind, torch.linalg.eigvalsh)
    return Work(call, to_numpy, wait, choices or {})


def product(gradients):
    """Sum over parameters of the products of their gradients [N, ...]."""
    K = 0
    for gradient in gradients:
        rows = gradient.flatten(1)
        K = rows @ rows.T if isinstance(K, int) else K.addmm_(rows, rows.T)
    return K


def quickest(candidates, call):
    """The candidate whose second call is quickest."""
    seconds = {}
    for candidate in candidates:
        call(candidate)
        wait(None)
        start = time.perf_counter()
        wait(call(candidate))
        seconds[candidate] = time.perf_counter() - start
    return min(seconds, key=seconds.get)
