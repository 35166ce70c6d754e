"""BackPACK: gradients of single samples by the extension BatchGrad, then their products."""

import torch
from backpack import backpack, extend
from backpack.extensions import BatchGrad

from model_torch import Network

from .torch_common import gram_work, on, product


def prepare(task, read, device):
    case = read(0)
    weights, train, _ = on(device, case)
    tokens, labels = (part[: task.size] for part in train)
    network = extend(Network(weights, case.heads).to(device))
    loss = torch.nn.CrossEntropyLoss(reduction="sum")

    def gram():
        with backpack(BatchGrad()):
            loss(network(tokens), labels).backward()
        K = product([parameter.grad_batch for parameter in network.parameters()])
        for parameter in network.parameters():
            del parameter.grad_batch
            parameter.grad = None
        return K

    return gram_work(gram, task.kind)
