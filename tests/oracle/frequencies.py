"""Values and ntcov of properties about the frequencies of an operation, on complete tables of pairs.

    python tests/oracle/frequencies.py            # writes tests/trainer/fixtures

The group elements come from a table of powers of the smallest generator, the projections from orthonormal bases found
by a QR decomposition, gradients from autograd: none of it is how the Rust sources do it.
"""

import itertools
import json
import math
import pathlib

import generate
import numpy as np
import oracle
import torch

OUT = pathlib.Path(__file__).resolve().parents[1] / "trainer" / "fixtures"
OPS = {"add": lambda a, b, p: (a + b) % p, "sub": lambda a, b, p: (a - b) % p, "mul": lambda a, b, p: a * b % p,
       "div": lambda a, b, p: a * pow(b, -1, p) % p}
CASES = {
    "mlp_add": ("add", generate.mlp("one_hot", 7, 0, [10], "quadratic", False), "cross_entropy"),
    "mlp_sub": ("sub", generate.mlp("embedding", 6, 5, [9], "gelu", True), "mse"),
    "transformer_mul": ("mul", generate.transformer(1, "relu", "none", 7), "cross_entropy"),
    "transformer_div": ("div", generate.transformer(1, "gelu", "none", 7, n_ctx=4), "cross_entropy"),
}
NAMES = ["loss", "mean_log_odds_train", "restricted_loss", "restricted_loss:1,3", "restricted_loss:2", "fourier:1",
         "fourier:3", "linear:read_outs.safetensors#margin", "half_norm2"]


def element_of(op, p):
    """Element of each residue, None for 0 in a group of products."""
    if op in ("add", "sub"):
        return list(range(p))
    for g in range(1, p):
        powers = [pow(g, e, p) for e in range(p - 1)]
        if len(set(powers)) == p - 1:
            return [powers.index(r) if r else None for r in range(p)]
    raise ValueError(p)


def table(op, config):
    p = config["d_vocab_out"]
    pairs = [(a, b) for a, b in itertools.product(range(p), repeat=2) if op != "div" or b]
    rest = {2: lambda a, b: [a, b], 3: lambda a, b: [a, b, p], 4: lambda a, b: [a, p + 1, b, p]}[config["n_ctx"]]
    tokens = torch.tensor([rest(a, b) for a, b in pairs])
    labels = torch.tensor([OPS[op](a, b, p) for a, b in pairs])
    elements = element_of(op, p)
    keep = [i for i, (a, b) in enumerate(pairs) if elements[a] is not None and elements[b] is not None]
    sums = torch.tensor([elements[int(labels[i])] for i in keep])
    return tokens, labels, keep, sums, elements


def value(case, params, name, coefficients):
    config, tokens, labels, loss, keep, sums, elements = case
    if name in ("loss", "half_norm2"):
        return oracle.property_value(config, params, tokens, labels, name, loss)
    z = oracle.all_logits(config, params, tokens)
    if name == "mean_log_odds_train":
        return torch.stack([oracle.log_odds(row, y) for row, y in zip(z, labels)]).mean()
    if name.startswith("linear"):
        return (z * coefficients).sum()
    n = len([e for e in elements if e is not None])
    z = z[keep]
    if name.startswith("fourier"):
        k = int(name.split(":")[1])
        classes = [c for c, e in enumerate(elements) if e is not None]
        of_class = torch.tensor([elements[c] for c in classes])
        wave = torch.cos(2 * math.pi * k * (sums[:, None] - of_class[None]) / n)
        return (z[:, classes] * wave).sum() / torch.linalg.norm(wave)
    frequencies = [int(k) for k in name.split(":")[1].split(",")] if ":" in name else range(1, n // 2 + 1)
    columns = [torch.ones(len(keep))]
    for k in frequencies:
        columns.append(torch.cos(2 * math.pi * k * sums / n))
        if 2 * k != n:
            columns.append(torch.sin(2 * math.pi * k * sums / n))
    basis, _ = torch.linalg.qr(torch.stack(columns, 1))
    restricted = basis @ (basis.T @ z)
    return torch.stack([oracle.LOSSES[loss](row, y) for row, y in zip(restricted, labels[keep])]).mean()


def main():
    for name, (op, config, loss) in CASES.items():
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        params = generate.random_weights(config, generate.generator(name, "weights"), False)
        tokens, labels, keep, sums, elements = table(op, config)
        coefficients = torch.from_numpy(generate.generator(name, "read-out").standard_normal((len(labels), config["d_vocab_out"])))
        case = (config, tokens, labels, loss, keep, sums, elements)
        values, rows = [], []
        for x in NAMES:
            leaves = {k: v.detach().clone().requires_grad_(True) for k, v in params.items()}
            v = value(case, leaves, x, coefficients)
            grads = torch.autograd.grad(v, list(leaves.values()), allow_unused=True)
            flat = [(torch.zeros_like(w) if g is None else g).reshape(-1) for w, g in zip(leaves.values(), grads)]
            rows.append(torch.cat(flat).numpy())
            values.append(v.item())
        matrix = [[math.fsum(a * b) for b in rows] for a in rows]
        generate.write(folder / "weights.safetensors", params, {"config": json.dumps(config)})
        generate.write(folder / "data.safetensors", {"tokens": tokens, "labels": labels})
        generate.write(folder / "read_outs.safetensors", {"margin": coefficients})
        assert np.isfinite(np.array(matrix)).all()
        generate.write_json(folder / "expected.json", {"op": op, "p": config["d_vocab_out"], "loss_kind": loss,
                                                       "names": NAMES, "values": values, "matrix": matrix})


if __name__ == "__main__":
    main()
