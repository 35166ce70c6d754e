"""Opacus: gradients of single samples by GradSampleModule, then their products."""

import torch
from opacus import GradSampleModule

from model_torch import Network

from .torch_common import gram_work, on, product


def prepare(task, read, device):
    case = read(0)
    weights, train, _ = on(device, case)
    tokens, labels = (part[: task.size] for part in train)
    network = GradSampleModule(Network(weights, case.heads).to(device), loss_reduction="sum")

    def gram():
        torch.nn.functional.cross_entropy(network(tokens), labels, reduction="sum").backward()
        K = product([parameter.grad_sample for parameter in network.parameters()])
        for parameter in network.parameters():
            parameter.grad_sample = parameter.grad = None
        return K

    return gram_work(gram, task.kind)
