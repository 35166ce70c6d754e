"""The network in JAX, as a function of a dictionary of weights."""

import jax
import jax.numpy as jnp


def forward(w, heads, tokens, taps=None):
    """As `model_torch.forward`."""
    z = (lambda name, value: value) if taps is None else (lambda name, value: value + taps[name])
    split = lambda part: part.reshape(*part.shape[:-1], heads, -1)
    x = z("x", w["W_E"][tokens] + w["W_pos"])
    last = x[:, -1]
    q, k, v = split(z("q", last @ w["W_Q"])), split(z("k", x @ w["W_K"])), split(z("v", x @ w["W_V"]))
    pattern = jax.nn.softmax((q[:, None] * k).sum(-1) / q.shape[-1] ** 0.5, 1)
    mixed = (pattern[..., None] * v).sum(1).reshape(len(tokens), -1)
    middle = last + z("o", mixed @ w["W_O"])
    hidden = jax.nn.relu(z("in", middle @ w["W_in"] + w["b_in"]))
    final = middle + z("out", hidden @ w["W_out"] + w["b_out"])
    return z("u", final @ w["W_U"]), (x, mixed, middle, hidden, final)


def losses(logits, labels):
    return jax.nn.logsumexp(logits, 1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]


def loss_mean(w, heads, tokens, labels):
    return losses(forward(w, heads, tokens)[0], labels).mean()


def loss_of_one(w, heads, tokens, label):
    return losses(forward(w, heads, tokens[None])[0], label[None])[0]


def adamw_step(state, gradient, optimizer):
    """state: weights, both moments, and the number of steps made, as a float."""
    w, m, v, t = state
    lr, decay, beta1, beta2, eps = (optimizer[key] for key in ("lr", "weight_decay", "beta1", "beta2", "eps"))
    t = t + 1
    m = {k: beta1 * m[k] + (1 - beta1) * gradient[k] for k in w}
    v = {k: beta2 * v[k] + (1 - beta2) * gradient[k] ** 2 for k in w}
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    w = {k: w[k] * (1 - lr * decay) - lr * (m[k] / c1) / (jnp.sqrt(v[k] / c2) + eps) for k in w}
    return w, m, v, t


def fresh(w):
    """The state before the first step. Copies, since steps are given their state's memory."""
    copy = lambda scale: {k: value * scale for k, value in w.items()}
    return copy(1), copy(0), copy(0), jnp.zeros((), w["W_E"].dtype)
