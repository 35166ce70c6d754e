"""Statistics of a Gram matrix, written once for NumPy, PyTorch and JAX arrays: `xp` is the module they come from.

Formulas: docs/columns.md.
"""

from functools import reduce


def participation(traced, squares, n, diagonal_squares):
    """Participation ratio, and the same without the ceiling at n."""
    pairs = n * (n - 1)
    return traced**2 / squares, ((traced**2 - diagonal_squares) / pairs) / ((squares - diagonal_squares) / pairs)


def centred_population(n, traced, squares, fourth):
    """`squares` is |K_c|_F^2, `fourth` the sum of the squared diagonal entries of K_c."""
    trace, second, F = traced / (n - 1), squares / (n - 1) ** 2, fourth / (n - 1)
    above = 2 * second + (n * n - 3 * n + 1) * trace**2 - n * F
    return above / ((n - 1) * (n - 2) * second + trace**2 - n * F)


def centred(K):
    rows = K.mean(0)
    return K - rows[:, None] - rows[None, :] + rows.mean()


def cosine(xp, K):
    norms = xp.sqrt(K.diagonal())
    return K / norms[:, None] / norms[None, :]


def pair_sums(xp, K, norms, block):
    """What takes a pass over all pairs, by blocks of rows that stay in a cache."""
    n, means, inverse = len(K), K.mean(0), 1 / norms
    mean = means.mean()
    parts = []
    for start in range(0, n, block):
        I = slice(start, min(start + block, n))
        k = K[I]
        c = k * inverse[I, None] * inverse
        z = k - means[I, None] - (means - mean)
        parts.append(((k * k).sum(), c.sum(), (c * c).sum(), (z * z).sum(), (c < 0).sum(), c.min()))
    *columns, least = zip(*parts)
    return [sum(column) for column in columns] + [reduce(xp.minimum, least)]


def statistics(xp, K):
    """All of tasks.STATISTICS. No gradient may be zero: at initial weights none is."""
    n = len(K)
    block = 256 if xp.__name__ == "torch" and K.device.type == "cpu" else n  # JAX fuses the passes itself
    square = K.diagonal()
    norms = xp.sqrt(square)
    S, Q = square.sum(), K.sum()
    alpha = Q / (n * S)
    logs = xp.log(norms)
    pairs = n * (n - 1) + 0 * S  # in the precision of K: PyTorch divides a count by a plain number in float32
    squares, cosines, cosine_squares, centred_squares, negative, least = pair_sums(xp, K, norms, block)
    found = {
        "per_sample_norm_mean": norms.mean(), "per_sample_norm_min": norms.min(), "per_sample_norm_max": norms.max(),
        "per_sample_norm_log_sd": xp.sqrt(((logs - logs.mean()) ** 2).mean()),
        "coherence": alpha, "coherence_unbiased": (n * alpha - 1) / (n - 1),
        "noise_trace": (S - Q / n) / (n - 1), "noise_g2": (Q - S) / (n * (n - 1)),
        "mean_cosine": (cosines - n) / (n * (n - 1)), "min_cosine": least,
        "negative_fraction": negative / pairs,
    }
    means = K.mean(0)
    diagonal = square - 2 * means + means.mean()
    trace, fourth = diagonal.sum(), (diagonal * diagonal).sum()
    found["centring_condition"] = S / trace
    ratio = "participation_ratio"
    found[f"raw.{ratio}"], found[f"raw.{ratio}_population"] = participation(S, squares, n, (square * square).sum())
    found[f"cosine.{ratio}"], found[f"cosine.{ratio}_population"] = participation(n, cosine_squares, n, n)
    found[f"centred.{ratio}"] = trace**2 / centred_squares
    found[f"centred.{ratio}_population"] = centred_population(n, trace, centred_squares, fourth)
    return found


def effective_ranks(xp, values):
    """Of eigenvalues in ascending order; those below 4 n eps of the largest are rounding, and contribute nothing."""
    largest = values[-1]
    eps = 2.0**-23 if "32" in str(values.dtype) else 2.0**-52
    kept = xp.where(values >= 4 * len(values) * eps * largest, values, 0 * values)
    found = {}
    for name, part in (("erank_sigma", xp.sqrt(kept)), ("erank_lambda", kept)):
        q = part / part.sum()
        found[name] = xp.exp(-(q * xp.log(xp.where(q > 0, q, 1 + 0 * q))).sum())
    return found | {"stable_rank": values.sum() / largest}


def spectrum(xp, K, eigvalsh):
    """Eigenvalues of the three forms, with their ranks."""
    found = {}
    for form, matrix in (("raw", K), ("cosine", cosine(xp, K)), ("centred", centred(K))):
        values = eigvalsh(matrix)
        found |= {f"{form}.{name}": value for name, value in effective_ranks(xp, values).items()}
        found[f"{form}.eigenvalues"] = values
    return found


def answer(xp, K, kind, eigvalsh):
    """What a Gram matrix is asked for in a task of this kind."""
    found = {"gram": K}
    if kind in ("statistics", "spectrum"):
        found |= statistics(xp, K)
    if kind == "spectrum":
        found |= spectrum(xp, K, eigvalsh)
    return found
