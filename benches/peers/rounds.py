"""Times all peers of a task in turn, round by round, each in its own process: a machine's slow minute meets all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from program import Failed

HERE = Path(__file__).parent
LEAST = 3  # calls of a peer, even where they take longer than its budget; but one, where a single call does


class Child:
    """A process of `worker.py`."""

    def __init__(self, peer, task, options):
        self.environment = options.environment | ({} if options.device == "cpu" else {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"})
        python = options.pythons.get(peer.name, sys.executable)
        self.log = open(options.out / "logs" / f"{peer.name}-{task.name.replace('/', '-')}.log", "a")
        self.process = subprocess.Popen([python, str(HERE / "worker.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, env=self.environment, cwd=HERE)
        order = {"task": [task.kind, task.size], "module": peer.module, "inputs": str(options.inputs), "device": options.device,
                 "precision": options.precision, "threads": options.threads, "packages": peer.packages}
        self.failed = self.ask("start", order=order).get("error")

    def ask(self, what, **arguments):
        command = {"do": what} | (arguments if what == "start" else {"with": arguments})
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = self.process.wait()
            return {"error": f"its process ended with {'signal ' + str(-code) if code < 0 else 'code ' + str(code)}: see {self.log.name}"}
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


class PeerClock:
    """A peer, timed in a child that stays from round to round."""

    def __init__(self, peer, task, options):
        self.name, self.times, self.by_round, self.budget = peer.name, [], [], options.budget
        self.child = Child(peer, task, options)
        self.found = {"error": self.child.failed} if self.child.failed else self.child.ask("prepare", twice=peer.compiles_late, patience=2 * options.budget)

    def round(self, repeats):
        answer = self.child.ask("round", repeats=repeats, seconds=self.budget / LEAST)
        if "error" in answer:
            self.found["error"] = answer["error"]
            return
        self.times += answer["times"]
        self.by_round.append(float(np.median(answer["times"])))
        self.found["peak"] = answer["peak"]

    def end(self):
        self.child.end()


class ProgramClock:
    """gmatrix, timed in a process of its own in each round."""

    name = "gmatrix"

    def __init__(self, program, task):
        self.program, self.task, self.times, self.by_round, self.found = program, task, [], [], {}

    def round(self, repeats):
        try:
            times, peak = self.program.times(self.task, repeats)
        except (Failed, OSError) as error:
            self.found["error"] = str(error)
            return
        self.times += times
        self.by_round.append(float(np.median(times)))
        self.found["peak"] = max(peak, self.found.get("peak", 0))

    def end(self):
        pass


def summary(clock):
    if "error" in clock.found or not clock.times:
        return clock.found
    q = np.percentile(clock.times, [50, 25, 75, 0, 100]).tolist()
    names = ("median", "lower_quartile", "upper_quartile", "minimum", "maximum")
    return clock.found | {"seconds": dict(zip(names, q)), "calls": len(clock.times), "rounds": clock.by_round}


def enough(times, budget):
    return sum(times) > budget and (len(times) >= LEAST or max(times) > budget)


def time_task(task, peers, program, options, say):
    """Results by name of peer."""
    clocks = []
    for peer in peers:
        say(f"{task.name}: preparing {peer.name}")
        clocks.append(PeerClock(peer, task, options))
    if program:
        clocks.append(ProgramClock(program, task))
    load = os.getloadavg()[0]
    for turn in range(options.rounds):
        for place in range(len(clocks)):  # begun by another one each time
            clock = clocks[(place + turn) % len(clocks)]
            if "error" in clock.found or enough(clock.times, options.budget):
                continue
            say(f"{task.name}: round {turn + 1}/{options.rounds}, {clock.name}")
            clock.round(options.repeats)
    for clock in clocks:
        clock.end()
    results = {clock.name: summary(clock) for clock in clocks}
    return {"load_before": load, "results": results, "disagreement": disagreement(results)}


def disagreement(results):
    """Largest relative difference of the checks of two peers at full size: whether all have computed the same thing."""
    checks = [result["checks"] for result in results.values() if result.get("checks")]
    if len(checks) < 2:
        return None
    scale = {"trace": checks[0]["trace"], "frobenius": checks[0]["frobenius"], "corner": checks[0]["trace"]}
    return max((max(c[key] for c in checks) - min(c[key] for c in checks)) / scale[key] for key in scale)
