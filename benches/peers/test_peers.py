"""That all peers which are installed compute what float64 does, on a tiny network; and that a wrong answer is seen.

    python -m pytest benches/peers        # GMATRIX=PROGRAM says which gmatrix exports the inputs, else target/release/gmatrix
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import agreement  # noqa: E402
import written  # noqa: E402
from case import read_case  # noqa: E402
from peers import PEERS  # noqa: E402
from program import Program, seconds_of  # noqa: E402
from tasks import KINDS, Task, agreement_tasks  # noqa: E402

GMATRIX = Path(os.environ.get("GMATRIX", HERE.parents[1] / "target/release/gmatrix"))
TINY = ["task.p=11", "model.d_model=16", "model.d_mlp=32", "model.heads=2"]
TASKS = {task.kind: task for task in agreement_tasks(36)}


@pytest.fixture(scope="session")
def program():
    assert GMATRIX.is_file(), f"{GMATRIX}: no such program; build it by `cargo build --release`, or set GMATRIX"
    return Program(GMATRIX, "cpu", "f32", TINY, dict(os.environ), [])


@pytest.fixture(scope="session")
def inputs(program, tmp_path_factory):
    directory = tmp_path_factory.mktemp("inputs")
    program.export(directory, "nanda", 0)
    for seed in range(TASKS["runs"].size):
        program.export(directory, "quick", seed)
    return directory


def numbers(module, task, inputs, dtype):
    read = lambda seed: read_case(inputs, task.preset, seed, dtype)
    work = importlib.import_module(f"peers.{module}").prepare(task, read, "cpu")
    for _ in range(task.calls):
        answer = work.wait(work.call())
    return work.numbers(answer)


@pytest.fixture(scope="session")
def expected(inputs):
    return {kind: numbers("reference", task, inputs, np.float64) for kind, task in TASKS.items()}


@pytest.mark.parametrize("peer, kind", [(peer, kind) for peer in PEERS for kind in peer.kinds if "cpu" in peer.devices],
                         ids=lambda value: getattr(value, "name", value))
def test_a_peer_agrees_with_float64(peer, kind, inputs, expected):
    absent = [package for package, version in peer.versions().items() if version is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    found = numbers(peer.module, TASKS[kind], inputs, np.float32)
    assert agreement.error(kind, found, expected[kind]) <= agreement.BOUNDS["f32"][kind]


@pytest.mark.parametrize("kind", KINDS)
def test_gmatrix_agrees_with_float64(kind, program, inputs, expected):
    found = program.numbers(inputs, TASKS[kind])
    assert agreement.error(kind, found, expected[kind]) <= agreement.BOUNDS["f32"][kind]


@pytest.mark.parametrize("kind, name, place", [("step", "weights", (0, 5)), ("gram", "gram", (3, 1)), ("ntcov", "matrix", (0, 1)),
                                               ("statistics", "min_cosine", ()), ("spectrum", "centred.eigenvalues", (-1,))])
def test_a_wrong_number_is_seen(kind, name, place, expected):
    wrong = {key: np.array(value) for key, value in expected[kind].items()}
    wrong[name][place] += 0.1 * np.abs(expected[kind][name]).max()
    assert agreement.error(kind, wrong, expected[kind]) > agreement.BOUNDS["f32"][kind]
    assert agreement.error(kind, expected[kind], expected[kind]) == 0


def test_gmatrix_is_timed_by_steps(program):
    for task in (Task("step", 0), Task("gram", 20), Task("ntcov", 8)):
        times, peak = program.times(task, 2)
        assert len(times) >= 2 and min(times) > 0 and peak > 1e6


def test_a_trace_gives_seconds_of_a_segment():
    name = lambda tid, name: {"ph": "M", "tid": tid, "args": {"name": name}}
    launch = lambda tid, ts, dur: {"ph": "X", "tid": tid, "ts": ts, "dur": dur}
    events = [name(0, "begin"), name(1, "gram"), launch(0, 0, 1), launch(1, 1, 3e6), launch(1, 9, 1e6), launch(0, 5e6, 1),
              launch(1, 6e6, 2e6)]
    assert seconds_of(events, "gram") == [4.0, 2.0]
    assert seconds_of(events, None) == [5.0]


@pytest.mark.parametrize("flags, said", [(["--tasks", "gramm"], "matches none of"), (["--peers", "tensorflow"], "matches none of"),
                                         (["--python", "opacus=nowhere"], "an existing interpreter"), (["--rounds", "0"], "at least 1")])
def test_wrong_use_is_told(flags, said, program, tmp_path):
    command = [sys.executable, HERE / "run.py", "--gmatrix", GMATRIX, "--out", tmp_path / "out", *flags, "--set", TINY[0]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr


def test_what_is_written_names_failures_and_absences():
    result = {"machine": {"gpu": None, "processor": "a", "cores": 1, "threads": 1, "precision": "f32", "system": "b"},
              "versions": {"gmatrix": "g", "python": "3", "peers": {"opacus": {"torch": "1", "opacus": None}}},
              "settings": {"overrides": [], "rounds": 1, "repeats": 1}, "does": {"opacus": "x"}, "bounds": {"gram": 1e-5},
              "cannot": {"opacus": {"step": "why", "runs": "why"}}, "absent": {"opacus": ["opacus"]},
              "agreement": {"gram/3": {"opacus": {"failed": "no room"}, "gmatrix": {"error": 1.0, "agrees": False}}}, "tasks": {}}
    text = written.markdown(result)
    for part in ("no room", "1.0e+00 (!)", "step, runs: why", "opacus: not installed: opacus"):
        assert part in text
