"""Write every fixture under tests/fixtures, deterministically. See README.md in this folder.

    python tests/oracle/generate.py [--only PATTERN] [--out DIR]
"""

import os

# One thread and fixed code paths, so that the same files come out on the same kind of machine.
for key, value in {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                   "MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2"}.items():
    os.environ[key] = value

import argparse
import fnmatch
import json
import pathlib
import struct
import zlib

import numpy as np
import torch
from safetensors.torch import save

import oracle

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
STEPS, SAVED_STEPS = 10, (1, 3, 10)
NULL_DRAWS = 200


def transformer(layers, activation, norm, p, n_ctx=3):
    return {"kind": "transformer", "layers": layers, "d_model": 12, "heads": 3, "d_mlp": 20, "activation": activation,
            "norm": norm, "n_ctx": n_ctx, "d_vocab": p + n_ctx - 2, "d_vocab_out": p}


def mlp(kind, p, d_model, hidden, activation, bias):
    return {"kind": "mlp", "input": kind, "d_vocab": p, "n_ctx": 2, "d_model": d_model, "hidden": hidden,
            "activation": activation, "bias": bias, "d_vocab_out": p}


ADAMW = {"kind": "adamw", "lr": 1e-3, "beta1": 0.9, "beta2": 0.98, "eps": 1e-8, "weight_decay": 1.0, "warmup": 10}
ADAM = ADAMW | {"kind": "adam", "lr": 3e-3, "weight_decay": 0.01}
SGD = {"kind": "sgd", "lr": 0.1, "beta1": 0.0, "beta2": 0.0, "eps": 0.0, "weight_decay": 0.0, "warmup": 0}
MOMENTUM = SGD | {"kind": "momentum", "lr": 0.05, "beta1": 0.9, "weight_decay": 0.01, "warmup": 10}

# name: configuration, number of samples, then options. `train`: Adam steps on these samples before anything is
# measured. `conflict`: the duplicated sample carries another label. `median_loss`: the last matrix is scaled until
# the median loss is this. `zero`: one sample whose logit cotangent underflows to exactly zero. `per_sample`: write
# per-sample gradients. `steps`: optimiser settings for ten steps.
T1, T2 = transformer(1, "relu", "none", 7), transformer(2, "gelu", "none", 11)
P1, P2 = transformer(1, "relu", "pre", 11), transformer(2, "gelu", "pre", 7, n_ctx=4)
QUADRATIC = mlp("one_hot", 7, 0, [24], "quadratic", False)
ONE_HOT = mlp("one_hot", 11, 0, [20], "relu", True)
EMBEDDED = mlp("embedding", 7, 6, [18, 14], "gelu", True)
FLOAT = mlp("float", 5, 9, [16], "relu", True)
CASES = {
    "transformer_1l_relu_random": (T1, 13, {"per_sample": True, "steps": ADAMW}),
    "transformer_1l_relu_trained": (T1, 15, {"train": 300, "steps": ADAMW | {"weight_decay": 0.1, "warmup": 0}}),
    "transformer_1l_relu_late": (T1, 17, {"train": 400, "median_loss": 1e-12}),
    "transformer_1l_relu_f32": (T1, 13, {"dtype": torch.float32}),
    "transformer_1l_relu_biases": (T1, 13, {"biases": True}),
    "transformer_2l_gelu_pre_biases": (P2 | {"attention_biases": True, "unembed_bias": True}, 13, {"biases": True}),
    "transformer_2l_gelu_random": (T2, 19, {}),
    "transformer_2l_gelu_trained": (T2, 17, {"train": 250, "conflict": True}),
    "transformer_2l_gelu_pre_mixed": (P2 | {"attention_mix": 0.35}, 15, {"train": 60}),
    "transformer_1l_relu_pre_random": (P1, 15, {}),
    "transformer_1l_relu_pre_trained": (P1, 21, {"train": 200}),
    "transformer_2l_gelu_pre_random": (P2, 17, {"steps": ADAM}),
    "transformer_2l_gelu_pre_trained": (P2, 23, {"train": 200}),
    "mlp_one_hot_quadratic_random": (QUADRATIC, 12, {"per_sample": True, "steps": SGD}),
    "mlp_one_hot_quadratic_trained": (QUADRATIC, 19, {"train": 300}),
    "mlp_one_hot_quadratic_late": (QUADRATIC, 15, {"train": 300, "median_loss": 1e-25}),
    "mlp_one_hot_quadratic_mse": (QUADRATIC, 19, {"train": 60, "loss": "mse", "steps": ADAMW | {"lr": 1e-2, "weight_decay": 5.0, "warmup": 0}}),
    "mlp_one_hot_relu_random": (ONE_HOT, 17, {"steps": MOMENTUM}),
    "mlp_one_hot_relu_trained": (ONE_HOT, 23, {"train": 200, "conflict": True}),
    "mlp_embedding_gelu_random": (EMBEDDED, 15, {"steps": ADAM | {"eps": 1e-5, "warmup": 0}}),
    "mlp_embedding_gelu_trained": (EMBEDDED, 24, {"train": 250}),
    "mlp_one_hot_relu_stablemax": (ONE_HOT, 17, {"train": 40, "loss": "stablemax", "steps": ADAM | {"lr": 1e-3}}),
    "mlp_float_relu_random": (FLOAT, 13, {}),
    "mlp_float_relu_trained": (FLOAT, 17, {"train": 200}),
    "mlp_float_relu_zero": (FLOAT, 13, {"train": 200, "zero": True}),
}
# name: configuration, number of samples, loss, optimiser settings; only ten steps are written.
STEP_CASES = {
    "steps_nesterov": (ONE_HOT, 17, "cross_entropy", MOMENTUM | {"kind": "nesterov"}),
    "steps_clip_sgd": (QUADRATIC, 13, "mse", SGD | {"lr": 0.5, "clip": 0.2}),
    "steps_grokfast_ema": (P1, 15, "cross_entropy",
                           ADAM | {"lr": 1e-3, "filter": "grokfast_ema", "filter_alpha": 0.9, "filter_lambda": 2.0}),
    "steps_grokfast_ma": (ONE_HOT, 17, "cross_entropy",
                          MOMENTUM | {"filter": "grokfast_ma", "filter_window": 4, "filter_lambda": 0.5, "clip": 0.7}),
    "steps_l1": (ONE_HOT, 15, "cross_entropy", ADAM | {"l1": 0.02}),
    "steps_l1_adamw": (QUADRATIC, 13, "mse", ADAMW | {"lr": 1e-2, "l1": 0.3}),
    "steps_dropout": (EMBEDDED, 15, "cross_entropy", ADAM | {"dropout": 0.25}),
    "steps_perpendicular": (T1, 13, "cross_entropy", ADAMW | {"weight_decay": 0.0, "perpendicular": "tensor"}),
    "steps_perpendicular_global": (QUADRATIC, 13, "mse", SGD | {"perpendicular": "global"}),
    "steps_scheduled_adam": (ONE_HOT, 15, "cross_entropy", ADAM | {
        "beta1": {"steps": [0, 4, 8], "values": [0.5, 0.9, 0.2], "kind": "linear"},
        "beta2": {"steps": [2, 6], "values": [0.9, 0.999], "kind": "step"},
        "eps": {"steps": [0, 9], "values": [1e-8, 1e-3], "kind": "linear"}}),
    "steps_scheduled_nesterov": (QUADRATIC, 13, "mse", MOMENTUM | {
        "kind": "nesterov", "beta1": {"steps": [1, 7], "values": [0.95, 0.5], "kind": "linear"}}),
    "steps_attention_mix": (P2 | {"attention_mix": 0.6}, 13, "cross_entropy", ADAMW),
    "steps_clip_adamw": (P2, 15, "cross_entropy", ADAMW | {"clip": 0.9}),
}
PROPERTIES = ["loss", "half_norm2", "logit:0:0", "logit:0:3", "logit:4:1", "prob:0:3", "prob:4:1", "log_odds:0",
              "log_odds:4"]


def generator(name, purpose):
    return np.random.Generator(np.random.PCG64([zlib.crc32(name.encode()), zlib.crc32(purpose.encode())]))


def random_weights(config, rng, biases):
    """Names and shapes as the weights files have them, in the order of the forward pass; biases and LayerNorm
    parameters away from their usual 0 and 1, so that each of them matters."""
    params = {}

    def normal(name, shape, scale):
        params[name] = torch.from_numpy(scale * rng.standard_normal(shape))

    def norm(name, d):
        params[f"{name}.w"] = torch.from_numpy(1.0 + 0.1 * rng.standard_normal(d))
        normal(f"{name}.b", d, 0.1)

    if config["kind"] == "transformer":
        d, h, m = config["d_model"], config["heads"], config["d_mlp"]
        e, pre = d // h, config["norm"] == "pre"
        normal("embed.W_E", (config["d_vocab"], d), 0.8)
        normal("pos_embed.W_pos", (config["n_ctx"], d), 0.4)
        for l in range(config["layers"]):
            b = f"blocks.{l}"
            if pre:
                norm(f"{b}.ln1", d)
            for which in "QKV":
                normal(f"{b}.attn.W_{which}", (h, d, e), d**-0.5)
                if biases:
                    normal(f"{b}.attn.b_{which}", (h, e), 0.2)
            normal(f"{b}.attn.W_O", (h, e, d), d**-0.5)
            if biases:
                normal(f"{b}.attn.b_O", (d,), 0.2)
            if pre:
                norm(f"{b}.ln2", d)
            normal(f"{b}.mlp.W_in", (d, m), d**-0.5)
            normal(f"{b}.mlp.b_in", (m,), 0.1)
            normal(f"{b}.mlp.W_out", (m, d), m**-0.5)
            normal(f"{b}.mlp.b_out", (d,), 0.1)
        if pre:
            norm("ln_final", d)
        normal("unembed.W_U", (d, config["d_vocab_out"]), d**-0.5)
        if biases:
            normal("unembed.b_U", (config["d_vocab_out"],), 0.2)
        return params
    width = {"one_hot": config["n_ctx"] * config["d_vocab"], "embedding": config["n_ctx"] * config["d_model"],
             "float": config["d_model"]}[config["input"]]
    if config["input"] == "embedding":
        normal("embed.W_E", (config["d_vocab"], config["d_model"]), 0.8)
    for l, (fan_in, fan_out) in enumerate(zip([width, *config["hidden"]], [*config["hidden"], config["d_vocab_out"]])):
        scale = 0.6 if config["input"] == "one_hot" and l == 0 else fan_in**-0.5
        normal(f"layers.{l}.W", (fan_in, fan_out), scale)
        if config["bias"]:
            normal(f"layers.{l}.b", (fan_out,), 0.1)
    return params


def samples(config, n, rng, conflict):
    """Pairs a, b with the label a + b mod p. Sample 1 has a = b; the last sample repeats sample 2 (with another
    label if `conflict`)."""
    p = config["d_vocab_out"]
    if config.get("input") == "float":
        inputs, labels = rng.standard_normal((n, config["d_model"])), rng.integers(0, p, n)
    else:
        pairs = rng.integers(0, p, (n, 2))
        pairs[1] = pairs[1, 0]
        labels = pairs.sum(1) % p
        rest = {2: [], 3: [p], 4: [p, p + 1]}[config["n_ctx"]]  # "a b", "a b =", "a op b ="
        columns = [pairs[:, 0], pairs[:, 1]] if len(rest) < 2 else [pairs[:, 0], rest[0], pairs[:, 1]]
        columns += rest[-1:]
        inputs = np.stack([np.broadcast_to(c, n) for c in columns], 1)
    inputs, labels = torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(labels)
    inputs[-1], labels[-1] = inputs[2], (labels[2] + int(conflict)) % p
    return inputs, labels


def train(config, params, inputs, labels, loss, steps):
    settings = ADAM | {"lr": 1e-2, "weight_decay": 0.0}
    for params, _ in oracle.optimise(config, params, inputs, labels, settings, steps, loss):
        pass
    return params


def scale_to_median_loss(config, params, inputs, labels, target):
    """Bisect on a factor of the last matrix, in log space, until the median loss is `target`."""
    last = "unembed.W_U" if config["kind"] == "transformer" else f"layers.{len(config['hidden'])}.W"
    low, high = 0.0, 8.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        scaled = params | {last: params[last] * 2.0**middle}
        losses, _ = oracle.per_sample(config, scaled, inputs, labels)
        low, high = (middle, high) if losses.median() > target else (low, middle)
    return scaled


def write(path, tensors, metadata=None):
    """safetensors with the keys of the metadata in a fixed order (the library's own order varies)."""
    raw = save({k: v.contiguous() for k, v in tensors.items()})
    if metadata:
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8 : 8 + size])
        text = json.dumps({"__metadata__": metadata} | header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        raw = struct.pack("<Q", len(text)) + text + raw[8 + size :]
    path.write_bytes(raw)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_case(out, name, config, n, options):
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    loss = options.get("loss", "cross_entropy")
    inputs, labels = samples(config, n, generator(name, "samples"), options.get("conflict", False))
    params = random_weights(config, generator(name, "weights"), options.get("biases", False))
    if "train" in options:
        params = train(config, params, inputs, labels, loss, options["train"])
    if "median_loss" in options:
        params = scale_to_median_loss(config, params, inputs, labels, options["median_loss"])
    if options.get("zero"):  # a far larger input: a right answer by a margin beyond the range of exp
        inputs[5] *= 2.0**12
        labels[5] = oracle.logits_of(config, params, inputs[5]).argmax()
    dtype = options.get("dtype", torch.float64)
    stored = {k: v.to(dtype) for k, v in params.items()}
    params = {k: v.to(torch.float64) for k, v in stored.items()}
    key = "inputs" if inputs.is_floating_point() else "tokens"
    write(folder / "weights.safetensors", stored, {"config": json.dumps(config)})
    write(folder / "data.safetensors", {key: inputs, "labels": labels})

    logits = oracle.all_logits(config, params, inputs).detach()
    losses, gradients = oracle.per_sample(config, params, inputs, labels, loss)
    G = oracle.flatten(gradients).numpy()
    zero = (oracle.logit_cotangents(config, params, inputs, labels, loss) == 0).all(1).numpy()
    flat, single, grams, spectra = oracle.statistics(G, zero)
    values, matrix = oracle.ntcov(config, params, inputs, labels, PROPERTIES, loss)
    expected = {"loss_kind": loss, "loss": losses.mean().item(),
                "accuracy": (logits.argmax(1) == labels).double().mean().item(),
                "weight_norm": sum((w * w).sum() for w in params.values()).sqrt().item()} | flat
    expected["ntcov"] = {"names": PROPERTIES, "values": values, "matrix": matrix}
    expected["null"] = oracle.null_ranks(G, zero, NULL_DRAWS, generator(name, "null"))
    expected["f32_threshold"] = single
    expected["sensitivity"] = oracle.sensitivity(grams, spectra, generator(name, "sensitivity"))
    write_json(folder / "expected.json", expected)

    tensors = {"logits": logits, "loss": losses, "gram": torch.from_numpy(oracle.as_float(grams["raw"]))}
    tensors |= {f"mean_gradient/{k}": g.mean(0) for k, g in gradients.items()}
    if options.get("per_sample"):
        tensors |= {f"gradients/{k}": g for k, g in gradients.items()}
    write(folder / "expected.safetensors", tensors)

    if "steps" in options:
        write_steps(folder, config, params, inputs, labels, options["steps"], loss)
    spread = losses.max() / losses[losses > 0].min()
    print(f"{name:34} P {G.shape[1]:5} N {n:3} loss {expected['loss']:.2e} spread {spread:.1e} "
          f"accuracy {expected['accuracy']:.2f} ranks {flat['raw.rank']} {flat['cosine.rank']} {flat['centred.rank']}")


def write_steps(folder, config, params, inputs, labels, settings, loss):
    saved, before = {}, []
    for t, (weights, value) in enumerate(oracle.optimise(config, params, inputs, labels, settings, STEPS, loss), 1):
        before.append(value)
        if t in SAVED_STEPS:
            saved |= {f"after-{t}/{k}": v for k, v in weights.items()}
    write(folder / "steps.safetensors", saved)
    write_json(folder / "steps.json", {"optimizer": settings, "loss_kind": loss, "losses_before": before})


def write_step_case(out, name, config, n, loss, settings):
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    inputs, labels = samples(config, n, generator(name, "samples"), False)
    params = random_weights(config, generator(name, "weights"), False)
    write(folder / "weights.safetensors", params, {"config": json.dumps(config)})
    write(folder / "data.safetensors", {"tokens": inputs, "labels": labels})
    write_steps(folder, config, params, inputs, labels, settings, loss)
    print(f"{name}: ten steps")


def write_naive_cross_entropy(out):
    """PyTorch's own float32 log-softmax cross-entropy, forward and backward, on logits with gaps of 0 to 60."""
    rng, V = generator("naive_cross_entropy", "logits"), 113
    gaps = [0, 0.5, 1, 2, 4, 6, 8, 10, 11, 12, 13, 14, 15, 16, 16.5, 17, 18, 20, 24, 30, 40, 60]
    rows, labels = [], []
    for gap in gaps:
        for form in ("all", "one", "spread", "wrong"):
            top, label = int(rng.integers(V)), None
            z = np.full(V, 0.0)
            if form == "one":  # one competitor at the gap, the others far below
                z[:] = -100.0
                z[(top + 1 + rng.integers(V - 1)) % V] = 0.0
            elif form in ("spread", "wrong"):  # competitors spread below the gap
                z = -np.abs(rng.standard_normal(V)) * 5.0
            z[top] = gap
            if form == "wrong":  # the label is not the arg max
                label = (top + 1 + int(rng.integers(V - 1))) % V
            rows.append(z + rng.standard_normal())
            labels.append(top if label is None else label)
    logits = torch.from_numpy(np.array(rows)).float().requires_grad_(True)
    labels = torch.tensor(labels)
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    (dlogits,) = torch.autograd.grad(loss.sum(), logits)
    exact = logits.detach().double().requires_grad_(True)
    exact_loss = torch.func.vmap(oracle.cross_entropy)(exact, labels)
    (exact_dlogits,) = torch.autograd.grad(exact_loss.sum(), exact)
    at = labels[:, None]
    write(out / "naive_cross_entropy.safetensors",
          {"logits": logits.detach(), "labels": labels, "loss": loss.detach(), "dlogits": dlogits,
           "exact_loss": exact_loss.detach(), "exact_dlogits_label": exact_dlogits.gather(1, at)[:, 0]},
          {"made_by": f"torch {torch.__version__.split('+')[0]} CPU, {torch.backends.cpu.get_cpu_capability()}",
           "reduction": "sum"})
    zeros = (dlogits.gather(1, at) == 0).sum().item()
    print(f"naive_cross_entropy: {len(rows)} rows, {zeros} with an exactly zero label gradient")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="*", help="a pattern of case names")
    arguments.add_argument("--out", type=pathlib.Path, default=FIXTURES)
    arguments = arguments.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, (config, n, options) in CASES.items():
        if fnmatch.fnmatch(name, arguments.only):
            write_case(arguments.out, name, config, n, options)
    for name, (config, n, loss, settings) in STEP_CASES.items():
        if fnmatch.fnmatch(name, arguments.only):
            write_step_case(arguments.out, name, config, n, loss, settings)
    if fnmatch.fnmatch("naive_cross_entropy", arguments.only):
        write_naive_cross_entropy(arguments.out)


if __name__ == "__main__":
    main()
