"""What all peers on JAX share."""

import jax
import jax.numpy as jnp
import numpy as np

import formulas

from .work import Work


def load(case):
    move = lambda pair: tuple(map(jnp.asarray, pair))
    return {k: jnp.asarray(v) for k, v in case.weights.items()}, move(case.train), move(case.test)


def to_numpy(found):
    return {name: np.asarray(value) for name, value in found.items()}


def gram_work(gram, arguments, kind, choices=None, jit=True):
    """`gram(*arguments)` gives K; all of it is one program, with the statistics and eigenvalues that were asked for."""
    answer = lambda *arguments: formulas.answer(jnp, gram(*arguments), kind, jnp.linalg.eigvalsh)
    program = jax.jit(answer) if jit else answer
    return Work(lambda: program(*arguments), to_numpy, jax.block_until_ready, choices or {})


def product(gradients):
    """Sum over parameters of the products of their gradients [N, ...]."""
    return sum(g.reshape(len(g), -1) @ g.reshape(len(g), -1).T for g in gradients)
