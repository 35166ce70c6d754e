"""Check the oracle against itself and against second implementations. See README.md in this folder.

    python tests/oracle/check.py [--regenerate]

With --regenerate the fixtures are also written again to a temporary folder and compared byte by byte.
"""

import generate  # first: it fixes threads and code paths before torch is imported

import argparse
import itertools
import json
import math
import pathlib
import tempfile

import mpmath
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import oracle

CHECKS = 0


def close(what, a, b, tolerance, scale=None):
    """|a - b| <= tolerance * scale, scale |b|'s largest entry unless given. The check itself must be able to fail:
    the same comparison of a perturbed `a` has to object."""
    global CHECKS
    a, b = np.asarray(a, dtype=np.longdouble), np.asarray(b, dtype=np.longdouble)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    limit = tolerance * (np.abs(b).max() if scale is None else np.asarray(scale))

    def fails(x):
        return not np.all(np.abs(x - b) <= limit)

    assert not fails(a), f"{what}: off by {float(np.max(np.abs(a - b) / limit)):.3g} times the tolerance"
    worse = a.copy()
    worse.flat[0] += 3 * np.max(limit) + 1e-300
    assert fails(worse), f"{what}: a perturbed value passed"
    CHECKS += 1


# ---------------------------------------------------------------------------------------------------------------
# A second forward pass, in extended precision with numpy: no autograd, no batching, loops over heads and positions.
# ---------------------------------------------------------------------------------------------------------------

erf = np.vectorize(lambda x: np.longdouble(mpmath.nstr(mpmath.erf(mpmath.mpf(np.format_float_scientific(x))), 25)), otypes=[np.longdouble])


def second_activation(name, x):
    if name == "relu":
        return np.where(x > 0, x, 0)
    return x**2 if name == "quadratic" else x * (1 + erf(x / np.sqrt(np.longdouble(2)))) / 2


def second_norm(w, prefix, x):
    out = np.empty_like(x)
    for t, row in enumerate(x):
        out[t] = (row - row.mean()) / np.sqrt(row.var() + np.longdouble(1e-5)) * w[f"{prefix}.w"] + w[f"{prefix}.b"]
    return out


def second_logits(config, w, x):
    if config["kind"] == "mlp":
        if config["input"] == "one_hot":
            z = np.zeros(2 * config["d_vocab"], dtype=np.longdouble)
            z[x[0]] += 1
            z[config["d_vocab"] + x[1]] += 1
        else:
            z = np.concatenate([w["embed.W_E"][t] for t in x]) if config["input"] == "embedding" else np.longdouble(x)
        for l in range(len(config["hidden"]) + 1):
            z = z @ w[f"layers.{l}.W"] + w.get(f"layers.{l}.b", 0)
            if l < len(config["hidden"]):
                z = second_activation(config["activation"], z)
        return z
    x = np.stack([w["embed.W_E"][token] + w["pos_embed.W_pos"][t] for t, token in enumerate(x)])
    for l in range(config["layers"]):
        at = lambda name, default=None: w[f"blocks.{l}.{name}"] if default is None else w.get(f"blocks.{l}.{name}", default)
        a = second_norm(w, f"blocks.{l}.ln1", x) if config["norm"] == "pre" else x
        y = x.copy()
        for h in range(config["heads"]):
            q, k, v = (a @ at(f"attn.W_{c}")[h] + at(f"attn.b_{c}", np.zeros((config["heads"], 1)))[h] for c in "QKV")
            for t in range(len(x)):
                scores = np.array([q[t] @ k[s] for s in range(t + 1)]) / np.sqrt(np.longdouble(q.shape[1]))
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                mix = np.longdouble(config.get("attention_mix", 0.0))
                weights = (1 - mix) * weights + mix / len(weights)
                y[t] += sum(weights[s] * v[s] for s in range(t + 1)) @ at("attn.W_O")[h]
        y = y + at("attn.b_O", np.zeros(1))
        m = second_norm(w, f"blocks.{l}.ln2", y) if config["norm"] == "pre" else y
        x = y + second_activation(config["activation"], m @ at("mlp.W_in") + at("mlp.b_in")) @ at("mlp.W_out") + at("mlp.b_out")
    if config["norm"] == "pre":
        x = second_norm(w, "ln_final", x)
    return x[-1] @ w["unembed.W_U"] + w.get("unembed.b_U", 0)


def second_loss(kind, z, y):
    if kind == "stablemax":
        s = [1 + x if x >= 0 else 1 / (1 - x) for x in z]
        return np.log(sum(s)) - np.log(s[y])
    if kind == "mse":
        return ((z - np.eye(len(z))[y]) ** 2).mean()
    m = max(v for j, v in enumerate(z) if j != y)
    u = m - z[y] + np.log(sum(np.exp(v - m) for j, v in enumerate(z) if j != y))
    return np.maximum(u, 0) + np.log1p(np.exp(-abs(u)))


def extended(params):
    return {k: v.numpy().astype(np.longdouble) for k, v in params.items()}


# ---------------------------------------------------------------------------------------------------------------
# Checks of one case.
# ---------------------------------------------------------------------------------------------------------------


def check_gradients(name, config, params, inputs, labels, loss, losses, gradients):
    G = oracle.flatten(gradients).numpy()
    norms = np.sqrt((G * G).sum(1, keepdims=True))
    rows = []
    for x, y in zip(inputs, labels):  # one sample at a time, ordinary autograd
        leaves = {k: v.clone().requires_grad_(True) for k, v in params.items()}
        grads = torch.autograd.grad(oracle.loss_of(config, leaves, x, y, loss), list(leaves.values()))
        rows.append(torch.cat([g.reshape(-1) for g in grads]).numpy())
    close(f"{name}: vmap of grad, loop", G, np.stack(rows), 1e-12, norms + 1e-300)

    wide, x_wide = extended(params), inputs.numpy()
    rng = np.random.default_rng(1)
    second = [second_logits(config, wide, x) for x in x_wide]
    logits = oracle.all_logits(config, params, inputs).numpy()
    close(f"{name}: logits", logits, second, 1e-13)
    direct = [second_loss(loss, z, y) for z, y in zip(second, labels.numpy())]
    # an error d of a logit is a relative error d of a small loss
    close(f"{name}: losses", losses, direct, 1e-13 * (1 + np.abs(logits).max()), np.array(direct) + 1e-300)
    for i in (0, len(labels) - 1):  # central differences along random directions, in extended precision
        v = {k: rng.standard_normal(w.shape) for k, w in params.items()}
        h = np.longdouble(1e-7)
        up, down = ({k: wide[k] + s * h * v[k] for k in wide} for s in (1, -1))
        value = [second_loss(loss, second_logits(config, w, x_wide[i]), labels[i].item()) for w in (up, down)]
        slope = float(sum((g[i].numpy() * v[k]).sum() for k, g in gradients.items()))
        close(f"{name}: directional derivative", (value[0] - value[1]) / (2 * h), slope, 1e-9, norms[i, 0] * 10)


def check_structure(name, config, params, inputs, labels, loss, gram):
    """The Gram as the sum over the sites of products of inputs and output cotangents, no gradient formed."""
    a, b, kinds = [], [], None
    for x, y in zip(inputs, labels):
        first = oracle.Sites()
        oracle.logits_of(config, params, x, first)
        sites = oracle.Sites({k: torch.zeros(s, requires_grad=True) for k, s in first.shapes.items()})
        value = oracle.LOSSES[loss](oracle.logits_of(config, params, x, sites), y)
        grads = torch.autograd.grad(value, list(sites.zeros.values()))
        a.append({k: None if v is None else v.detach().numpy() for k, v in sites.inputs.items()})
        b.append({k: g.numpy() for k, g in zip(sites.zeros, grads)})
        kinds = sites.kinds
    n, total = len(labels), np.zeros((len(labels),) * 2)
    for site, kind in kinds.items():
        for i, j in itertools.product(range(n), repeat=2):
            ai, aj, bi, bj = a[i][site], a[j][site], b[i][site], b[j][site]
            if kind in ("linear", "linear_bias"):
                total[i, j] += ((ai @ aj.T + (kind == "linear_bias")) * (bi @ bj.T)).sum()
            elif kind == "embedding":
                total[i, j] += ((ai[:, None] == aj[None, :]) * (bi @ bj.T)).sum()
            elif kind == "positional":
                total[i, j] += (bi * bj).sum()
            else:
                total[i, j] += (ai * bi).sum(0) @ (aj * bj).sum(0) + bi.sum(0) @ bj.sum(0)
    diagonal = np.sqrt(np.diag(gram))
    close(f"{name}: structured Gram", total, gram, 1e-12, np.outer(diagonal, diagonal) + 1e-300)


def check_statistics(name, G, gram, flat):
    """Float64 formulas by the parameter-space side: singular values, covariance, means over gradients."""
    n = len(G)
    s = np.linalg.svd(G, compute_uv=False)
    l = np.linalg.eigvalsh(gram)[::-1]
    # an eigen-solver's error is eps lambda_max
    close(f"{name}: Gram spectrum, singular values", l, s[:n] ** 2, 1e-13)
    centred = G - G.mean(0)
    covariance = np.linalg.eigvalsh(centred.T @ centred / n)[::-1][:n]
    H = np.eye(n) - 1 / n
    close(f"{name}: centred Gram, covariance", np.linalg.eigvalsh(H @ gram @ H)[::-1] / n, covariance, 1e-12)
    norms, mean = np.linalg.norm(G, axis=1), G.mean(0)
    close(f"{name}: coherence", flat["coherence"], mean @ mean / (norms**2).mean(), 1e-11)
    close(f"{name}: noise", flat["noise_trace"], (centred**2).sum() / (n - 1), 1e-12)
    U = G[norms > 0] / norms[norms > 0, None]
    m = len(U)
    close(f"{name}: mean cosine", flat["mean_cosine"], (m * (U.mean(0) @ U.mean(0)) - 1) / (m - 1), 1e-12, 1.0)
    for kind, rows in (("raw", G), ("cosine", U), ("centred", centred)):
        l = np.linalg.svd(rows, compute_uv=False) ** 2
        close(f"{name}: {kind} participation ratio", flat[f"{kind}.participation_ratio"], l.sum() ** 2 / (l**2).sum(), 1e-11)
        close(f"{name}: {kind} stable rank", flat[f"{kind}.stable_rank"], l.sum() / l.max(), 1e-11)
        l = l[l >= 4 * len(rows) * oracle.EPS64 * l.max()]
        assert len(l) == flat[f"{kind}.rank"], f"{name}: {kind} rank {len(l)}, {flat[f'{kind}.rank']}"
        for key, w in (("erank_sigma", np.sqrt(l)), ("erank_lambda", l)):
            q = w / w.sum()
            close(f"{name}: {kind} {key}", flat[f"{kind}.{key}"], np.exp(-(q * np.log(q)).sum()), 1e-9)
        order = [flat[f"{kind}.{k}"] for k in ("stable_rank", "participation_ratio", "erank_lambda", "erank_sigma")]
        assert sorted(order) == order and order[-1] <= flat[f"{kind}.rank"] + 1e-9, f"{name}: {kind} order {order}"


def check_cotangents(name, config, params, inputs, labels):
    """Losses and cotangents of the cross-entropy from the same logits, at 80 digits."""
    logits = oracle.all_logits(config, params, inputs).detach()
    cotangents = torch.func.vmap(torch.func.grad(oracle.cross_entropy))(logits, labels).numpy()
    losses = torch.func.vmap(oracle.cross_entropy)(logits, labels).numpy()
    with mpmath.workdps(80):
        for z, y, value, row in zip(logits.numpy(), labels.numpy(), losses, cotangents):
            e = [mpmath.exp(mpmath.mpf(float(x))) for x in z]
            S = mpmath.fsum(e)
            p = [x / S for x in e]
            p[y] = -mpmath.fsum(x for j, x in enumerate(p) if j != y)
            if -p[y] < 1e-300:
                continue  # underflows to zero in float64, by design of one case
            # exp(x) has the relative error |x| eps
            tolerance = 4e-16 * (4 + np.ptp(z))
            close(f"{name}: cross-entropy", value, float(-mpmath.log1p(p[y])), tolerance)
            close(f"{name}: cotangents", row, [float(x) for x in p], tolerance, np.abs([float(x) for x in p]) + 1e-300)


def with_dropout(config, w, inputs, labels, loss, step, share):
    """The mean gradient of an MLP with dropped hidden activations, sample by sample, each draw on its own."""
    total = {k: torch.zeros_like(x) for k, x in w.items()}
    for i, (x, y) in enumerate(zip(inputs, labels)):
        rows = []
        for layer, width in enumerate(config["hidden"]):
            at = [i * width + j for j in range(width)]
            words = [oracle.philox((k // 4, layer, step, 8), (0, 0))[k % 4] for k in at]
            rows.append(torch.tensor([0.0 if word / 2**32 < share else 1 / (1 - share) for word in words]))
        leaves = {k: v.clone().requires_grad_(True) for k, v in w.items()}
        value = oracle.LOSSES[loss](oracle.mlp_logits(config, leaves, x, masks=rows), y)
        for k, g in zip(leaves, torch.autograd.grad(value, list(leaves.values()))):
            total[k] += g / len(labels)
    return total


def value_at(schedule, step):
    """A number, or a schedule at a step, point by point."""
    if not isinstance(schedule, dict):
        return schedule
    points = list(zip(schedule["steps"], schedule["values"]))
    if step <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if step < x1:
            return y0 if schedule["kind"] == "step" else y0 + (y1 - y0) * (step - x0) / (x1 - x0)
    return points[-1][1]


def second_optimise(config, params, inputs, labels, o, steps, loss):
    """The update rules written out."""
    w = {k: v.clone() for k, v in params.items()}
    m, v = ({k: torch.zeros_like(x) for k, x in w.items()} for _ in range(2))
    clip, average, recent = o.get("clip", 0.0), None, []
    for t in range(1, steps + 1):
        lr = o["lr"] * (min(t / o["warmup"], 1) if o["warmup"] else 1)
        beta1, beta2, eps = (value_at(o[key], t - 1) for key in ("beta1", "beta2", "eps"))
        means = {k: g.mean(0) for k, g in oracle.per_sample(config, w, inputs, labels, loss)[1].items()}
        if o.get("dropout"):
            means = with_dropout(config, w, inputs, labels, loss, t - 1, o["dropout"])
        if o.get("filter") == "grokfast_ema":
            alpha = o["filter_alpha"]
            average = {k: g if t == 1 else alpha * average[k] + (1 - alpha) * g for k, g in means.items()}
            means = {k: g + o["filter_lambda"] * average[k] for k, g in means.items()}
        if o.get("filter") == "grokfast_ma":
            recent = [*recent, means][-o["filter_window"] :]
            if len(recent) == o["filter_window"]:
                means = {k: g + o["filter_lambda"] * torch.stack([r[k] for r in recent]).mean(0) for k, g in means.items()}
        if o.get("perpendicular", "none") != "none":
            regions = oracle.joint(w) if o["perpendicular"] == "tensor" else [list(w)]
            for names in regions:
                ww, wg, gg = (sum((a[k] * b[k]).sum() for k in names) for a, b in ((w, w), (w, means), (means, means)))
                for k in names:
                    means[k] = (means[k] - wg / ww * w[k]) * (gg / (gg - wg * wg / ww)).sqrt()
        if clip:
            norm = math.sqrt(sum((g * g).sum().item() for g in means.values()))
            means = {k: g * min(1.0, clip / (norm + 1e-6)) for k, g in means.items()}
        for k, g in means.items():
            pull = o["weight_decay"] * w[k] + o.get("l1", 0.0) * torch.sign(w[k])
            if o["kind"] == "adamw":
                w[k] = w[k] - lr * pull
            else:
                g = g + pull
            if o["kind"] in ("sgd", "momentum", "nesterov"):
                m[k] = beta1 * m[k] + g
                w[k] = w[k] - lr * (g + beta1 * m[k] if o["kind"] == "nesterov" else m[k])
            else:
                m[k] = beta1 * m[k] + (1 - beta1) * g
                v[k] = beta2 * v[k] + (1 - beta2) * g * g
                m_hat, v_hat = m[k] / (1 - beta1**t), v[k] / (1 - beta2**t)
                w[k] = w[k] - lr * m_hat / (v_hat.sqrt() + eps)
    return w


def check_population_ratios():
    """The population participation ratios against U-statistics over all tuples of distinct samples."""
    n = 7
    G = np.random.default_rng(7).standard_normal((n, 5)) + 0.5
    K = G @ G.T
    pairs = list(itertools.permutations(range(n), 2))
    raw = np.mean([K[i, i] * K[j, j] for i, j in pairs]) / np.mean([K[i, j] ** 2 for i, j in pairs])
    D = [(G[a] - G[b], G[c] - G[d]) for a, b, c, d in itertools.permutations(range(n), 4)]
    centred = np.mean([(x @ x) * (y @ y) for x, y in D]) / np.mean([(x @ y) ** 2 for x, y in D])
    with mpmath.workdps(oracle.DIGITS):
        exact = oracle.exact_gram(G)
        close("population ratio", float(oracle.population_participation_ratio(exact)), raw, 1e-12)
        close("population ratio, centred", float(oracle.population_participation_ratio_centred(oracle.centred_gram(exact))), centred, 1e-12)


def check_naive(path):
    """Float32 cross-entropy: plain log-softmax in float32 gives these losses to a few units in the last place of
    the largest term, and the exact columns follow from the logits at 80 digits."""
    t = load_file(path)
    z, y = t["logits"].numpy(), t["labels"].numpy()
    with mpmath.workdps(80):
        for i, row in enumerate(z):
            e = [mpmath.exp(mpmath.mpf(float(x)) - mpmath.mpf(float(row.max()))) for x in row]
            S = mpmath.fsum(e)
            label = -mpmath.fsum(x for j, x in enumerate(e) if j != y[i]) / S
            close("naive: exact label gradient", t["exact_dlogits_label"][i], float(label), 1e-13)
            close("naive: exact loss", t["exact_loss"][i], float(-mpmath.log(e[y[i]] / S)), 1e-13)
            close("naive: loss", t["loss"][i], float(-mpmath.log(e[y[i]] / S)), 4 * oracle.EPS32, 2 + np.ptp(row))
            p = [float(x / S) for x in e]
            p[y[i]] = float(label)
            close("naive: dlogits", t["dlogits"][i], p, 1e-6 + 2e-7 * np.ptp(row), 1.0)


def check_steps(name, folder, config, params, inputs, labels):
    written = json.loads((folder / "steps.json").read_text())
    saved = load_file(folder / "steps.safetensors")
    for steps in generate.SAVED_STEPS:
        weights = second_optimise(config, params, inputs, labels, written["optimizer"], steps, written["loss_kind"])
        for k, w in weights.items():
            close(f"{name}: step {steps} of {k}", w, saved[f"after-{steps}/{k}"], 1e-10)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--regenerate", action="store_true")
    arguments = arguments.parse_args()
    for name in generate.CASES:
        folder = generate.FIXTURES / name
        with safe_open(folder / "weights.safetensors", "pt") as file:
            config = json.loads(file.metadata()["config"])
            params = {k: file.get_tensor(k).double() for k in file.keys()}
        data, expected = load_file(folder / "data.safetensors"), load_file(folder / "expected.safetensors")
        flat = json.loads((folder / "expected.json").read_text())
        inputs, labels, loss = data.get("tokens", data.get("inputs")), data["labels"], flat["loss_kind"]
        order = list(generate.random_weights(config, np.random.default_rng(0), "biases" in name))
        assert sorted(order) == sorted(params)
        params = {k: params[k] for k in order}
        losses, gradients = oracle.per_sample(config, params, inputs, labels, loss)
        G, gram = oracle.flatten(gradients).numpy(), expected["gram"].numpy()
        close(f"{name}: logits again", oracle.all_logits(config, params, inputs).detach(), expected["logits"], 1e-14)
        check_gradients(name, config, params, inputs, labels, loss, losses, gradients)
        check_structure(name, config, params, inputs, labels, loss, gram)
        check_statistics(name, G, gram, flat)
        if loss == "cross_entropy":
            check_cotangents(name, config, params, inputs, labels)
        matrix = np.array(flat["ntcov"]["matrix"])
        close(f"{name}: ntcov(loss, loss)", matrix[0, 0], flat["gradient_norm"] ** 2, 1e-10)
        close(f"{name}: ntcov of half_norm2", matrix[1, 1], flat["weight_norm"] ** 2, 1e-12)
        close(f"{name}: ntcov is symmetric", matrix, matrix.T, 1e-15)
        scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
        assert np.linalg.eigvalsh(matrix / scale).min() > -1e-12, f"{name}: ntcov is not positive semi-definite"
        if (folder / "steps.json").exists():
            check_steps(name, folder, config, params, inputs, labels)
        print(f"{name}: agrees", flush=True)
    for name, (config, *_) in generate.STEP_CASES.items():
        folder = generate.FIXTURES / name
        params, data = load_file(folder / "weights.safetensors"), load_file(folder / "data.safetensors")
        check_steps(name, folder, config, params, data["tokens"], data["labels"])
        print(f"{name}: agrees", flush=True)
    check_population_ratios()
    check_naive(generate.FIXTURES / "naive_cross_entropy.safetensors")
    if arguments.regenerate:
        with tempfile.TemporaryDirectory() as other:
            other = pathlib.Path(other)
            for name, (config, n, options) in generate.CASES.items():
                generate.write_case(other, name, config, n, options)
            for name, (config, n, loss, settings) in generate.STEP_CASES.items():
                generate.write_step_case(other, name, config, n, loss, settings)
            generate.write_naive_cross_entropy(other)
            for path in sorted(p for p in other.rglob("*") if p.is_file()):
                assert path.read_bytes() == (generate.FIXTURES / path.relative_to(other)).read_bytes(), f"{path.name} of {path.parent.name} differs"
        print("regenerated files are identical")
    print(f"{CHECKS} comparisons agree")


if __name__ == "__main__":
    main()
