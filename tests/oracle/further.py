"""Ranks of the Gram matrices beside that of the loss's gradients, for some of the fixtures.

    python tests/oracle/further.py [--only PATTERN] [--out DIR]     # after generate.py, whose weights and data it reads

Every vector is written out: gradients of groups are entries of the per-sample gradients, those of the margin come from
autograd, activations from a pass over one sample at a time.
"""

import generate  # first: it fixes threads and code paths before torch is imported

import argparse
import fnmatch
import json
import pathlib

import mpmath
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import oracle

CASES = ["transformer_2l_gelu_pre_biases", "mlp_embedding_gelu_trained", "mlp_float_relu_zero"]
# Of runs: the metric of Adam after so many of the ten steps.
RUNS = ["transformer_2l_gelu_pre_random", "mlp_embedding_gelu_random"]
STEP = 3


def group_of(name):
    """The group that a parameter decays with."""
    last = name.split(".")[-1]
    if "ln" in name:
        return "norm"
    if last.startswith("b"):
        return "bias"
    table = {"embed.W_E": "embed", "pos_embed.W_pos": "position", "unembed.W_U": "unembed"}
    return table.get(name, "attention" if ".attn." in name else "mlp")


def margin_gradients(config, params, inputs, labels):
    """Gradients of z_y - mean z, {parameter: [N, ...]}."""

    def one(p, x, y):
        z = oracle.logits_of(config, p, x)
        return torch.gather(z, -1, y.reshape(1))[0] - z.mean()

    found = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0, 0))(params, inputs, labels)
    return {k: v.detach() for k, v in found.items()}


def activations(config, params, inputs):
    """Inputs of every matrix that multiplies one, {matrix: [N, positions * width]}. In the last block what stands behind
    its keys and values is needed at the last position alone."""
    rows = {}
    for x in inputs:
        sites = oracle.Sites()
        oracle.logits_of(config, params, x, sites)
        for name, a in sites.inputs.items():
            if sites.kinds[name] not in ("linear", "linear_bias") or name.endswith("attn.W_V"):
                continue  # keys and values share an input
            last = config["kind"] == "transformer" and name.startswith(f"blocks.{config['layers'] - 1}.")
            if last and not name.endswith("attn.W_K"):
                a = a[-1:]
            if config.get("input") == "one_hot" and name == "layers.0.W":
                continue  # a table of embeddings
            rows.setdefault(name.replace("W_K", "W_KV"), []).append(a.reshape(-1))
    return {name: torch.stack(values) for name, values in rows.items()}


def ranked(matrices, centred=()):
    """Statistics of Gram matrices {name: K}, as `oracle.statistics` has them, with what f32 finds and what moves them."""
    columns, single, spectra = {}, {}, {}
    for name, K in matrices.items():
        block, spectra[name] = oracle.gram_statistics(K, name in centred, oracle.EPS64)
        columns |= {f"{name}.{key}": oracle.number(value) for key, value in block.items()}
        block = oracle.spectral_statistics(spectra[name], oracle.EPS32)
        single |= {f"{name}.{key}": oracle.number(value) for key, value in block.items()}
    return columns, single, spectra


def cancelled(matrices):
    """Rounding errors of the population's participation ratio, {name.precision: error}: both its numerator and its
    denominator are what is left of a sum when the squared diagonal is taken off."""
    errors = {}
    for name, K in matrices.items():
        n = K.rows
        diagonal = mpmath.fsum(K[i, i] ** 2 for i in range(n))
        trace2, total = mpmath.fsum(K[i, i] for i in range(n)) ** 2, mpmath.fsum(x**2 for x in K)
        lost = trace2 / (trace2 - diagonal) + total / (total - diagonal)
        size = oracle.population_participation_ratio(K)
        for label, eps in (("f64", oracle.EPS64), ("f32", oracle.EPS32)):
            errors[f"{name}.participation_ratio_population.{label}"] = float(size * lost * eps)
    return errors


def load(folder):
    with safe_open(folder / "weights.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
    params = {k: v.to(torch.float64) for k, v in load_file(folder / "weights.safetensors").items()}
    data = load_file(folder / "data.safetensors")
    return config, params, data["inputs" if "inputs" in data else "tokens"], data["labels"]


def further(name, folder):
    config, params, inputs, labels = load(folder)
    loss = json.loads((folder / "expected.json").read_text())["loss_kind"]
    _, gradients = oracle.per_sample(config, params, inputs, labels, loss)
    zero = (oracle.logit_cotangents(config, params, inputs, labels, loss) == 0).all(1).numpy()
    vectors = {"unit_residual": oracle.flatten(margin_gradients(config, params, inputs, labels))}
    for group in sorted({group_of(k) for k in gradients}):
        vectors[f"group.{group}.raw"] = oracle.flatten({k: g for k, g in gradients.items() if group_of(k) == group})
    for matrix, rows in activations(config, params, inputs).items():
        vectors[f"activation.{matrix}"] = rows
    vectors["function"] = oracle.all_logits(config, params, inputs).detach()
    with mpmath.workdps(oracle.DIGITS):
        matrices = {key: oracle.exact_gram(rows.numpy()) for key, rows in vectors.items()}
        K = oracle.exact_gram(oracle.flatten(gradients).numpy())
        cosines = oracle.cosine_gram(K, [i for i in range(len(zero)) if not zero[i]])
        matrices["centred_cosine"] = oracle.centred_gram(cosines)
        trace = mpmath.fsum(matrices["centred_cosine"][i, i] for i in range(cosines.rows))
        columns, single, spectra = ranked(matrices, ["centred_cosine"])
        moved = oracle.sensitivity(matrices, spectra, generate.generator(name, "further"))
        moved |= cancelled({key: K for key, K in matrices.items() if key != "centred_cosine"})
    return columns | {"f32_threshold": single, "sensitivity": moved,
                      "centred_cosine_condition": {"value": float(cosines.rows / trace)}}


def preconditioned(name, folder):
    """In the metric of Adam after STEP updates, second moments by their recursion."""
    config, params, inputs, labels = load(folder)
    steps = json.loads((folder / "steps.json").read_text())
    settings, loss = steps["optimizer"], steps["loss_kind"]
    beta2, second = settings["beta2"], {k: torch.zeros_like(w) for k, w in params.items()}
    course = oracle.optimise(config, params, inputs, labels, settings, STEP, loss)
    for after, _ in course:
        _, gradients = oracle.per_sample(config, params, inputs, labels, loss)
        for k, g in gradients.items():
            taken = g.mean(0) + settings["weight_decay"] * params[k]
            second[k] = beta2 * second[k] + (1.0 - beta2) * taken * taken
        params = after
    _, gradients = oracle.per_sample(config, params, inputs, labels, loss)
    metric = {k: 1.0 / ((v / (1.0 - beta2**STEP)).sqrt() + settings["eps"]) for k, v in second.items()}
    G = oracle.flatten({k: g * metric[k].sqrt() for k, g in gradients.items()}).numpy()
    with mpmath.workdps(oracle.DIGITS):
        matrices = {"preconditioned": oracle.exact_gram(G)}
        columns, _, spectra = ranked(matrices)
        moved = oracle.sensitivity(matrices, spectra, generate.generator(name, "preconditioned"))
    return columns | {"sensitivity": moved}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="*", help="a pattern of case names")
    arguments.add_argument("--out", type=pathlib.Path, default=generate.FIXTURES)
    arguments = arguments.parse_args()
    for names, make, file in ((CASES, further, "further.json"), (RUNS, preconditioned, "preconditioned.json")):
        for name in names:
            if fnmatch.fnmatch(name, arguments.only):
                out = arguments.out / name
                out.mkdir(parents=True, exist_ok=True)
                generate.write_json(out / file, make(name, generate.FIXTURES / name))
                print(f"{name}: {file}")


if __name__ == "__main__":
    main()
