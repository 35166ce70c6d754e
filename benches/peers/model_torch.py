"""The network in PyTorch: once as a function of a dictionary of weights, once as modules that libraries can hook."""

import torch
from torch import nn
from torch.nn import functional as F


def attend(q, k, v, heads):
    """q [N, D] of the last position, k and v [N, T, D]: what the last position reads, [N, D]."""
    q, k, v = (part.unflatten(-1, (heads, -1)) for part in (q, k, v))
    pattern = torch.softmax((q[:, None] * k).sum(-1) / q.shape[-1] ** 0.5, 1)  # [N, T, heads]
    return (pattern[..., None] * v).sum(1).flatten(-2)


def forward(w, heads, tokens, taps=None):
    """Logits [N, V] of the last position, and what went into each matrix. Nothing is computed at positions that the last one
    does not read. `taps` are added to what comes out of the matrices, so that their gradients are the cotangents there."""
    z = (lambda name, value: value) if taps is None else (lambda name, value: value + taps[name])
    x = z("x", w["W_E"][tokens] + w["W_pos"])  # [N, T, D]
    last = x[:, -1]
    mixed = attend(z("q", last @ w["W_Q"]), z("k", x @ w["W_K"]), z("v", x @ w["W_V"]), heads)
    middle = last + z("o", mixed @ w["W_O"])
    hidden = torch.relu(z("in", middle @ w["W_in"] + w["b_in"]))
    final = middle + z("out", hidden @ w["W_out"] + w["b_out"])
    return z("u", final @ w["W_U"]), (x, mixed, middle, hidden, final)


def loss_sum(w, heads, tokens, labels):
    return F.cross_entropy(forward(w, heads, tokens)[0], labels, reduction="sum")


def loss_mean(w, heads, tokens, labels):
    return F.cross_entropy(forward(w, heads, tokens)[0], labels)


def loss_of_one(w, heads, tokens, label):
    """tokens [T], one label."""
    return loss_sum(w, heads, tokens[None], label[None])


class Network(nn.Module):
    """The same of nn.Linear and nn.Embedding. Bias-free matrices are Linear, whose weight is the transpose."""

    def __init__(self, weights, heads):
        super().__init__()
        self.heads = heads
        linear = lambda W, b=None: self._linear(weights, W, b)
        self.embed, self.position = (nn.Embedding.from_pretrained(weights[name].clone(), freeze=False) for name in ("W_E", "W_pos"))
        self.q, self.k, self.v, self.o = (linear(name) for name in ("W_Q", "W_K", "W_V", "W_O"))
        self.hidden, self.out, self.unembed = linear("W_in", "b_in"), linear("W_out", "b_out"), linear("W_U")

    @staticmethod
    def _linear(weights, W, b):
        d_in, d_out = weights[W].shape
        layer = nn.Linear(d_in, d_out, bias=b is not None, device=weights[W].device, dtype=weights[W].dtype)
        layer.weight.data = weights[W].T.contiguous()
        if b is not None:
            layer.bias.data = weights[b].clone()
        return layer

    def forward(self, tokens):
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        x = self.embed(tokens) + self.position(positions)
        last = x[:, -1]
        middle = last + self.o(attend(self.q(last), self.k(x), self.v(x), self.heads))
        return self.unembed(middle + self.out(torch.relu(self.hidden(middle))))


def adamw(leaves, optimizer, fused=True):
    return torch.optim.AdamW(leaves, optimizer["lr"], (optimizer["beta1"], optimizer["beta2"]), optimizer["eps"],
                             optimizer["weight_decay"], fused=fused)
