"""What `gmatrix gram` must find, from per-sample gradients G [N, P] in memory: the check of the two examples.

Written beside the sites S.safetensors: the Gram matrix as S.gram.safetensors, the statistics as S.json under the same
names. The formulas are written out anew, with numpy alone.
"""

import json

import numpy as np
from safetensors.numpy import save_file


def ranks(prefix, singular):
    """Ranks of a matrix from its singular values."""
    eigenvalues = singular**2
    kept = eigenvalues > 4 * len(singular) * np.finfo(float).eps * eigenvalues.max()
    effective = lambda x: float(np.exp(-(x / x.sum() * np.log(x / x.sum())).sum()))
    return {f"{prefix}.erank_sigma": effective(singular[kept]), f"{prefix}.erank_lambda": effective(eigenvalues[kept]),
            f"{prefix}.participation_ratio": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
            f"{prefix}.stable_rank": eigenvalues.sum() / eigenvalues.max(), f"{prefix}.rank": int(kept.sum())}


def write_expected(path, G):
    n, norms, mean = len(G), np.linalg.norm(G, axis=1), G.mean(0)
    cosines = ((G / norms[:, None]) @ (G / norms[:, None]).T)[np.triu_indices(n, 1)]
    total, square = (G.sum(0) ** 2).sum(), (norms**2).sum()
    found = {
        "n": n, "parameters": G.shape[1], "gradient_norm": np.linalg.norm(mean),
        "per_sample_norm_mean": norms.mean(), "per_sample_norm_min": norms.min(), "per_sample_norm_max": norms.max(),
        "per_sample_norm_log_sd": np.log(norms).std(), "coherence": total / n / square,
        "noise_g2": (total - square) / n / (n - 1), "noise_trace": (square - total / n) / (n - 1),
        "mean_cosine": cosines.mean(), "min_cosine": cosines.min(), "negative_fraction": (cosines < 0).mean(),
        **ranks("raw", np.linalg.svd(G, compute_uv=False)),
        **ranks("cosine", np.linalg.svd(G / norms[:, None], compute_uv=False)),
        **ranks("centred", np.linalg.svd(G - mean, compute_uv=False)),
    }
    stem = str(path).removesuffix(".safetensors")
    save_file({"gram": G @ G.T}, f"{stem}.gram.safetensors")
    with open(f"{stem}.json", "w") as file:
        json.dump({name: float(value) for name, value in found.items()}, file, indent=1)
        file.write("\n")
