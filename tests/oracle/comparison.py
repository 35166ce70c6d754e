"""How alike pairs of networks are: references for tests/comparison.

    python tests/oracle/comparison.py      # writes tests/comparison/fixtures

The first network of a pair is one of `frequencies.py`; element i of a tensor of the second is w cos(i) + 0.2 sin(i + 1).
CKA through the two centred Gram matrices and their HSIC; canonical correlations through QR decompositions of the principal
components; principal angles through QR and the cosines and sines of numpy's SVD.
"""

import json
import pathlib

import frequencies
import numpy as np
import oracle
import structure
import torch
from safetensors.torch import load_file

OUT = pathlib.Path(__file__).resolve().parents[1] / "comparison" / "fixtures"
DIRECTIONS = 4


def other(params):
    turned = {}
    for name, w in params.items():
        i = torch.arange(w.numel(), dtype=torch.float64)
        turned[name] = (w.to(torch.float64).reshape(-1) * torch.cos(i) + 0.2 * torch.sin(i + 1)).reshape(w.shape)
    return turned


def hsic(k, l):
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return np.trace(k @ h @ l @ h) / (n - 1) ** 2


def cka(x, y):
    k, l = x @ x.T, y @ y.T
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def svcca(x, y, explained=0.99):
    def components(x):
        x = x - x.mean(0)
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        count = int(np.searchsorted(np.cumsum(s**2) / (s**2).sum(), explained)) + 1
        return x @ vt[:count].T

    q1, _ = np.linalg.qr(components(x))
    q2, _ = np.linalg.qr(components(y))
    return np.linalg.svd(q1.T @ q2, compute_uv=False).mean()


def angles(a, b):
    basis = []
    for m in (a, b):
        m = m - m.mean(0)
        vectors, values = np.linalg.eigh(m @ m.T)[::-1]
        q, _ = np.linalg.qr(vectors[:, np.argsort(-values)[:DIRECTIONS]])
        basis.append(q)
    cosines = np.linalg.svd(basis[0].T @ basis[1], compute_uv=False)
    return np.sort(np.arccos(np.clip(cosines, -1, 1))).tolist()


def inputs(config, params, tokens):
    """Inputs of the matrices after the last attention, and logits, by sample."""
    rows, logits = [], []
    for row in tokens:
        sites = oracle.Sites()
        logits.append(oracle.logits_of(config, params, row, sites))
        rows.append(sites.inputs)
    if config["kind"] == "transformer":
        last = config["layers"] - 1
        names = [f"blocks.{last}.mlp.W_in", f"blocks.{last}.mlp.W_out", "unembed.W_U"]
    else:
        names = [f"layers.{l + 1}.W" for l in range(len(config["hidden"]))]
    found = {name: torch.stack([row[name].reshape(-1, row[name].shape[-1])[-1] for row in rows]).numpy() for name in names}
    return found, torch.stack(logits).numpy()


def measure(name):
    op, config, _ = frequencies.CASES[name]
    first = {k: v.to(torch.float64) for k, v in load_file(structure.TABLES / name / "weights.safetensors").items()}
    second = other(first)
    tokens, *_ = frequencies.table(op, config)
    (x, zx), (y, zy) = inputs(config, first, tokens), inputs(config, second, tokens)
    found = {f"cka.{site}": cka(x[site], y[site]) for site in x}
    found |= {f"svcca.{site}": svcca(x[site], y[site]) for site in x}
    found["cka.logits"], found["svcca.logits"] = cka(zx, zy), svcca(zx, zy)
    table, last = ("embed.W_E", "unembed.W_U") if config["kind"] == "transformer" else (
        "layers.0.W" if config["input"] == "one_hot" else "embed.W_E", f"layers.{len(config['hidden'])}.W")
    spaces = {"embedding": angles(first[table].numpy(), second[table].numpy()),
              "unembedding": angles(first[last].numpy().T, second[last].numpy().T)}
    p, q = (torch.softmax(torch.tensor(z), 1).numpy() for z in (zx, zy))
    cx, cy = (z - z.mean(1, keepdims=True) for z in (zx, zy))
    found["function.agreement"] = (zx.argmax(1) == zy.argmax(1)).mean()
    found["function.distance"] = np.sqrt(((cx - cy) ** 2).sum(1).mean())
    found["function.cosine"] = (cx * cy).sum() / np.linalg.norm(cx) / np.linalg.norm(cy)
    found["function.total_variation"] = 0.5 * np.abs(p - q).sum(1).mean()
    a, b = (np.concatenate([v.numpy().ravel() for v in w.values()]) for w in (first, second))
    found["weights.all.distance"] = np.linalg.norm(a - b)
    found["weights.all.cosine"] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    found["weights.all.norm_ratio"] = np.linalg.norm(b) / np.linalg.norm(a)
    return {"scalars": {k: float(v) for k, v in found.items()}, "angles": spaces}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name in frequencies.CASES:
        (OUT / f"{name}.json").write_text(json.dumps(measure(name), allow_nan=False) + "\n")
        print(name)


if __name__ == "__main__":
    main()
