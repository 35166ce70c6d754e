"""Independent float64 reference for gmatrix, in PyTorch.

Models, losses, per-sample gradients, the Gram matrix of those gradients, its statistics and `ntcov`, each written
out plainly. Nothing here is optimised and nothing is shared with the Rust sources.

Conventions
-----------
* g_i is the gradient of the i-th sample's own loss, never divided by N. K_ij = g_i . g_j.
* Logits are read at the last position only. Attention is causal and scaled by 1/sqrt(d_head).
* LayerNorm: eps 1e-5 inside the square root, biased variance. GELU: exact, by erf. Quadratic: x^2.
* |x|^2 is the squared 2-norm.

References
----------
[TL]  TransformerLens: parameter names and shapes.
[RV]  Roy & Vetterli 2007, "The effective rank": exp of the Shannon entropy of the normalised singular values.
[HY]  Himeno & Yamada 2014: unbiased estimates of tr S^2 and (tr S)^2 for unknown mean.
[C]   Chatterjee 2020, arXiv:2002.10657: coherence alpha = |mean g|^2 / mean |g_i|^2.
[M]   McCandlish et al. 2018, arXiv:1812.06162: gradient noise scale.
[P]   torch.optim: SGD, Adam and AdamW update rules.
"""

import collections
import math

import mpmath
import numpy as np
import torch

torch.set_default_dtype(torch.float64)

EPS64 = 2.0**-52
EPS32 = 2.0**-23
LAYERNORM_EPS = 1e-5
DIGITS = 120  # decimal digits of the multi-precision arithmetic on Gram matrices


# ---------------------------------------------------------------------------------------------------------------
# Models. One sample at a time: `tokens [T]` (integers) or `inputs [d]` (floats).
# ---------------------------------------------------------------------------------------------------------------


class Sites:
    """Where parameters are used: the captured input of every site, and a zero added to its output.

    The gradient of the loss with respect to that zero is the cotangent of the site's output. Only `check.py` uses
    this; without it (`sites=None`) the model is just the model.
    """

    def __init__(self, zeros=None):
        self.zeros, self.inputs, self.shapes, self.kinds = zeros, {}, {}, {}

    def tap(self, name, kind, a, out):
        self.inputs[name], self.shapes[name], self.kinds[name] = a, out.shape, kind
        return out if self.zeros is None else out + self.zeros[name]


def tap(sites, name, kind, a, out):
    return out if sites is None else sites.tap(name, kind, a, out)


def one_hot(index, size):
    return (torch.arange(size) == index[..., None]).to(torch.float64)


def activation(name, x):
    if name == "relu":
        return torch.relu(x)
    if name == "gelu":
        return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))
    if name == "quadratic":
        return x * x
    raise ValueError(f"unknown activation {name}")


def layer_norm(params, prefix, x, sites):
    centred = x - x.mean(-1, keepdim=True)
    normal = centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + LAYERNORM_EPS)
    return tap(sites, prefix, "scale_shift", normal, normal * params[f"{prefix}.w"] + params[f"{prefix}.b"])


def linear(params, weight, bias, a, sites):
    """a W (+ b). A parameter of several heads is joined to one matrix by the caller."""
    W = params[weight] if isinstance(weight, str) else weight[1]
    name = weight if isinstance(weight, str) else weight[0]
    out = a @ W
    if bias in params:
        return tap(sites, name, "linear_bias", a, out + params[bias].reshape(-1))
    return tap(sites, name, "linear", a, out)


def transformer_logits(config, params, tokens, sites=None):
    T, heads = tokens.shape[-1], config["heads"]
    pre = config["norm"] == "pre"
    embedded = tap(sites, "embed.W_E", "embedding", tokens, params["embed.W_E"][tokens])
    positional = tap(sites, "pos_embed.W_pos", "positional", None, params["pos_embed.W_pos"][:T])
    x = embedded + positional
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    for l in range(config["layers"]):
        p = f"blocks.{l}"
        a = layer_norm(params, f"{p}.ln1", x, sites) if pre else x
        d_head = params[f"{p}.attn.W_Q"].shape[-1]

        def project(which):
            W = params[f"{p}.attn.W_{which}"]  # [heads, d_model, d_head]
            joined = W.permute(1, 0, 2).reshape(W.shape[1], -1)  # [d_model, heads * d_head]
            out = linear(params, (f"{p}.attn.W_{which}", joined), f"{p}.attn.b_{which}", a, sites)
            return out.reshape(T, heads, d_head).permute(1, 0, 2)  # [heads, T, d_head]

        q, k, v = project("Q"), project("K"), project("V")
        scores = q @ k.transpose(-1, -2) / math.sqrt(d_head)  # [heads, T, T]
        pattern = torch.softmax(torch.where(causal, scores, -math.inf), -1)
        mix = config.get("attention_mix", 0.0)
        if mix:  # with the uniform distribution over the positions that a query sees
            pattern = (1.0 - mix) * pattern + mix * causal / causal.sum(-1, keepdim=True)
        z = (pattern @ v).permute(1, 0, 2).reshape(T, heads * d_head)
        W_O = params[f"{p}.attn.W_O"]
        x = x + linear(params, (f"{p}.attn.W_O", W_O.reshape(-1, W_O.shape[-1])), f"{p}.attn.b_O", z, sites)
        m = layer_norm(params, f"{p}.ln2", x, sites) if pre else x
        hidden = activation(config["activation"], linear(params, f"{p}.mlp.W_in", f"{p}.mlp.b_in", m, sites))
        x = x + linear(params, f"{p}.mlp.W_out", f"{p}.mlp.b_out", hidden, sites)
    if pre:
        x = layer_norm(params, "ln_final", x, sites)
    return linear(params, "unembed.W_U", "unembed.b_U", x[-1:], sites)[0]


def mlp_logits(config, params, x, sites=None, masks=None):
    if config["input"] == "one_hot":  # token t selects row t * d_vocab + token
        z = one_hot(x, config["d_vocab"]).reshape(-1)
    elif config["input"] == "embedding":  # one shared table, concatenated over the positions
        z = tap(sites, "embed.W_E", "embedding", x, params["embed.W_E"][x]).reshape(-1)
    elif config["input"] == "float":
        z = x
    else:
        raise ValueError(f"unknown input {config['input']}")
    z = z[None]
    last = len(config["hidden"])
    for l in range(last + 1):
        z = linear(params, f"layers.{l}.W", f"layers.{l}.b", z, sites)
        if l < last:
            z = activation(config["activation"], z)
            z = z if masks is None else z * masks[l]
    return z[0]


def logits_of(config, params, x, sites=None):
    return {"transformer": transformer_logits, "mlp": mlp_logits}[config["kind"]](config, params, x, sites)


def all_logits(config, params, inputs):
    return torch.func.vmap(lambda x: logits_of(config, params, x))(inputs)


# ---------------------------------------------------------------------------------------------------------------
# Losses and scalar properties.
# ---------------------------------------------------------------------------------------------------------------


def log_odds(z, c):
    """z_c - log sum_{j != c} exp z_j."""
    others = torch.where(torch.arange(z.shape[-1]) == c, -math.inf, z)
    return torch.gather(z, -1, c.reshape(1))[0] - torch.logsumexp(others, -1)


def cross_entropy(z, y):
    """-log softmax(z)_y = log(1 + exp(-log_odds)), which cancels nowhere.

    For y the arg max this is log1p(sum_{j != y} exp(z_j - z_y)), and dl/dz_y is -sum_{j != y} p_j, never p_y - 1.
    """
    return torch.logaddexp(torch.zeros(()), -log_odds(z, y))


def mean_squared_error(z, y):
    """Mean over the classes of (z - onehot)^2, as torch.nn.functional.mse_loss does for one sample."""
    return ((z - one_hot(y, z.shape[-1])) ** 2).mean()


def stablemax(z, y):
    """-log(s(z_y) / sum s(z_j)), s(x) = x + 1 for x >= 0, else 1/(1 - x) (Prieto et al. 2501.04697)."""
    negative = torch.where(z < 0, z, torch.zeros(()))  # keeps the unused branch away from its pole
    s = torch.where(z < 0, 1.0 / (1.0 - negative), z + 1.0)
    return -torch.log(torch.gather(s, -1, y.reshape(1))[0] / s.sum())


LOSSES = {"cross_entropy": cross_entropy, "mse": mean_squared_error, "stablemax": stablemax}


def probability(z, c):
    """softmax(z)_c as exp(-(loss of label c)): its gradient p_c (1 - p_c) does not cancel when p_c is near 1."""
    return torch.exp(-cross_entropy(z, c))


def loss_of(config, params, x, y, loss="cross_entropy"):
    return LOSSES[loss](logits_of(config, params, x), y)


def per_sample(config, params, inputs, labels, loss="cross_entropy"):
    """Losses [N] and gradients {parameter: [N, ...]}, by vmap of grad."""

    def one(p, x, y):
        return loss_of(config, p, x, y, loss)

    gradients, losses = torch.func.vmap(torch.func.grad_and_value(one), in_dims=(None, 0, 0))(params, inputs, labels)
    return losses.detach(), {k: v.detach() for k, v in gradients.items()}


def flatten(gradients):
    """{parameter: [N, ...]} -> G [N, P]."""
    return torch.cat([g.reshape(g.shape[0], -1) for g in gradients.values()], 1)


def logit_cotangents(config, params, inputs, labels, loss="cross_entropy"):
    z = all_logits(config, params, inputs).detach()
    return torch.func.vmap(torch.func.grad(LOSSES[loss]))(z, labels)


def property_value(config, params, inputs, labels, name, loss="cross_entropy"):
    """A scalar property: loss, half_norm2, logit:i:c, prob:i:c, log_odds:i."""
    kind, *indices = name.split(":")
    indices = [int(i) for i in indices]
    if kind == "loss":
        return torch.stack([loss_of(config, params, x, y, loss) for x, y in zip(inputs, labels)]).mean()
    if kind == "half_norm2":
        return 0.5 * sum((w * w).sum() for w in params.values())
    z = logits_of(config, params, inputs[indices[0]])
    if kind == "logit":
        return z[indices[1]]
    if kind == "prob":
        return probability(z, torch.tensor(indices[1]))
    if kind == "log_odds":
        return log_odds(z, labels[indices[0]])
    raise ValueError(f"unknown property {name}")


def ntcov(config, params, inputs, labels, names, loss="cross_entropy"):
    """ntcov(a, b) = grad a . grad b over all parameters. Returns values and the matrix."""
    values, rows = [], []
    for name in names:
        leaves = {k: v.detach().clone().requires_grad_(True) for k, v in params.items()}
        value = property_value(config, leaves, inputs, labels, name, loss)
        grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        rows.append(torch.cat([(torch.zeros_like(w) if g is None else g).reshape(-1) for w, g in zip(leaves.values(), grads)]))
        values.append(value.item())
    J = torch.stack(rows).numpy()
    matrix = [[math.fsum(a * b) for b in J] for a in J]
    return values, matrix


# ---------------------------------------------------------------------------------------------------------------
# Gram statistics. The Gram and its spectrum are formed in multi-precision from the float64 gradients, so that what
# is written is the exact statistic of those gradients, rounded once.
# ---------------------------------------------------------------------------------------------------------------


def exact_gram(G):
    """K = G G^T without rounding errors, as an mpmath matrix."""
    rows = [[mpmath.mpf(float(x)) for x in row] for row in G]
    n = len(rows)
    K = mpmath.zeros(n, n)
    for i in range(n):
        for j in range(i + 1):
            K[i, j] = K[j, i] = mpmath.fdot(rows[i], rows[j])
    return K


def cosine_gram(K, keep):
    """C_ij = K_ij / sqrt(K_ii K_jj) over the samples with a non-zero gradient."""
    C = mpmath.zeros(len(keep), len(keep))
    for a, i in enumerate(keep):
        for b, j in enumerate(keep):
            C[a, b] = mpmath.mpf(1) if i == j else K[i, j] / mpmath.sqrt(K[i, i] * K[j, j])
    return C


def centred_gram(K):
    """K_c = H K H, H = I - 11^T / n: the Gram of g_i - mean g."""
    n = K.rows
    rows = [mpmath.fsum(K[i, :]) / n for i in range(n)]
    total = mpmath.fsum(rows) / n
    out = mpmath.zeros(n, n)
    for i in range(n):
        for j in range(n):
            out[i, j] = K[i, j] - rows[i] - rows[j] + total
    return out


def kept(eigenvalues, eps):
    """Eigenvalues below 4 N eps lambda_max are dropped."""
    n, largest = len(eigenvalues), max(eigenvalues)
    return [l for l in eigenvalues if l > 0 and l >= 4 * n * eps * largest]


def entropy_rank(weights):
    """[RV] exp(-sum q ln q), q = weights / sum of weights."""
    total = mpmath.fsum(weights)
    return mpmath.exp(-mpmath.fsum(w / total * mpmath.log(w / total) for w in weights))


def population_participation_ratio(K):
    """Uncentred: [((tr K)^2 - sum K_ii^2) / (n (n-1))] / mean_{i != j} K_ij^2. None where it is undefined."""
    n = K.rows
    diagonal = mpmath.fsum(K[i, i] ** 2 for i in range(n))
    trace = mpmath.fsum(K[i, i] for i in range(n))
    off = mpmath.fsum(x**2 for x in K) - diagonal
    return None if n < 2 or off == 0 else (trace**2 - diagonal) / off


def population_participation_ratio_centred(K_c):
    """[HY] with S the covariance normalised by n - 1, from its Gram: unbiased (tr Sigma)^2 over unbiased tr Sigma^2."""
    n = K_c.rows
    if n < 4:
        return None
    trace = mpmath.fsum(K_c[i, i] for i in range(n)) / (n - 1)
    trace2 = mpmath.fsum(x**2 for x in K_c) / (n - 1) ** 2
    Q = mpmath.fsum(K_c[i, i] ** 2 for i in range(n)) / (n - 1)
    numerator = 2 * trace2 + (n * n - 3 * n + 1) * trace**2 - n * Q
    denominator = (n - 1) * (n - 2) * trace2 + trace**2 - n * Q
    return numerator / denominator


def spectral_statistics(eigenvalues, eps):
    """erank_sigma on the singular values of G [RV], erank_lambda on the eigenvalues of K, and the rank."""
    positive = kept(eigenvalues, eps)
    return {
        "erank_sigma": entropy_rank([mpmath.sqrt(l) for l in positive]),
        "erank_lambda": entropy_rank(positive),
        "rank": len(positive),
    }


def gram_statistics(K, centred, eps):
    """Every spectral column of one Gram matrix, and its eigenvalues in ascending order."""
    eigenvalues = sorted(mpmath.eigsy(K, eigvals_only=True))
    trace = mpmath.fsum(K[i, i] for i in range(K.rows))
    out = spectral_statistics(eigenvalues, eps)
    out["participation_ratio"] = trace**2 / mpmath.fsum(x**2 for x in K)
    out["participation_ratio_population"] = (
        population_participation_ratio_centred(K) if centred else population_participation_ratio(K)
    )
    out["stable_rank"] = trace / eigenvalues[-1]
    return out, eigenvalues


def number(x):
    return x if x is None or isinstance(x, int) else float(x)


def statistics(G, zero):
    """All flat keys that follow from the gradients alone, and the Grams {raw, cosine, centred} with eigenvalues.

    `zero [N]` says which samples have an exactly zero logit cotangent: they have no cosine.
    """
    with mpmath.workdps(DIGITS):
        n = len(G)
        keep = [i for i in range(n) if not zero[i]]
        K = exact_gram(G)
        norms = [mpmath.sqrt(K[i, i]) for i in range(n)]
        S = mpmath.fsum(K[i, i] for i in range(n))  # sum |g_i|^2
        Q = mpmath.fsum(K)  # |sum g_i|^2
        logs = [mpmath.log(norms[i]) for i in keep]
        centre = mpmath.fsum(logs) / len(logs)
        C = cosine_gram(K, keep)
        pairs = [C[a, b] for a in range(len(keep)) for b in range(a)]
        alpha = Q / (n * S)  # [C]
        out = {
            "n": n,
            "n_batch": n,
            "parameters": len(G[0]),
            "zero_gradients": n - len(keep),
            "per_sample_norm_mean": mpmath.fsum(norms) / n,
            "per_sample_norm_min": min(norms),
            "per_sample_norm_max": max(norms),
            "per_sample_norm_log_sd": mpmath.sqrt(mpmath.fsum((x - centre) ** 2 for x in logs) / len(logs)),
            "gradient_norm": mpmath.sqrt(Q) / n,
            "coherence": alpha,
            "coherence_unbiased": (n * alpha - 1) / (n - 1),
            "noise_g2": (Q - S) / (n * (n - 1)),  # [M], unbiased |E g|^2
            "noise_trace": (S - Q / n) / (n - 1),  # [M], unbiased tr Sigma
            "mean_cosine": mpmath.fsum(pairs) / len(pairs),
            "min_cosine": min(pairs),
            "negative_fraction": mpmath.mpf(sum(c < 0 for c in pairs)) / len(pairs),
        }
        K_c = centred_gram(K)
        grams = {"raw": K, "cosine": C, "centred": K_c}
        out["centring_condition"] = S / mpmath.fsum(K_c[i, i] for i in range(n))
        spectra = {}
        for name, gram in grams.items():
            block, spectra[name] = gram_statistics(gram, name == "centred", EPS64)
            out.update({f"{name}.{key}": value for key, value in block.items()})
        # What a computation with Grams formed in float32 should find: the same, with the drop threshold of float32.
        single = {}
        for name, eigenvalues in spectra.items():
            single.update({f"{name}.{k}": number(v) for k, v in spectral_statistics(eigenvalues, EPS32).items()})
        return {k: number(v) for k, v in out.items()}, single, grams, spectra


def as_float(K):
    return np.array([[float(K[i, j]) for j in range(K.cols)] for i in range(K.rows)])


def float_ranks(K, eps):
    """erank_sigma, erank_lambda and rank of a float64 matrix, by LAPACK: for the null and the sensitivity only."""
    l = np.linalg.eigvalsh(K)
    l = l[(l > 0) & (l >= 4 * len(l) * eps * l[-1])]

    def erank(w):
        q = w / w.sum()
        return float(np.exp(-(q * np.log(q)).sum()))

    return erank(np.sqrt(l)), erank(l), len(l)


def null_ranks(G, zero, draws, rng):
    """Same norms, random directions: means over isotropic draws in R^P, with standard errors."""
    norms = np.linalg.norm(G, axis=1)
    parameters = G.shape[1]
    samples = {f"{kind}.null_{r}": [] for kind in ("raw", "cosine", "centred") for r in ("erank_sigma", "erank_lambda")}
    for _ in range(draws):
        U = rng.standard_normal((len(norms), parameters))
        U /= np.linalg.norm(U, axis=1, keepdims=True)
        R = U * norms[:, None]
        for kind, rows in (("raw", R), ("cosine", U[~zero]), ("centred", R - R.mean(0))):
            sigma, lam, _ = float_ranks(rows @ rows.T, EPS64)
            samples[f"{kind}.null_erank_sigma"].append(sigma)
            samples[f"{kind}.null_erank_lambda"].append(lam)
    return {
        k: {"mean": float(np.mean(v)), "se": float(np.std(v, ddof=1) / math.sqrt(draws)), "draws": draws}
        for k, v in samples.items()
    }


def sensitivity(grams, spectra, rng, draws=40):
    """How far each rank moves when K is perturbed by a random symmetric E with |E|_2 = eps lambda_max.

    Largest change over the draws, for eps of float64 and of float32 (drop threshold of the same precision). Beside
    it the least and the most that `rank` could be were the threshold half or twice as large.
    """
    out = {}
    for kind, gram in grams.items():
        K = as_float(gram)
        largest = float(spectra[kind][-1])
        for label, eps in (("f64", EPS64), ("f32", EPS32)):
            base = float_ranks(K, eps)
            moved = [0.0, 0.0]
            for _ in range(draws):
                E = rng.standard_normal(K.shape)
                E = E + E.T
                E *= eps * largest / np.linalg.norm(E, 2)
                now = float_ranks(K + E, eps)
                moved = [max(m, abs(a - b)) for m, a, b in zip(moved, now, base)]
            out[f"{kind}.erank_sigma.{label}"], out[f"{kind}.erank_lambda.{label}"] = moved
            out[f"{kind}.rank_min.{label}"] = len(kept(spectra[kind], 2 * eps))
            out[f"{kind}.rank_max.{label}"] = len(kept(spectra[kind], 0.5 * eps))
    return out


# ---------------------------------------------------------------------------------------------------------------
# Optimiser steps [P].
# ---------------------------------------------------------------------------------------------------------------


def scheduled(value, step):
    """A number, or the value at a step of {steps, values, kind}: straight lines between the points, or the value of the
    point before; the first and the last value beyond them."""
    if not isinstance(value, dict):
        return value
    if value["kind"] == "step":
        return value["values"][max(sum(at <= step for at in value["steps"]) - 1, 0)]
    return float(np.interp(step, value["steps"], value["values"]))


def follow_schedules(settings, optimizer, step):
    """Puts the step's betas and eps where torch.optim reads them."""
    beta1, beta2, eps = (scheduled(settings[key], step) for key in ("beta1", "beta2", "eps"))
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"], group["eps"] = (beta1, beta2), eps
        elif settings["kind"] != "sgd":
            group["momentum"] = beta1


def make_optimizer(settings, leaves):
    kind, decay = settings["kind"], settings["weight_decay"]
    settings = settings | {key: scheduled(settings[key], 0) for key in ("beta1", "beta2", "eps")}
    if kind in ("adam", "adamw"):  # adam: L2 added to the gradient; adamw: decoupled
        family = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
        betas = (settings["beta1"], settings["beta2"])
        return family(leaves, lr=settings["lr"], betas=betas, eps=settings["eps"], weight_decay=decay, foreach=False)
    if kind in ("sgd", "momentum", "nesterov"):  # L2 added to the gradient; no dampening
        mu = 0.0 if kind == "sgd" else settings["beta1"]
        ahead = kind == "nesterov"
        return torch.optim.SGD(leaves, lr=settings["lr"], momentum=mu, weight_decay=decay, nesterov=ahead, foreach=False)
    raise ValueError(f"unknown optimiser {kind}")


def gradfilter_ema(gradients, leaves, alpha, lamb):
    """As published with Grokfast (2405.20233): the first gradient starts the average."""
    if gradients is None:
        gradients = {k: w.grad.detach().clone() for k, w in leaves.items()}
    for k, w in leaves.items():
        gradients[k] = gradients[k] * alpha + w.grad * (1 - alpha)
        w.grad = w.grad + gradients[k] * lamb
    return gradients


def gradfilter_ma(gradients, leaves, window, lamb):
    """As published with Grokfast: filter_type "mean", warmup True."""
    if gradients is None:
        gradients = {k: collections.deque(maxlen=window) for k in leaves}
    for k, w in leaves.items():
        gradients[k].append(w.grad.detach().clone())
        if len(gradients[k]) == window:
            w.grad = w.grad + sum(gradients[k]) / len(gradients[k]) * lamb
    return gradients


def perpendicular(weights, gradients):
    """perpGrad (2501.04697) on one or on several tensors taken as one vector."""
    w = torch.cat([x.detach().reshape(-1) for x in weights])
    g = torch.cat([x.reshape(-1) for x in gradients])
    orthogonal = g - (w @ g) / (w @ w + 1e-30) * w
    scaled = orthogonal * (g.norm() / (orthogonal.norm() + 1e-30))
    return [part.reshape(x.shape) for part, x in zip(scaled.split([x.numel() for x in gradients]), gradients)]


def joint(names):
    """Tensors that are one in memory: K and V of a block, which share their input."""
    groups = {}
    for name in names:
        groups.setdefault(name.replace("attn.W_V", "attn.W_K"), []).append(name)
    return list(groups.values())


def shape_gradients(settings, leaves, state):
    """What stands between backward and the optimiser."""
    kind = settings.get("filter", "none")
    if kind == "grokfast_ema":
        state["filter"] = gradfilter_ema(state.get("filter"), leaves, settings["filter_alpha"], settings["filter_lambda"])
    elif kind == "grokfast_ma":
        state["filter"] = gradfilter_ma(state.get("filter"), leaves, settings["filter_window"], settings["filter_lambda"])
    regions = settings.get("perpendicular", "none")
    if regions != "none":
        for names in joint(leaves) if regions == "tensor" else [list(leaves)]:
            shaped = perpendicular([leaves[k] for k in names], [leaves[k].grad for k in names])
            for k, g in zip(names, shaped):
                leaves[k].grad = g
    if settings.get("clip", 0.0) > 0.0:
        torch.nn.utils.clip_grad_norm_(leaves.values(), settings["clip"])


def pull_l1(settings, leaves, lr):
    """l1 sign(w): decoupled in adamw, else added to the gradient, as decay is."""
    for w in leaves.values() if settings.get("l1", 0.0) else []:
        pull = settings["l1"] * torch.sign(w.detach())
        if settings["kind"] == "adamw":
            # The decay that follows multiplies what is taken off here too: undo that.
            w.data -= lr * pull / (1 - lr * settings["weight_decay"])
        else:
            w.grad = w.grad + pull


def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def dropout_masks(config, n, seed, step, share):
    """For every hidden layer of an MLP [N, width]: 0 where the draw is below share 2^32, else 1/(1 - share). The draw of
    element k is word k mod 4 of Philox block [k / 4, layer, step, 8] under the seed."""
    masks = []
    for layer, width in enumerate(config["hidden"]):
        words = [philox((q, layer, step, 8), (seed, 0)) for q in range(-(-n * width // 4))]
        kept = torch.tensor(words).reshape(-1)[: n * width].reshape(n, width) >= share * 2.0**32
        masks.append(kept.to(torch.float64) / (1.0 - share))
    return masks


def optimise(config, params, inputs, labels, settings, steps, loss="cross_entropy"):
    """Full-batch steps on the mean loss. Yields (weights after the step, loss before it).

    Warm-up: the step t = 0, 1, 2, ... uses lr * min((t + 1) / warmup, 1), so that the first step already moves
    (a schedule of min(t / warmup, 1) would not). warmup = 0 means none.
    """
    leaves = {k: v.detach().clone().requires_grad_(True) for k, v in params.items()}
    optimizer, state = make_optimizer(settings, list(leaves.values())), {}
    for t in range(steps):
        factor = min((t + 1) / settings["warmup"], 1.0) if settings["warmup"] else 1.0
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * factor
        follow_schedules(settings, optimizer, t)
        optimizer.zero_grad()
        if settings.get("dropout", 0.0):
            masks = dropout_masks(config, len(labels), 0, t, settings["dropout"])
            one = lambda x, y, *masks: LOSSES[loss](mlp_logits(config, leaves, x, masks=masks), y)
            value = torch.func.vmap(one)(inputs, labels, *masks).mean()
        else:
            one = lambda x, y: loss_of(config, leaves, x, y, loss)
            value = torch.func.vmap(one)(inputs, labels).mean()
        value.backward()
        shape_gradients(settings, leaves, state)
        pull_l1(settings, leaves, settings["lr"] * factor)
        optimizer.step()
        yield {k: v.detach().clone() for k, v in leaves.items()}, value.item()
