"""JAX as most people use it: one jit, vmap of grad."""

import jax
import jax.numpy as jnp
import numpy as np

from case import NAMES
from model_jax import adamw_step, forward, fresh, loss_mean, loss_of_one, losses

from .jax_common import gram_work, load, product, to_numpy
from .work import Work


def log_odds(z, y):
    label = jax.nn.one_hot(y, z.shape[1], dtype=bool)
    return jnp.where(label, z, 0).sum(1) - jax.nn.logsumexp(jnp.where(label, -jnp.inf, z), 1)


def properties(heads, train, test):
    """Functions of the weights, in the order of tasks.PROPERTIES."""
    logits = lambda w, tokens: forward(w, heads, tokens)[0]
    loss = lambda split: lambda w: losses(logits(w, split[0]), split[1]).mean()
    odds = lambda split: lambda w: log_odds(logits(w, split[0]), split[1]).mean()
    one = (test[0][:1], test[1][:1])
    return [loss(train), loss(test), lambda w: sum((v * v).sum() for v in w.values()) / 2, odds(train), odds(test),
            lambda w: logits(w, one[0])[0, 0], lambda w: jax.nn.softmax(logits(w, one[0]), 1)[0, 0], odds(one)]


def train(state, step, arguments):
    """A work that advances a state, whose memory each step takes over."""
    step = jax.jit(step, donate_argnums=0)
    holder = [state]

    def call():
        holder[0] = step(holder[0], *arguments)
        return holder[0][0]

    rows = lambda w: np.concatenate([np.asarray(w[name], np.float64).reshape(-1, w[name].size // count) for name in NAMES], 1)
    count = state[3].size
    return Work(call, lambda w: {"weights": rows(w)}, jax.block_until_ready)


def prepare(task, read, device):
    case = read(0)
    w, training, test = load(case)

    def step(state, tokens, labels):
        gradient = jax.grad(lambda w: loss_mean(w, case.heads, tokens, labels))(state[0])
        return adamw_step(state, gradient, case.optimizer)

    if task.kind == "step":
        return train(fresh(w), step, training)
    if task.kind == "runs":
        loaded = [load(read(seed)) for seed in range(task.size)]
        states = jax.tree.map(lambda *parts: jnp.stack(parts), *[fresh(w) for w, _, _ in loaded])
        arguments = [jnp.stack([split[part] for _, split, _ in loaded]) for part in (0, 1)]
        return train(states, jax.vmap(step), arguments)
    if task.kind == "ntcov":
        def products(w, training, test):
            gradients = [jax.grad(value)(w) for value in properties(case.heads, training, test)]
            rows = jnp.stack([jnp.concatenate([g.ravel() for g in jax.tree.leaves(gradient)]) for gradient in gradients])
            return {"matrix": rows @ rows.T}

        program = jax.jit(products)
        return Work(lambda: program(w, training, test), to_numpy, jax.block_until_ready)
    one = jax.grad(lambda w, t, y: loss_of_one(w, case.heads, t, y))
    gram = lambda w, tokens, labels: product(jax.vmap(one, (None, 0, 0))(w, tokens, labels).values())
    return gram_work(gram, (w, *(part[: task.size] for part in training)), task.kind)
