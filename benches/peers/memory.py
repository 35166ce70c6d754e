"""Peak memory of a process while it works, above what it held before."""

import resource
import sys


def resident():
    """Bytes now; None where the system does not tell."""
    return _status("VmRSS")


def _status(key):
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":"))
    except (OSError, StopIteration):
        return None


def reset_peak():
    """From here on the peak is that of what follows. Without /proc it stays that of the whole life of the process."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_resident():
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_above():
    """A function: bytes of the peak since the last `reset_peak`, above what is resident now."""
    before = resident() or 0
    reset_peak()
    return lambda: max(peak_resident() - before, 0)
