"""curvlinops: the Jacobian of the map from samples to losses, an operator, applied to its transpose's columns.

Its other operators (GGN, empirical Fisher) act on parameters: they have the same non-zero eigenvalues as the Gram matrix
but not its entries.
"""

import torch
from curvlinops import JacobianLinearOperator, TransposedJacobianLinearOperator

from model_torch import Network

from .torch_common import gram_work, on

COLUMNS = 64  # whose P-sized images are in memory at once


class Losses(torch.nn.Module):
    """From rows of tokens and label to losses [N, 1]."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, rows):
        return torch.nn.functional.cross_entropy(self.network(rows[:, :-1]), rows[:, -1], reduction="none")[:, None]


def prepare(task, read, device):
    case = read(0)
    weights, train, _ = on(device, case)
    tokens, labels = (part[: task.size] for part in train)
    losses = Losses(Network(weights, case.heads)).to(device)
    data = [(torch.cat([tokens, labels[:, None]], 1), torch.zeros((task.size, 1), device=device))]
    parameters = list(losses.parameters())
    J = JacobianLinearOperator(losses, parameters, data, check_deterministic=False)
    JT = TransposedJacobianLinearOperator(losses, parameters, data, check_deterministic=False)
    unit = torch.eye(task.size, device=device, dtype=weights["W_E"].dtype)

    def gram():
        return torch.cat([J @ (JT @ unit[:, start : start + COLUMNS]) for start in range(0, task.size, COLUMNS)], 1)

    return gram_work(gram, task.kind, {"columns": COLUMNS})
