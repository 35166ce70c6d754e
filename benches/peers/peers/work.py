"""What a peer makes of a task."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Work:
    call: Callable  # does the task once and returns its answer, perhaps still being computed
    numbers: Callable  # answer -> {name: NumPy array}, as `agreement` compares it
    wait: Callable = lambda answer: answer  # until the answer is there
    choices: dict = field(default_factory=dict)  # block sizes and the like that were tried out
    memory: Callable = lambda: 0  # peak bytes of processes that the work itself has started
