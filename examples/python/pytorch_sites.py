"""Per-sample gradient statistics of a PyTorch model, without per-sample gradients.

    python examples/python/pytorch_sites.py S.safetensors
    gmatrix gram --sites S.safetensors

`write_sites` is all that is needed. The rest is a small model, and the check: the same samples' gradients one by one.
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn


def write_sites(model, loss_sum, path):
    """Runs `loss_sum()`, the SUM of the samples' losses, and writes what every Linear and Embedding saw.
    Activations are [N, T, d], or [N, d], which is T = 1."""
    seen = {}
    hooks = [module.register_forward_hook(lambda module, inputs, out, name=name: seen.update({name: (module, inputs[0], out)}))
             for name, module in model.named_modules() if isinstance(module, (nn.Linear, nn.Embedding))]
    loss = loss_sum()
    cotangents = torch.autograd.grad(loss, [out for _, _, out in seen.values()])
    tensors, metadata = {}, {}
    for (name, (module, a, _)), b in zip(seen.items(), cotangents):
        embedding = isinstance(module, nn.Embedding)
        tensors[f"sites/{name}/{'ids' if embedding else 'a'}"] = a if embedding or a.dim() == 3 else a[:, None]
        tensors[f"sites/{name}/b"] = b if b.dim() == 3 else b[:, None]
        metadata[f"sites/{name}/kind"] = "embedding" if embedding else "linear" if module.bias is None else "linear_bias"
        if embedding:
            metadata[f"sites/{name}/rows"] = str(module.num_embeddings)
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, path, metadata)
    for hook in hooks:
        hook.remove()


class Model(nn.Module):
    """Tokens and positions, one hidden layer at every position, the mean over positions, logits."""

    def __init__(self, vocabulary=11, positions=3, width=6, hidden=8, classes=5):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.hidden, self.out = nn.Linear(width, hidden), nn.Linear(hidden, classes, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]).expand_as(ids))
        return self.out(torch.relu(self.hidden(x)).mean(1))


def main(path):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model, ids, labels = Model(), torch.randint(11, (13, 3)), torch.randint(5, (13,))
    ids[12], labels[12] = ids[2], labels[2]  # a sample that is there twice
    write_sites(model, lambda: nn.functional.cross_entropy(model(ids), labels, reduction="sum"), path)

    from expected import write_expected  # beside this file

    gradients = []
    for i in range(len(ids)):
        loss = nn.functional.cross_entropy(model(ids[i : i + 1]), labels[i : i + 1])
        gradients.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))]))
    write_expected(path, torch.stack(gradients).numpy())


if __name__ == "__main__":
    main(sys.argv[1])
