"""The numbers that all peers compute on: weights, examples and settings, exported by gmatrix and read from safetensors."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

# Names here, names in the files. Heads stand side by side in one matrix.
NAMES = {"W_E": "embed.W_E", "W_pos": "pos_embed.W_pos", "W_Q": "blocks.0.attn.W_Q", "W_K": "blocks.0.attn.W_K",
         "W_V": "blocks.0.attn.W_V", "W_O": "blocks.0.attn.W_O", "W_in": "blocks.0.mlp.W_in", "b_in": "blocks.0.mlp.b_in",
         "W_out": "blocks.0.mlp.W_out", "b_out": "blocks.0.mlp.b_out", "W_U": "unembed.W_U"}


@dataclass
class Case:
    """One run of a preset before its first step. Tokens [N, T] and labels [N] of both splits, integers."""

    weights: dict  # name -> array
    heads: int
    optimizer: dict  # lr, weight_decay, beta1, beta2, eps of AdamW; every weight decays, nothing warms up
    train: tuple  # tokens, labels
    test: tuple

    def samples(self, n):
        return self.train[0][:n], self.train[1][:n]


def read_weights(path, dtype):
    """Weights by short name, and how many heads there are."""
    with safe_open(path, "np") as file:
        shape = json.loads(file.metadata()["config"])
        expected = {"kind": "transformer", "layers": 1, "activation": "relu", "norm": "none", "attention_biases": False,
                    "unembed_bias": False}
        wrong = [f"{key} = {shape[key]!r}, expected {value!r}" for key, value in expected.items() if shape[key] != value]
        if wrong:
            raise ValueError(f"{path}: {'; '.join(wrong)}: the peers compute this network only")
        tensors = {name: file.get_tensor(stored) for name, stored in NAMES.items()}
    for name in ("W_Q", "W_K", "W_V"):  # [heads, d_model, d_head] -> [d_model, d_model]
        tensors[name] = tensors[name].transpose(1, 0, 2).reshape(tensors[name].shape[1], -1)
    tensors["W_O"] = tensors["W_O"].reshape(-1, tensors["W_O"].shape[-1])
    return {name: np.ascontiguousarray(value, dtype) for name, value in tensors.items()}, shape["heads"]


def read_case(directory, preset, seed, dtype):
    directory = Path(directory) / f"{preset}-{seed}"
    weights, heads = read_weights(directory / "run/weights/step-00000000.safetensors", dtype)
    splits = []
    for split in ("train", "test"):
        with safe_open(directory / f"{split}.safetensors", "np") as file:
            splits.append((file.get_tensor("tokens").astype(np.int64), file.get_tensor("labels").astype(np.int64)))
    keys = tomllib.loads((directory / "run/config.toml").read_text())["optimizer"]
    optimizer = {key: keys[key] for key in ("lr", "weight_decay", "beta1", "beta2", "eps")}
    return Case(weights, heads, optimizer, *splits)


def flat(weights):
    """All weights in one row, in one order."""
    return np.concatenate([np.asarray(weights[name], np.float64).ravel() for name in NAMES])
