"""The machine under a measurement: what it is, and how much of it other work takes."""

import contextlib
import os
import pathlib
import platform
import re
import time
from typing import Any

_STAT = pathlib.Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy_seconds() -> float | None:
    """Seconds that all cores together have worked, or were withheld, since the machine's start.

    None where /proc/stat does not tell.
    """
    try:
        ticks = [int(field) for field in _STAT.read_text().split("\n", 1)[0].split()[1:]]
    except (OSError, ValueError):
        return None
    # user, nice, system, irq, softirq and steal: what a host takes from a guest is missing too.
    return sum(ticks[place] for place in (0, 1, 2, 5, 6, 7)) / _TICKS


def cpu_seconds(pid: int) -> float:
    """Seconds that a process's threads have worked; 0 where /proc does not tell."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def others(seconds: float = 1.0) -> float | None:
    """Cores that other processes keep busy, over so many seconds; stopped ones keep none.

    None where /proc/stat does not tell.
    """
    before, own, start = busy_seconds(), time.process_time(), time.monotonic()
    time.sleep(seconds)
    after = busy_seconds()
    if before is None or after is None:
        return None
    spent = after - before - (time.process_time() - own)
    return max(0.0, spent / (time.monotonic() - start))


def peak_bytes() -> int | None:
    """Largest resident set since `forget_peak` or the process's start; None if unknown."""
    # Not ru_maxrss, which a process inherits from the one that started it.
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else None
    return None


def forget_peak() -> bool:
    """Lets the peak start anew from what is resident now; whether the system can."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def describe() -> dict[str, Any]:
    """What a figure of time depends on beside the program."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        if found := re.search(r"model name\s*:\s*(.+)", text):
            model = found[1]
    return {
        "processor": model,
        "cores": cores(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "environment": {
            name: os.environ[name]
            for name in sorted(os.environ)
            if re.match(r"MALLOC_|GLIBC_TUNABLES|LD_PRELOAD|OMP_|XLA_FLAGS", name)
        },
    }
