"""Who is compared, what each can express, and why it cannot express the rest. Nothing is imported here, so that what is
not installed can be told apart from what fails."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from tasks import KINDS

GRAM = ("gram", "statistics", "spectrum")


@dataclass(frozen=True)
class Peer:
    name: str
    module: str  # beside this file; has prepare(task, read, device) -> Work
    packages: tuple
    does: str
    kinds: tuple
    cannot: dict = field(default_factory=dict)  # kind -> reason
    devices: tuple = ("cpu", "cuda")
    compiles_late: bool = False  # its second call may still compile, so it is never timed
    largest: float = float("inf")  # beyond it a call takes minutes, and `beyond` says why
    beyond: str = ""

    def limit(self):
        return {f"more than {self.largest:,}": self.beyond} if self.beyond else {}

    def why_not(self, kind, device):
        """Why it has no part in a task, or None."""
        if device not in self.devices:
            return f"needs {' or '.join(self.devices)}"
        if kind not in self.kinds:
            return self.cannot.get(kind) or self.cannot["else"]
        return None

    def versions(self):
        """Of its packages; None for those that are absent."""
        found = {}
        for package in self.packages:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = None
        return found


PER_SAMPLE = "gives gradients of single samples; training is that of PyTorch (torch-eager)"
ONE_LOSS = "hooks one backward pass of one loss; properties are gradients of other scalars: see torch-eager"
ONE_RUN = "works on one model at a time: see torch-eager and torch-vmap"
SEE_STRUCTURED = "would be the materialised product of torch-vmap; by hand: torch-structured"
BY_HAND = "the Gram matrix alone is written here by hand"
MATERIALISED = {"step": PER_SAMPLE, "ntcov": ONE_LOSS, "runs": ONE_RUN}

PEERS = (
    Peer("torch-eager", "torch_eager", ("torch",), "autograd, fused AdamW; runs one after another",
         ("step", "ntcov", "runs"), {"else": SEE_STRUCTURED}),
    Peer("torch-compile", "torch_compile", ("torch",),
         "torch.compile of forward, backward and optimiser; of the whole structured Gram matrix",
         ("step", "runs", "gram", "statistics", "spectrum"),
         {"ntcov": "torch.compile does not trace autograd.grad with retained graphs; as torch.func it is torch-vmap"},
         compiles_late=True),
    Peer("torch-cuda-graphs", "torch_cuda_graphs", ("torch",), "a captured step, replayed", ("step", "runs"),
         {"else": "kernels of these sizes are bound by arithmetic, not by launches: as torch-structured or torch-vmap"}, ("cuda",)),
    Peer("torch-processes", "torch_processes", ("torch",), "as many processes as cores, runs shared out among them, one thread each",
         ("runs",), {"else": "one process computes one of these: see torch-eager"}, ("cpu",)),
    Peer("torch-vmap", "torch_vmap", ("torch",), "torch.func: vmap of grad over samples or runs, jacrev over properties",
         (*GRAM, "ntcov", "runs"), {"step": "is torch-eager: there is nothing to map over"}),
    Peer("torch-structured", "torch_structured", ("torch",),
         "best by hand: products of inputs and cotangents, lower triangle of blocks in place", GRAM, {"else": BY_HAND}),
    Peer("jax-vmap", "jax_vmap", ("jax",), "jit; vmap of grad over samples or runs; one program for all properties", tuple(KINDS)),
    Peer("jax-structured", "jax_structured", ("jax",), "best by hand: the same products, lower triangle of blocks in one program",
         GRAM, {"else": BY_HAND}),
    Peer("backpack", "backpack_peer", ("torch", "backpack-for-pytorch"), "BatchGrad, then the product of the gradients",
         GRAM, MATERIALISED),
    Peer("opacus", "opacus_peer", ("torch", "opacus"), "GradSampleModule, then the product of the gradients", GRAM, MATERIALISED),
    Peer("neural-tangents", "neural_tangents_peer", ("jax", "neural-tangents"),
         "empirical NTK of the map from a sample to its loss, which is the Gram matrix", GRAM,
         {"step": "computes kernels and trains nothing", "runs": "computes kernels and trains nothing",
          "ntcov": "a kernel of one output with itself over samples; products between different properties are not kernels of a network"}),
    Peer("curvlinops", "curvlinops_peer", ("torch", "curvlinops-for-pytorch"),
         "JacobianLinearOperator of the map from samples to losses, applied to its transpose", GRAM,
         {"step": "gives linear operators and trains nothing", "runs": "gives linear operators and trains nothing",
          "ntcov": "an operator is of one function of each sample; a property is a function of all samples"},
         largest=1024, beyond="each of N columns costs two passes over all N samples"),
)
