"""Whether all compute the same numbers: errors against plain PyTorch in float64, before anything is timed.

| kind | error |
|---|---|
| step, runs | 2-norm of the difference of the weights after 3 steps, relative to that of their change; largest of the runs |
| gram | largest difference of an entry, relative to the root of the product of its two diagonal entries |
| statistics | largest relative error; of what is a difference (coherence, cosines, noise_g2), of its parts |
| spectrum | largest difference of an eigenvalue, relative to the largest; of gmatrix, which prints none, of stable_rank |
| ntcov | as gram |
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from peers import Peer
from program import Failed
from rounds import Child
from tasks import STATISTICS

REFERENCE = Peer("reference", "reference", ("torch",), "float64, one backward pass a sample", ())
FORMS = ("raw", "cosine", "centred")

# What is accepted. Adam divides by the root of a gradient's square, so rounding of small gradients shows in a step.
BOUNDS = {"f32": {"step": 1e-2, "runs": 1e-2, "gram": 1e-5, "statistics": 1e-4, "spectrum": 1e-5, "ntcov": 1e-4},
          "f64": {"step": 1e-6, "runs": 1e-6, "gram": 1e-11, "statistics": 1e-9, "spectrum": 1e-9, "ntcov": 1e-9}}
ABSOLUTE = ("coherence_unbiased", "mean_cosine", "min_cosine", "negative_fraction")


def of_products(found, expected):
    norms = np.sqrt(np.diag(expected))
    return np.abs(found - expected).max(initial=0) if not len(norms) else (np.abs(found - expected) / np.outer(norms, norms)).max()


def of_statistics(found, expected):
    K = expected["gram"]
    parts = (K.sum() + np.trace(K)) / (len(K) * (len(K) - 1))
    worst = {}
    for name in STATISTICS:
        scale = 1 if name in ABSOLUTE else parts if name == "noise_g2" else abs(expected[name])
        worst[name] = abs(float(found[name]) - float(expected[name])) / scale
    return max(worst.values())


def of_spectrum(found, expected):
    errors = []
    for form in FORMS:
        values = expected[f"{form}.eigenvalues"]
        if f"{form}.eigenvalues" in found:
            errors.append(np.abs(found[f"{form}.eigenvalues"] - values).max() / values[-1])
        else:
            errors.append(abs(found[f"{form}.stable_rank"] / expected[f"{form}.stable_rank"] - 1))
    return max(errors)


def error(kind, found, expected):
    if kind in ("step", "runs"):
        change = np.linalg.norm(expected["weights"] - expected["before"], axis=1)
        return float((np.linalg.norm(found["weights"] - expected["weights"], axis=1) / change).max())
    compare = {"gram": lambda: of_products(found["gram"], expected["gram"]), "statistics": lambda: of_statistics(found, expected),
               "spectrum": lambda: of_spectrum(found, expected), "ntcov": lambda: of_products(found["matrix"], expected["matrix"])}
    return float(compare[kind]())


def erank_error(found, expected):
    """Largest relative difference of an effective rank: what float32 does to it, no error of a peer."""
    names = [f"{form}.{rank}" for form in FORMS for rank in ("erank_sigma", "erank_lambda")]
    return float(max(abs(found[name] / expected[name] - 1) for name in names))


def numbers_of(peer, task, options):
    child = Child(peer, task, options)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "numbers.npz"
        answer = {"error": child.failed} if child.failed else child.ask("numbers", path=str(path))
        child.end()
        if "error" in answer:
            raise Failed(answer["error"])
        with np.load(path) as stored:
            return {name: stored[name] for name in stored}


def compare(task, peers, program, options, say):
    """For each peer `error`, or `failed` with the reason; and whether it is within the bound."""
    say(f"agreement on {task.name}: reference")
    expected = numbers_of(REFERENCE, task, replace(options, precision="f64", device="cpu"))
    results = {}
    for peer in [*peers, program] if program else peers:
        name = getattr(peer, "name", "gmatrix")
        say(f"agreement on {task.name}: {name}")
        try:
            found = program.numbers(options.inputs, task) if peer is program else numbers_of(peer, task, options)
        except (Failed, OSError) as failure:
            results[name] = {"failed": str(failure)}
            continue
        results[name] = {"error": error(task.kind, found, expected)}
        results[name]["agrees"] = results[name]["error"] <= BOUNDS[options.precision][task.kind]
        if task.kind == "spectrum":
            results[name]["erank_error"] = erank_error(found, expected)
    return results
