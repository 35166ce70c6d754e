"""The best Gram matrix we could write by hand in PyTorch: `structured`, its lower triangle of blocks in place."""

import torch

from model_torch import forward

from .structured import arranged, taps_of
from .torch_common import gram_work, on, quickest

BLOCKS = (128, 256, 512, 1024)


def sites(w, heads, tokens, labels):
    """Inputs and cotangents of all matrices, by one forward and one backward pass. Positions stand in front: [T, N, d]."""
    shapes = taps_of(w, *tokens.shape)
    taps = {k: torch.zeros(shape, dtype=w["W_E"].dtype, device=tokens.device, requires_grad=True) for k, shape in shapes.items()}
    logits, captured = forward(w, heads, tokens, taps)
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    d = dict(zip(taps, torch.autograd.grad(loss, list(taps.values()))))
    return arranged(torch, tokens, d, [c.detach() for c in captured], lambda v: v.transpose(0, 1).contiguous())


def lower_triangle(sites, block):
    """Blocks of the lower triangle, products into two reused buffers, multiply-adds in place; then mirrored."""
    n, x, dx, dkv, dqkv, ids = len(sites["dqkv"]), sites["x"], sites["dx"], sites["dkv"], sites["dqkv"], sites["ids"]
    T = len(x)
    K = torch.empty((n, n), dtype=x.dtype, device=x.device)
    buffers = torch.empty((2, block * block), dtype=x.dtype, device=x.device)
    for i in range(0, n, block):
        for j in range(0, i + 1, block):
            I, J = slice(i, min(i + block, n)), slice(j, min(j + block, n))
            shape = (I.stop - i, J.stop - j)
            p, q = (b[: shape[0] * shape[1]].view(shape) for b in buffers)
            out = K[I, J]
            torch.mm(dx[-1, I], dx[-1, J].T, out=p)
            torch.mul(p, 2, out=out)
            for t in range(T - 1):
                for s in range(T - 1):
                    torch.mm(dx[t, I], dx[s, J].T, out=p)
                    out.addcmul_(p, ids[t, I][:, None] == ids[s, J][None, :])
                    if t == s:
                        out.add_(p)
            for t in range(T):
                for s in range(T):
                    torch.mm(x[t, I], x[s, J].T, out=p)
                    b = (dqkv[I], dqkv[J]) if t == s == T - 1 else (dkv[t, I], dkv[s, J])
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


def prepare(task, read, device):
    case = read(0)
    weights, train, _ = on(device, case)
    tokens, labels = (part[: task.size] for part in train)
    captured = sites(weights, case.heads, tokens, labels)
    fitting = [block for block in BLOCKS if block <= task.size] or [task.size]
    block = quickest(fitting, lambda block: lower_triangle(captured, block))
    del captured
    return gram_work(lambda: lower_triangle(sites(weights, case.heads, tokens, labels), block), task.kind, {"block": block})
