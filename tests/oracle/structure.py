"""Measures of what a network has grown, on the complete tables of `frequencies.py`.

    python tests/oracle/structure.py      # writes tests/structure/fixtures

Projections are on explicit bases over all pairs, found by a QR decomposition or written out as the eight products of
cosines and sines; spectra of weights by numpy's FFT; gradients by autograd. Samples 0, 3, 6, … are the test split.
"""

import json
import math
import pathlib

import frequencies
import generate
import numpy as np
import oracle
import torch
from safetensors.torch import load_file

TABLES = pathlib.Path(__file__).resolve().parents[1] / "trainer" / "fixtures"
OUT = pathlib.Path(__file__).resolve().parents[1] / "structure" / "fixtures"
KEYS = [1, 3]


def forward(config, params, tokens):
    """Logits, and the hidden neurons at the last position, by sample."""
    logits, hidden = [], []
    for row in tokens:
        sites = oracle.Sites()
        logits.append(oracle.logits_of(config, params, row, sites))
        if config["kind"] == "transformer":
            names = [f"blocks.{l}.mlp.W_out" for l in range(config["layers"])]
        else:
            names = [f"layers.{l + 1}.W" for l in range(len(config["hidden"]))]
        hidden.append(torch.cat([sites.inputs[name][-1] for name in names]))
    return torch.stack(logits), torch.stack(hidden)


def project(basis, values):
    """The orthogonal projection of the columns of `values` on the span of the columns of `basis`."""
    q, r = torch.linalg.qr(torch.stack(basis, 1))
    q = q[:, r.diagonal().abs() > 1e-9]
    return q @ (q.T @ values)


def purity(h, x, y, n):
    """For each neuron the share of its variance in the eight functions of each frequency."""
    h = h - h.mean(0)
    shares = []
    for k in range(1, n // 2 + 1):
        wave = [torch.cos(2 * math.pi * k * x / n), torch.sin(2 * math.pi * k * x / n),
                torch.cos(2 * math.pi * k * y / n), torch.sin(2 * math.pi * k * y / n)]
        basis = wave + [wave[i] * wave[j] for i in (0, 1) for j in (2, 3)]
        if 2 * k == n:
            basis = [wave[0], wave[2], wave[0] * wave[2]]
        square = (h**2).sum(0)
        shares.append(torch.where(square > 0, (project(basis, h) ** 2).sum(0) / square, 0.0))
    return torch.stack(shares)


def norms(config, params):
    if config["kind"] == "transformer":
        pairs = [(params[f"blocks.{l}.mlp.W_in"], params[f"blocks.{l}.mlp.W_out"]) for l in range(config["layers"])]
    else:
        pairs = [(params[f"layers.{l}.W"], params[f"layers.{l + 1}.W"]) for l in range(len(config["hidden"]))]
    return torch.cat([torch.linalg.norm(a, dim=0) * torch.linalg.norm(b, dim=1) for a, b in pairs])


def gini(x):
    x = np.asarray(x)
    return np.abs(x[:, None] - x[None]).sum() / (2 * len(x) ** 2 * x.mean())


def components(rows):
    """Norms of the orthonormal Fourier components, and each frequency's share without the constant."""
    n = len(rows)
    basis = [np.ones(n)]
    for k in range(1, n // 2 + 1):
        basis.append(np.cos(2 * np.pi * k * np.arange(n) / n))
        if 2 * k != n:
            basis.append(np.sin(2 * np.pi * k * np.arange(n) / n))
    basis = np.stack([b / np.linalg.norm(b) for b in basis])
    power = (np.abs(np.fft.rfft(rows, axis=0)) ** 2).sum(1)[1:]
    power[: (n - 1) // 2] *= 2
    return np.linalg.norm(basis @ rows, axis=1), (power / power.sum()).tolist()


def cosines_of_gradients(config, params, tokens):
    """[pairs, classes]: cosine between the gradients of a logit by its operands' embeddings."""
    second = 2 if tokens.shape[1] == 4 else 1
    out = []
    for row in tokens:
        sites = oracle.Sites({"embed.W_E": torch.zeros(len(row), params["embed.W_E"].shape[1], requires_grad=True)})
        sites.tap = lambda name, kind, a, o: o + sites.zeros[name] if name in sites.zeros else o
        z = oracle.logits_of(config, params, row, sites)
        grads = [torch.autograd.grad(zc, sites.zeros["embed.W_E"], retain_graph=True)[0] for zc in z]
        out.append([torch.nn.functional.cosine_similarity(g[0], g[second], dim=0).item() for g in grads])
    return out


def measure(name):
    op, config, loss = frequencies.CASES[name]
    params = load_file(TABLES / name / "weights.safetensors")
    tokens, labels, keep, sums, elements = frequencies.table(op, config)
    n = len([e for e in elements if e is not None])
    second = 2 if tokens.shape[1] == 4 else 1
    x = torch.tensor([elements[int(tokens[i, 0])] for i in keep])
    y = torch.tensor([elements[int(tokens[i, second])] for i in keep])
    trained = torch.tensor([i % 3 != 0 for i in keep])
    z, hidden = forward(config, params, tokens[keep])
    labels = labels[keep]
    mean_loss = lambda rows, of: torch.stack([oracle.LOSSES[loss](r, l) for r, l in zip(rows, of)]).mean().item()
    waves = lambda k: [torch.cos(2 * math.pi * k * sums / n), torch.sin(2 * math.pi * k * sums / n)]
    of_keys = lambda keys: project([w for k in keys for w in waves(k)], z)
    restricted = of_keys(KEYS) + z.mean(0)
    classes = torch.tensor([elements.index(e) for e in range(n)])
    similarity = []
    for k in range(1, n // 2 + 1):
        wave = torch.cos(2 * math.pi * k * (sums[:, None] - torch.arange(n)[None]) / n)
        coefficient = (z[:, classes] * wave / torch.linalg.norm(wave)).sum()
        similarity.append([coefficient.item(), (coefficient / torch.linalg.norm(z[:, classes])).item()])
    centred = z - z.mean(0)
    shares = purity(hidden, x, y, n)
    # A neuron that only few pairs excite can have two frequencies with the same share: which is the best is rounding.
    best = torch.sort(shares, dim=0, descending=True).values
    frequency = torch.where(best[0] > 0, shares.argmax(0) + 1, 0)
    frequency = torch.where((best[0] > 0) & (best[0] - best[1] < 1e-9), -1, frequency)
    distance = (x + y) % n if op in ("sub", "div") else (x - y) % n
    correct = z[torch.arange(len(z)), labels]
    first = params["layers.0.W"] if config.get("input") == "one_hot" else params["embed.W_E"]
    above = (params["blocks.0.mlp.W_out"] @ params["unembed.W_U"] if config["kind"] == "transformer"
             else params[f"layers.{len(config['hidden'])}.W"]).T
    embed_norms, embed = components(first[classes].numpy())
    found = {
        "op": op, "p": config["d_vocab_out"], "loss_kind": loss, "keys": KEYS,
        "restricted_loss": mean_loss(restricted, labels),
        "restricted_accuracy": (restricted.argmax(1) == labels).to(torch.float64).mean().item(),
        "excluded_loss": mean_loss((z - of_keys(KEYS))[trained], labels[trained]),
        "cosines": similarity,
        "logits": [((of_keys([k]) ** 2).sum() / (centred**2).sum()).item() for k in range(1, n // 2 + 1)],
        "frequency": frequency.tolist(),
        "purity": shares.max(0).values.tolist(),
        "norm": norms(config, params).tolist(),
        "gini_embed": gini(embed_norms), "embed": embed,
        "gini_unembed": gini(components(above[classes].numpy())[0]),
        "distance_irrelevance": (torch.stack([correct[distance == d].std() for d in range(n)]).mean()
                                 / correct.std()).item(),
    }
    if config.get("input") == "one_hot":
        w = np.abs(np.fft.rfft(first[classes].numpy(), axis=0)) ** 2
        found["inverse_participation"] = ((w / w.sum(0)) ** 2).sum(0).mean()
    else:
        order = sorted(range(len(keep)), key=lambda i: (int(x[i]), int(y[i])))
        found["gradient_cosines"] = cosines_of_gradients(config, params, tokens[keep][order])
    return found


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name in frequencies.CASES:
        (OUT / f"{name}.json").write_text(json.dumps(measure(name), allow_nan=False) + "\n")
        print(name)


if __name__ == "__main__":
    main()
