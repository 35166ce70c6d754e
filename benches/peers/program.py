"""gmatrix, through its command line: it exports the inputs, and is measured like its peers."""

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from case import flat, read_case, read_weights
from tasks import PROPERTIES, SPECTRUM, STATISTICS

NEVER = 1_000_000  # steps between measurements that are not asked for: they fall on step 0 alone
CALLS = 3


class Failed(Exception):
    """The program ended with an error: its own line."""


class Program:
    def __init__(self, path, backend, precision, overrides, environment, prefix):
        self.path, self.backend, self.precision, self.environment = str(path), backend, precision, environment
        self.overrides, self.prefix = overrides, prefix

    def run(self, *arguments):
        """Standard output, and the peak of the resident set in bytes (None where the system does not tell)."""
        command = [*self.prefix, self.path, *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as errors:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment)
            out = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            if child.returncode:
                said = errors.read().strip().splitlines() or [f"exit code {child.returncode}"]
                raise Failed(f"{' '.join(map(str, arguments[:1]))}: {said[-1]}")
        return out, usage.ru_maxrss * 1024

    def version(self):
        return self.run("--version")[0].strip()

    def train(self, preset, seed, out, steps, *more, settings=(), backend=None):
        settings = [f"task.seed={seed}", f"train.steps={steps}", "train.stop=never", f"train.chunk={min(steps, 4)}",
                    "optimizer.warmup=0", f"stats.scalars_every={NEVER}", f"stats.evaluate_every={NEVER}",
                    *self.overrides, *settings]
        flags = [part for setting in settings for part in ("--set", setting)]
        return self.run("train", "--preset", preset, "--backend", backend or self.backend, "--precision", self.precision,
                        "--quiet", "--out", out, *flags, *more)

    def export(self, directory, preset, seed, steps=3, backend="cpu"):
        """Weights before each of the first steps, and both splits, in the precision that is compared.
        Initial weights and splits are the same on every backend."""
        directory = Path(directory) / f"{preset}-{seed}"
        if directory.exists():
            return
        directory.mkdir(parents=True)
        settings = ["train.weights_every=1", "stats.gram_every=0", "stats.decompose_every=0"]
        if preset == "nanda":
            settings[2:] = [f"stats.decompose_every={NEVER}", f"stats.properties={json.dumps(PROPERTIES)}"]
        self.train(preset, seed, directory / "run", steps, settings=settings, backend=backend)
        for split in ("train", "test"):
            self.run("export", "--examples", directory / "run", "--split", split, "--out", directory / f"{split}.safetensors")

    # -- What it finds ----------------------------------------------------------------------------------------------

    def numbers(self, inputs, task):
        """The answer to a task, as `agreement` compares it."""
        with tempfile.TemporaryDirectory() as own:
            trained = Path(inputs)
            if self.backend != "cpu" and task.kind in ("step", "runs", "ntcov"):
                trained = Path(own)  # what was exported was trained on the CPU
                for seed in range(max(task.size, 1) if task.kind == "runs" else 1):
                    self.export(trained, task.preset, seed, backend=self.backend)
            return self.numbers_of(trained, task)

    def numbers_of(self, inputs, task):
        dtype = np.float64
        if task.kind in ("step", "runs"):
            after = f"run/weights/step-{task.calls:08}.safetensors"
            runs = range(max(task.size, 1))
            return {"weights": np.stack([flat(read_weights(inputs / f"{task.preset}-{r}" / after, dtype)[0]) for r in runs])}
        if task.kind == "ntcov":
            import pyarrow.parquet

            row = pyarrow.parquet.read_table(inputs / "nanda-0/run/metrics.parquet").slice(0, 1).to_pydict()
            column = lambda a, b: row.get(f"ntcov.{a}.{b}", row.get(f"ntcov.{b}.{a}"))[0]
            return {"matrix": np.array([[column(a, b) for b in PROPERTIES] for a in PROPERTIES])}
        with tempfile.TemporaryDirectory() as scratch:
            data, gram = Path(scratch) / "data.safetensors", Path(scratch) / "gram.safetensors"
            tokens, labels = read_case(inputs, "nanda", 0, dtype).samples(task.size)
            save_file({"tokens": np.ascontiguousarray(tokens), "labels": np.ascontiguousarray(labels)}, data)
            weights = inputs / "nanda-0/run/weights/step-00000000.safetensors"
            out, _ = self.run("measure", "--weights", weights, "--data", data, "--gram", gram, "--json", "-", "--backend",
                              self.backend, "--precision", self.precision)
            with safe_open(gram, "np") as file:
                found = {"gram": file.get_tensor("gram")}
        said = json.loads(out)
        names = {"gram": (), "statistics": STATISTICS, "spectrum": STATISTICS + SPECTRUM}[task.kind]
        return found | {name: np.float64(said[name]) for name in names}

    # -- What it takes ----------------------------------------------------------------------------------------------

    def times(self, task, calls=CALLS):
        """Seconds of several repetitions, the first left out, and the peak of the resident set in bytes."""
        if task.kind == "runs":
            if self.overrides or self.precision != "f32":
                raise Failed("bench: takes preset quick as it is, in f32: not timed beside other sizes or precisions")
            out, peak = self.run("bench", "--quick", "--backend", self.backend, "--filter", f"^task/runs/{task.size}$", "--json", "-")
            found = json.loads(out)
            if not found["rows"]:
                raise Failed(f"bench: {found['left_out'] or f'has no row task/runs/{task.size}'}")
            return [found["rows"][0]["seconds"]["median"]], peak
        settings = {"step": ["stats.gram_every=0", "stats.decompose_every=0"],
                    "ntcov": ["stats.gram_every=0", "stats.decompose_every=1", f"stats.properties={json.dumps(PROPERTIES)}"]}
        spectrum = "exact" if task.kind == "spectrum" else "off"
        gram = ["stats.gram_every=1", f"stats.samples={task.size}", f'stats.spectrum="{spectrum}"', "stats.decompose_every=0"]
        with tempfile.TemporaryDirectory() as scratch:
            trace = Path(scratch) / "trace.json"
            _, peak = self.train(task.preset, 0, Path(scratch) / "run", calls + 3 if task.kind == "step" else calls + 1,
                                 "--trace", trace, settings=[*settings.get(task.kind, gram), "train.weights_every=0"])
            events = json.loads(trace.read_text())["traceEvents"]
        segment = {"step": None, "ntcov": "decompose"}.get(task.kind, "gram")
        return seconds_of(events, segment)[1:], peak


def seconds_of(events, segment):
    """For each step the seconds that the launches of a segment took; without a segment, those from one step's first launch
    to the next one's, of the steps that measure nothing."""
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    launches = [event for event in events if event["ph"] == "X"]
    starts = [event["ts"] for event in launches if names[event["tid"]] == "begin"]
    if segment is None:
        return [(b - a) / 1e6 for a, b in zip(starts, starts[1:])]
    steps, step = defaultdict(float), -1
    for event in launches:
        step += names[event["tid"]] == "begin"
        if names[event["tid"]] == segment:
            steps[step] += event["dur"] / 1e6
    return [steps[step] for step in sorted(steps)]
