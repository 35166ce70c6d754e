"""Times of PyTorch and JAX on the CPU, for what gmatrix does: the figures to beat.

    python benches/peers/nanda.py [--quick] [--only PATTERN] > peers.json

One-layer transformer of the modular-addition literature (p = 113, d_model 128, 4 heads, d_mlp 512, ReLU, no LayerNorm,
prompt `a b =`, 226,688 parameters), float32, logits at the last position only, and nothing computed at the other
positions that the last does not read.

* step: a full-batch AdamW step, N = 3,830. PyTorch eager with fused AdamW; JAX one jit with donated buffers.
* structured: the Gram of per-sample gradients at N = 1,024 without forming a gradient, from inputs and cotangents per
  site, one position where only the last counts, lower triangle of blocks, best of several block sizes.
  `with_sites` adds the forward and backward pass that captures them.
* materialised: per-sample gradients by vmap of grad, times their transpose, N = 1,024.
* gemm: 2048^3 in float32, for scale.

Every task runs in a process of its own with all cores, warmed up; seconds are median, quartiles, minimum and maximum.
Both structured Grams are first checked against materialised gradients in float64. Busy machines give useless figures:
the load at the start of each task is in the output.
"""

import argparse
import fnmatch
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np

P, D, HEADS, MLP, T = 113, 128, 4, 512, 3
STEP_SAMPLES, GRAM_SAMPLES, CHECK_SAMPLES = 3830, 1024, 24
BLOCKS = (128, 256, 512, 1024)
LR, DECAY, BETA1, BETA2, EPS = 1e-3, 1.0, 0.9, 0.98, 1e-8
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
SHAPES = {"W_E": (P + 1, D), "W_pos": (T, D), "W_Q": (D, D), "W_K": (D, D), "W_V": (D, D), "W_O": (D, D),
          "W_in": (D, MLP), "b_in": (MLP,), "W_out": (MLP, D), "b_out": (D,), "W_U": (D, P)}


def weights(dtype):
    rng = np.random.default_rng(0)
    return {k: (rng.standard_normal(s) / np.sqrt(P if k == "W_U" else D) if len(s) > 1 else np.zeros(s)).astype(dtype)
            for k, s in SHAPES.items()}


def samples(n):
    index = np.random.default_rng(1).permutation(P * P)[:n]
    a, b = index // P, index % P
    return np.stack([a, b, np.full(n, P)], 1), (a + b) % P


def flops():
    """Multiplications and additions of matrix products. A step is three forward passes."""
    forward = 2 * (2 * T * D * D + 2 * D * D + 2 * T * D + 2 * D * MLP + D * P)  # K, V; Q, O; attention; MLP; logits
    pair = 2 * (5 * D + 9 * 3 * D + D + 2 * D + 2 * (D + MLP) + D + P)  # embedding; Q, K, V; O; MLP; unembedding
    n, parameters = GRAM_SAMPLES, sum(int(np.prod(s)) for s in SHAPES.values())
    return {"step": 3 * STEP_SAMPLES * forward, "structured": n * (n + 1) // 2 * pair, "materialised": 2 * n * n * parameters,
            "gemm": 2 * 2048**3, "parameters": parameters}


def clock(function, quick, seconds=20.0):
    """Warm up, then repeat: at least 5 times (3 if quick), up to 50 or `seconds`."""
    for _ in range(2):
        function()
    times, began, least = [], time.perf_counter(), 3 if quick else 5
    while len(times) < least or (len(times) < 50 and time.perf_counter() - began < (3.0 if quick else seconds)):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    q = np.percentile(times, [50, 25, 75, 0, 100])
    return dict(zip(("median", "lower_quartile", "upper_quartile", "minimum", "maximum"), q.tolist())) | {"repeats": len(times)}


def gram_of_block(sites, I, J):
    """One block of the Gram: rows I, columns J. Positions stand in front: [T, N, d].

    embedding and positional: same position always matches once (W_pos); the token matches where identifiers agree.
    K and V share their input at all positions, Q at the last: their cotangents stand side by side.
    """
    ids, x, dx, dkv, dqkv = sites["ids"], sites["x"], sites["dx"], sites["dkv"], sites["dqkv"]
    out = 2 * (dx[2, I] @ dx[2, J].T)  # `=`: same token and same position
    for t in range(2):
        for s in range(2):
            same = (ids[t, I][:, None] == ids[s, J][None, :]).astype(dx.dtype) + (t == s)
            out = out + same * (dx[t, I] @ dx[s, J].T)
    for t in range(3):
        for s in range(3):
            b = dqkv[I] @ dqkv[J].T if t == s == 2 else dkv[t, I] @ dkv[s, J].T
            out = out + (x[t, I] @ x[s, J].T) * b
    for a, b, bias in sites["last"]:
        out = out + (a[I] @ a[J].T + bias) * (b[I] @ b[J].T)
    return out


# ---------------------------------------------------------------------------------------------------------- PyTorch


def torch_setup(dtype):
    import torch

    torch.set_num_threads(CORES)
    return torch, {k: torch.from_numpy(v) for k, v in weights(dtype).items()}


def torch_forward(torch, w, tokens, taps=None):
    """Logits [N, P] at the last position; with taps, zeros are added to site outputs and site inputs returned."""
    z = (lambda name, v: v) if taps is None else (lambda name, v: v + taps[name])
    x = z("x", w["W_E"][tokens] + w["W_pos"])  # [N, T, D]
    last = x[:, 2]
    q = z("q", last @ w["W_Q"]).unflatten(-1, (HEADS, -1))
    k = z("k", x @ w["W_K"]).unflatten(-1, (HEADS, -1))
    v = z("v", x @ w["W_V"]).unflatten(-1, (HEADS, -1))
    pattern = torch.softmax((q[:, None] * k).sum(-1) / (D // HEADS) ** 0.5, 1)  # [N, T, HEADS]
    mixed = (pattern[..., None] * v).sum(1).flatten(-2)
    middle = last + z("o", mixed @ w["W_O"])
    hidden = torch.relu(z("in", middle @ w["W_in"] + w["b_in"]))
    final = middle + z("out", hidden @ w["W_out"] + w["b_out"])
    return z("u", final @ w["W_U"]), (x, mixed, middle, hidden, final)


TAPS = {"x": (T, D), "q": (D,), "k": (T, D), "v": (T, D), "o": (D,), "in": (MLP,), "out": (D,), "u": (P,)}


def torch_sites(torch, w, tokens, labels):
    n, dtype = len(tokens), w["W_E"].dtype
    taps = {k: torch.zeros((n, *s), dtype=dtype, requires_grad=True) for k, s in TAPS.items()}
    logits, captured = torch_forward(torch, w, tokens, taps)
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    d = dict(zip(taps, torch.autograd.grad(loss, list(taps.values()))))
    x, mixed, middle, hidden, final = (c.detach() for c in captured)
    front = lambda v: v.transpose(0, 1).contiguous()
    dkv = front(torch.cat([d["k"], d["v"]], -1))
    return {"ids": tokens.T.contiguous(), "x": front(x), "dx": front(d["x"]), "dkv": dkv,
            "dqkv": torch.cat([dkv[2], d["q"]], -1),
            "last": [(mixed, d["o"], 0.0), (middle, d["in"], 1.0), (hidden, d["out"], 1.0), (final, d["u"], 0.0)]}


def torch_gram(torch, sites, block):
    """As gram_of_block, with products into two reused buffers and multiply-adds in place."""
    n, x, dx, dkv, dqkv, ids = len(sites["dqkv"]), sites["x"], sites["dx"], sites["dkv"], sites["dqkv"], sites["ids"]
    K = torch.empty((n, n), dtype=x.dtype)
    buffers = torch.empty((2, block * block), dtype=x.dtype)
    for i in range(0, n, block):
        for j in range(0, i + 1, block):
            I, J = slice(i, min(i + block, n)), slice(j, min(j + block, n))
            shape = (I.stop - i, J.stop - j)
            p, q = (b[: shape[0] * shape[1]].view(shape) for b in buffers)
            out = K[I, J]
            torch.mm(dx[2, I], dx[2, J].T, out=p)
            torch.mul(p, 2, out=out)
            for t in range(2):
                for s in range(2):
                    torch.mm(dx[t, I], dx[s, J].T, out=p)
                    out.addcmul_(p, ids[t, I][:, None] == ids[s, J][None, :])
                    if t == s:
                        out.add_(p)
            for t in range(3):
                for s in range(3):
                    torch.mm(x[t, I], x[s, J].T, out=p)
                    b = (dqkv[I], dqkv[J]) if t == s == 2 else (dkv[t, I], dkv[s, J])
                    torch.mm(b[0], b[1].T, out=q)
                    out.addcmul_(p, q)
            for a, b, bias in sites["last"]:
                torch.mm(a[I], a[J].T, out=p)
                torch.mm(b[I], b[J].T, out=q)
                if bias:
                    p.add_(1.0)
                out.addcmul_(p, q)
            if i != j:
                K[J, I] = out.T
    return K


def torch_gradients(torch, w, tokens, labels, chunk=None):
    def loss(w, t, y):
        return torch.nn.functional.cross_entropy(torch_forward(torch, w, t[None])[0], y[None])

    g = torch.func.vmap(torch.func.grad(loss), (None, 0, 0), chunk_size=chunk)(w, tokens, labels)
    return torch.cat([v.flatten(1) for v in g.values()], 1)


def torch_task(name, quick):
    torch, w = torch_setup(np.float32)
    if name == "gemm":
        a = torch.randn(2048, 2048)
        return clock(lambda: a @ a, quick)
    if name == "step":
        tokens, labels = map(torch.from_numpy, samples(STEP_SAMPLES))
        leaves = {k: v.requires_grad_(True) for k, v in w.items()}
        optimizer = torch.optim.AdamW(leaves.values(), LR, (BETA1, BETA2), EPS, DECAY, fused=True)

        def step():
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(torch_forward(torch, leaves, tokens)[0], labels).backward()
            optimizer.step()

        return clock(step, quick)
    tokens, labels = map(torch.from_numpy, samples(GRAM_SAMPLES))
    if name == "materialised":
        rows = torch_gradients(torch, w, tokens, labels, 128)
        return {"gradients": clock(lambda: torch_gradients(torch, w, tokens, labels, 128), quick),
                "product": clock(lambda: rows @ rows.T, quick)}
    wide = {k: torch.from_numpy(v) for k, v in weights(np.float64).items()}
    few = tuple(map(torch.from_numpy, samples(CHECK_SAMPLES)))
    G = torch_gradients(torch, wide, *few)
    error = check((G @ G.T).numpy(), torch_gram(torch, torch_sites(torch, wide, *few), 10).numpy())
    sites = torch_sites(torch, w, tokens, labels)
    blocks = {b: clock(lambda: torch_gram(torch, sites, b), quick) for b in BLOCKS}
    best = min(blocks, key=lambda b: blocks[b]["median"])
    both = clock(lambda: torch_gram(torch, torch_sites(torch, w, tokens, labels), best), quick)
    return blocks[best] | {"block": best, "with_sites": both, "error_f64": error}


# -------------------------------------------------------------------------------------------------------------- JAX


def jax_setup(dtype):
    import jax

    if dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    return jax, jax.numpy, {k: jax.numpy.asarray(v) for k, v in weights(dtype).items()}


def jax_forward(jnp, jax, w, tokens, taps=None):
    z = (lambda name, v: v) if taps is None else (lambda name, v: v + taps[name])
    x = z("x", w["W_E"][tokens] + w["W_pos"])
    last = x[:, 2]
    heads = lambda v: v.reshape(*v.shape[:-1], HEADS, D // HEADS)
    q, k, v = heads(z("q", last @ w["W_Q"])), heads(z("k", x @ w["W_K"])), heads(z("v", x @ w["W_V"]))
    pattern = jax.nn.softmax((q[:, None] * k).sum(-1) / (D // HEADS) ** 0.5, 1)
    mixed = (pattern[..., None] * v).sum(1).reshape(-1, D)
    middle = last + z("o", mixed @ w["W_O"])
    hidden = jax.nn.relu(z("in", middle @ w["W_in"] + w["b_in"]))
    final = middle + z("out", hidden @ w["W_out"] + w["b_out"])
    return z("u", final @ w["W_U"]), (x, mixed, middle, hidden, final)


def jax_losses(jnp, jax, logits, labels):
    return jax.nn.logsumexp(logits, 1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]


def jax_sites(jnp, jax, w, tokens, labels):
    taps = {k: jnp.zeros((len(tokens), *s), w["W_E"].dtype) for k, s in TAPS.items()}

    def loss(taps):
        logits, captured = jax_forward(jnp, jax, w, tokens, taps)
        return jax_losses(jnp, jax, logits, labels).sum(), captured

    d, (x, mixed, middle, hidden, final) = jax.grad(loss, has_aux=True)(taps)
    front = lambda v: v.swapaxes(0, 1)
    dkv = front(jnp.concatenate([d["k"], d["v"]], -1))
    return {"ids": tokens.T, "x": front(x), "dx": front(d["x"]), "dkv": dkv,
            "dqkv": jnp.concatenate([dkv[2], d["q"]], -1),
            "last": [(mixed, d["o"], 0.0), (middle, d["in"], 1.0), (hidden, d["out"], 1.0), (final, d["u"], 0.0)]}


def jax_gram(jnp, sites, block):
    n = len(sites["dqkv"])
    starts = range(0, n, block)
    lower = {(i, j): gram_of_block(sites, slice(i, i + block), slice(j, j + block)) for i in starts for j in starts if j <= i}
    return jnp.block([[lower[i, j] if j <= i else lower[j, i].T for j in starts] for i in starts])


def jax_gradients(jnp, jax, w, tokens, labels):
    def loss(w, t, y):
        return jax_losses(jnp, jax, jax_forward(jnp, jax, w, t[None])[0], y[None])[0]

    g = jax.vmap(jax.grad(loss), (None, 0, 0))(w, tokens, labels)
    return jnp.concatenate([v.reshape(len(tokens), -1) for v in g.values()], 1)


def jax_task(name, quick):
    if name == "structured_check":  # a process of its own: float64 is a global switch
        jax, jnp, wide = jax_setup(np.float64)
        few = tuple(map(jnp.asarray, samples(CHECK_SAMPLES)))
        G = jax_gradients(jnp, jax, wide, *few)
        return {"error_f64": check(np.asarray(G @ G.T), np.asarray(jax_gram(jnp, jax_sites(jnp, jax, wide, *few), 10)))}
    jax, jnp, w = jax_setup(np.float32)
    timed = lambda f: clock(lambda: jax.block_until_ready(f()), quick)
    if name == "gemm":
        a = jax.random.normal(jax.random.key(0), (2048, 2048))
        product = jax.jit(lambda a: a @ a)
        return timed(lambda: product(a))
    if name == "step":
        tokens, labels = map(jnp.asarray, samples(STEP_SAMPLES))
        zeros = {k: jnp.zeros_like(v) for k, v in w.items()}

        def step(state):
            w, m, v, t = state
            g = jax.grad(lambda w: jax_losses(jnp, jax, jax_forward(jnp, jax, w, tokens)[0], labels).mean())(w)
            t = t + 1
            m = {k: BETA1 * m[k] + (1 - BETA1) * g[k] for k in w}
            v = {k: BETA2 * v[k] + (1 - BETA2) * g[k] ** 2 for k in w}
            c1, c2 = 1 - BETA1**t, 1 - BETA2**t
            w = {k: w[k] * (1 - LR * DECAY) - LR * (m[k] / c1) / (jnp.sqrt(v[k] / c2) + EPS) for k in w}
            return w, m, v, t

        step = jax.jit(step, donate_argnums=0)
        state = [(w, zeros, {k: v.copy() for k, v in zeros.items()}, jnp.float32(0))]

        def advance():
            state[0] = step(state[0])
            return state[0]

        return timed(advance)
    tokens, labels = map(jnp.asarray, samples(GRAM_SAMPLES))
    if name == "materialised":
        gradients = jax.jit(lambda w, t, y: jax_gradients(jnp, jax, w, t, y))
        product = jax.jit(lambda g: g @ g.T)
        rows = gradients(w, tokens, labels)
        return {"gradients": timed(lambda: gradients(w, tokens, labels)), "product": timed(lambda: product(rows))}
    capture = jax.jit(lambda w, t, y: jax_sites(jnp, jax, w, t, y))
    sites = capture(w, tokens, labels)
    programs = {b: jax.jit(lambda s, b=b: jax_gram(jnp, s, b)) for b in BLOCKS[1:]}
    blocks = {b: timed(lambda f=f: f(sites)) for b, f in programs.items()}
    best = min(blocks, key=lambda b: blocks[b]["median"])
    both = timed(lambda: programs[best](capture(w, tokens, labels)))
    return blocks[best] | {"block": best, "with_sites": both}


# ------------------------------------------------------------------------------------------------------------ driver


def check(expected, found):
    """Largest difference relative to sqrt(K_ii K_jj)."""
    norms = np.sqrt(np.diag(expected))
    error = float((np.abs(found - expected) / np.outer(norms, norms)).max())
    assert error < 1e-12, f"the structured Gram is wrong by {error}"
    return error


TASKS = ["torch.gemm", "torch.step", "torch.structured", "torch.materialised", "jax.gemm", "jax.structured_check",
         "jax.step", "jax.structured", "jax.materialised"]


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 s a task instead of 20")
    parser.add_argument("--only", default="*", help="a pattern of task names: " + ", ".join(TASKS))
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        library, name = arguments.task.split(".")
        print(json.dumps({"torch": torch_task, "jax": jax_task}[library](name, arguments.quick)))
        return
    from importlib.metadata import version

    count = flops()
    out = {"processor": processor(), "cores": CORES, "parameters": count.pop("parameters"), "flops": count,
           "versions": {k: version(k) for k in ("torch", "jax", "numpy")} | {"python": platform.python_version()}, "seconds": {}}
    for task in TASKS:
        if not fnmatch.fnmatch(task, arguments.only):
            continue
        load = os.getloadavg()[0]
        command = [sys.executable, __file__, "--task", task] + ["--quick"] * arguments.quick
        environment = os.environ | {"OMP_NUM_THREADS": str(CORES), "JAX_PLATFORMS": "cpu"}
        print(f"{task} (load {load:.1f})", file=sys.stderr, flush=True)
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1]) | {"load": load}
        work = count.get(task.split(".")[1])
        if work and "median" in result:
            result["gflops"] = work / result["median"] / 1e9
        out["seconds"][task] = result
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
