"""Per-sample gradient statistics of a JAX model, without per-sample gradients.

    python examples/python/jax_sites.py S.safetensors
    gmatrix gram --sites S.safetensors

A zero is added to the output of every layer: the gradient with respect to it is the layer's cotangent. The rest is a
small model, and the check: the same samples' gradients by vmap.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file


def forward(params, x, zeros):
    """Logits [N, classes], and the inputs of all layers. Layers see [N, T, d]; the last one [N, 1, d]."""
    inputs = {"hidden": x}
    x = jnp.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"] + zeros["hidden"])
    x = x * params["gain"]
    inputs["out"] = x.mean(1, keepdims=True)
    return (inputs["out"] @ params["out"]["w"] + zeros["out"])[:, 0], inputs


def losses(params, x, labels, zeros):
    """The loss of every sample [N], and the inputs of all layers."""
    logits, inputs = forward(params, x, zeros)
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[:, 0], inputs


def loss_of_one(params, x, label, zeros):
    """The loss of one sample alone."""
    return losses(params, x[None], label[None], zeros)[0][0]


def write_sites(params, x, labels, path):
    """Writes what every layer saw, and the gradients of the gain, which is no layer, one by one."""
    (n, t, _), width = x.shape, {name: params[name]["w"].shape[1] for name in ("hidden", "out")}
    zeros = {"hidden": jnp.zeros((n, t, width["hidden"])), "out": jnp.zeros((n, 1, width["out"]))}
    total = lambda zeros: (lambda each, inputs: (each.sum(), inputs))(*losses(params, x, labels, zeros))
    b, a = jax.grad(total, has_aux=True)(zeros)
    none = {"hidden": 0.0, "out": 0.0}
    gain = lambda gain, *sample: loss_of_one(params | {"gain": gain}, *sample, none)
    tensors = {f"sites/{name}/{part}": of[name] for part, of in (("a", a), ("b", b)) for name in zeros}
    tensors["sites/gain/g"] = jax.vmap(jax.grad(gain), (None, 0, 0))(params["gain"], x, labels)
    kinds = {"hidden": "linear_bias", "out": "linear", "gain": "materialised"}
    save_file({name: np.asarray(tensor) for name, tensor in tensors.items()}, path,
              {f"sites/{name}/kind": kind for name, kind in kinds.items()})


def main(path):
    jax.config.update("jax_enable_x64", True)
    keys = jax.random.split(jax.random.key(0), 6)
    normal = lambda key, *shape: jax.random.normal(key, shape) / np.sqrt(shape[0])
    params = {"hidden": {"w": normal(keys[0], 7, 9), "b": normal(keys[1], 9)}, "gain": 1 + normal(keys[2], 9) / 4,
              "out": {"w": normal(keys[3], 9, 4)}}
    x, labels = jax.random.normal(keys[4], (12, 2, 7)), jax.random.randint(keys[5], (12,), 0, 4)
    write_sites(params, x, labels, path)

    from expected import write_expected  # beside this file

    gradients = jax.vmap(jax.grad(loss_of_one), (None, 0, 0, None))(params, x, labels, {"hidden": 0.0, "out": 0.0})
    write_expected(path, np.concatenate([np.reshape(g, (len(x), -1)) for g in jax.tree.leaves(gradients)], 1))


if __name__ == "__main__":
    main(sys.argv[1])
