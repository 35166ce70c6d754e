"""Compares gmatrix with its peers: first whether all compute the same numbers, then what it takes them.

    python benches/peers/run.py --quick
    python benches/peers/run.py --out target/peers-results

benches/peers/README.md says what is compared and how.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import written
from agreement import BOUNDS, compare
from case import read_case
from peers import PEERS
from program import Failed, Program
from rounds import time_task
from tasks import KINDS, agreement_tasks, all_tasks

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Options:
    out: Path
    inputs: Path
    device: str
    precision: str
    threads: int
    rounds: int
    repeats: int
    budget: float
    pythons: dict  # peer -> interpreter of an environment of its own
    environment: dict


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("target/peers-results"), help="directory to write to [%(default)s]")
    parser.add_argument("--tasks", default="*", metavar="PATTERNS", help="patterns of task names, by commas, as 'gram/*,step'")
    parser.add_argument("--peers", default="*", metavar="PATTERNS", help="patterns of peers, by commas; gmatrix is one")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which the peers take turns [%(default)s]")
    parser.add_argument("--repeats", type=int, default=5, help="calls of a peer in a round [%(default)s]")
    parser.add_argument("--budget", type=float, default=20.0, metavar="SECONDS", help="of timed calls, after which a peer has made "
                        "enough of them for a task [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="the smaller sizes, 2 rounds of 3 calls")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("f32", "f64"), default="f32")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of every peer on the CPU [all: %(default)s]")
    parser.add_argument("--gmatrix", type=Path, metavar="PROGRAM", help="[target/release/gmatrix, else that of the PATH]")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PYTHON", help="interpreter for one peer: "
                        "neural-tangents needs an environment of its own. May be repeated")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="key of the presets, as task.p=11: for trials")
    parser.add_argument("--require-all", action="store_true", help="fail if a peer is absent")
    parser.add_argument("--agreement-only", action="store_true", help="compare numbers and time nothing")
    given = parser.parse_args()
    for name in ("rounds", "repeats", "budget", "threads"):
        if not getattr(given, name) >= 1:
            parser.error(f"--{name} {getattr(given, name)}: expected at least 1")
    if given.threads > cores():
        parser.error(f"--threads {given.threads}: this machine lends {cores()}")
    names = [peer.name for peer in PEERS]
    for pair in given.python:
        if pair.partition("=")[0] not in names or not Path(pair.partition("=")[2]).is_file():
            parser.error(f"--python {pair}: expected PEER=PATH, an existing interpreter and one of {', '.join(names)}")
    if given.quick:
        given.rounds, given.repeats = min(given.rounds, 2), min(given.repeats, 3)
    return parser, given


def chosen(parser, flag, patterns, names):
    patterns = [pattern.strip() for pattern in patterns.split(",")]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            parser.error(f"{flag} {pattern}: matches none of {', '.join(names)}")
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def versions_of(peer, pythons):
    """Versions of a peer's packages, asked of its own interpreter where it has one."""
    if peer.name not in pythons:
        return peer.versions()
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import json; from peers import PEERS; "
            "print(json.dumps(next(p for p in PEERS if p.name == sys.argv[2]).versions()))")
    here = str(Path(__file__).parent)
    done = subprocess.run([pythons[peer.name], "-c", code, here, peer.name], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def gpu():
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def main():
    parser, given = arguments()
    program_path = given.gmatrix or next((path for path in (ROOT / "target/release/gmatrix", shutil.which("gmatrix"))
                                          if path and Path(path).is_file()), None)
    if program_path is None or not Path(program_path).is_file():
        parser.error(f"--gmatrix {program_path or 'not given'}: no such program; build it by `cargo build --release`")
    if given.device == "cuda" and not gpu():
        parser.error("--device cuda: PyTorch sees no CUDA device here")
    say = lambda line: print(line, file=sys.stderr, flush=True)
    threads = str(given.threads)
    environment = dict(os.environ) | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads,
                                      "JAX_PLATFORMS": given.device, "PYTHONDONTWRITEBYTECODE": "1"}
    out = given.out.resolve()
    if out.exists() and any(out.iterdir()):
        parser.error(f"--out {given.out}: is not empty")
    (out / "logs").mkdir(parents=True)
    pythons = dict(pair.split("=", 1) for pair in given.python)
    options = Options(out, out / "inputs", given.device, given.precision, given.threads, given.rounds, given.repeats, given.budget, pythons,
                      environment)
    prefix = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[: given.threads]))] if given.threads < cores() else []
    program = Program(Path(program_path).resolve(), given.device, given.precision, given.set, environment, prefix)

    names = chosen(parser, "--peers", given.peers, ["gmatrix", *(peer.name for peer in PEERS)])
    peers = [peer for peer in PEERS if peer.name in names]
    installed = {peer.name: versions_of(peer, pythons) for peer in peers}
    absent = {name: [p for p, v in found.items() if v is None] for name, found in installed.items() if None in found.values()}
    for name, packages in absent.items():
        say(f"{name}: absent, since not installed: {', '.join(packages)}")
    if absent and given.require_all:
        sys.exit(f"run.py: --require-all, but absent: {', '.join(absent)}")
    peers = [peer for peer in peers if peer.name not in absent]

    try:
        say("exporting weights and examples of preset nanda")
        program.export(options.inputs, "nanda", 0)
        samples = len(read_case(options.inputs, "nanda", 0, "f4").train[0])
        tasks = all_tasks(samples, given.quick)
        wanted = chosen(parser, "--tasks", given.tasks, [task.name for task in tasks])
        tasks = [task for task in tasks if task.name in wanted]
        small = [task for task in agreement_tasks(samples) if task.kind in {task.kind for task in tasks}]
        runs = max([task.size for task in [*tasks, *small] if task.kind == "runs"], default=0)
        for seed in range(runs):
            program.export(options.inputs, "quick", seed)
    except Failed as error:
        sys.exit(f"run.py: gmatrix {error}")
    measured = program if "gmatrix" in names else None
    can = lambda task: [peer for peer in peers if peer.why_not(task.kind, given.device) is None and task.size <= peer.largest]

    result = {
        "machine": {"system": platform.platform(), "processor": processor(), "cores": cores(), "threads": given.threads,
                    "device": given.device, "gpu": gpu() if given.device == "cuda" else None, "precision": given.precision},
        "versions": {"gmatrix": program.version(), "python": platform.python_version(), "peers": installed},
        "settings": {"rounds": given.rounds, "repeats": given.repeats, "budget": given.budget, "quick": given.quick, "overrides": given.set},
        "does": {peer.name: peer.does for peer in PEERS}, "kinds": KINDS, "bounds": BOUNDS[given.precision], "absent": absent,
        "cannot": {peer.name: {kind: why for kind in KINDS if (why := peer.why_not(kind, given.device))} | peer.limit()
                   for peer in peers},
        "agreement": {}, "tasks": {},
    }
    for task in small:
        result["agreement"][task.name] = compare(task, can(task), measured, options, say)
        written.write(out, result)
    for task in [] if given.agreement_only else tasks:
        result["tasks"][task.name] = time_task(task, can(task), measured, options, say)
        written.write(out, result)
    print((out / "peers.md").read_text())
    wrong = [f"{name} on {task}" for task, found in result["agreement"].items() for name, one in found.items()
             if not one.get("agrees")]
    if wrong:
        sys.exit(f"run.py: no agreement: {', '.join(wrong)}; see {out / 'peers.md'}")


if __name__ == "__main__":
    main()
