"""Write the files that TransformerLens itself exports, and compare its gradients with the oracle's.

    pip install -r tests/oracle/requirements-transformer-lens.txt
    python tests/oracle/export_transformer_lens.py

`transformer_lens.safetensors` is the state dict of a HookedTransformer as it is, zero biases, `mask` and `IGNORE`
buffers included, in float32 and without a configuration in its metadata. `transformer_lens_pre.safetensors` is the
same for two layers with LayerNorm and GELU. The `_expected` files hold tokens, labels and, from TransformerLens in
float64 on those weights, the logits of the last position, the losses and the Gram matrix.
"""

import generate  # first: it fixes threads and code paths before torch is imported

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig

import oracle


def export(name, layers, activation, normalization, seed):
    p = 7
    torch.set_default_dtype(torch.float32)
    model = HookedTransformer(HookedTransformerConfig(
        n_layers=layers, d_model=12, n_ctx=3, d_head=4, n_heads=3, d_mlp=20, d_vocab=p + 1, d_vocab_out=p,
        act_fn=activation, normalization_type=normalization, seed=seed, device="cpu", initializer_range=0.3,
        attention_dir="causal"))
    state = {k: v.detach().clone() for k, v in model.state_dict().items()}
    generate.write(generate.FIXTURES / f"{name}.safetensors", state)

    torch.set_default_dtype(torch.float64)
    model = model.to(torch.float64)
    model.cfg.dtype = torch.float64
    tokens = torch.tensor([[a, b, p] for a, b in [(0, 1), (3, 3), (6, 2), (2, 6), (5, 0), (4, 1), (1, 4), (6, 6), (0, 1)]])
    labels = tokens[:, :2].sum(1) % p
    logits = model(tokens)[:, -1]
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    names = [k for k, _ in model.named_parameters()]
    rows = [torch.autograd.grad(l, list(model.parameters()), retain_graph=True) for l in losses]
    G = torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows])
    gram = G @ G.T

    config = {"kind": "transformer", "layers": layers, "heads": 3, "activation": activation,
              "norm": "pre" if normalization else "none"}
    params = {k: state[k].double() for k in names}
    own_losses, own = oracle.per_sample(config, params, tokens, labels)
    own_G = oracle.flatten({k: own[k] for k in names})
    for what, a, b in [("logits", oracle.all_logits(config, params, tokens), logits), ("losses", own_losses, losses),
                       ("gradients", own_G, G), ("Gram", own_G @ own_G.T, gram)]:
        error = ((a - b).abs().max() / b.abs().max()).item()
        print(f"{name}: {what}: relative difference from the oracle {error:.1e}")
        assert error < 1e-13
    generate.write(generate.FIXTURES / f"{name}_expected.safetensors",
                   {"tokens": tokens, "labels": labels, "logits": logits.detach(), "loss": losses.detach(), "gram": gram})
    print(f"{name}: {sorted(set(state) - set(names))} besides {len(names)} parameters")


if __name__ == "__main__":
    export("transformer_lens", 1, "relu", None, 0)
    export("transformer_lens_pre", 2, "gelu", "LN", 1)
