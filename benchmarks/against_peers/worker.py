"""One peer of `benchmarks.against_peers.paired`, in a process of its own; not started by hand.

    python -m benchmarks.against_peers.worker \
        '{"build": "module:function", "arguments": {...}, "warmup": 1}'

It sets the allocator as `bitdiff` does, calls the function, runs what that returned until it is
warm, and says so on its standard output in one line of JSON. For each line `COUNT SECONDS` that it
is then sent, it runs so many iterations, or more until so many seconds have passed, and answers
with the seconds of each. Whatever else writes to standard output goes to standard error.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.against_peers import machine
from bitdiff_jax.cli import allocator


class Ready(NamedTuple):
    """What a peer's function returns."""

    run: Callable[[], Any]  # one iteration, until its result is there
    notes: str = ""  # what was chosen on the way


def main() -> None:
    """Answers until its standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.loads(sys.argv[1])
    tuned = request["allocator"] and allocator.only_cpu() and allocator.keep_memory()

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    module, _, name = request["build"].partition(":")
    try:
        began = time.perf_counter()
        run, notes = getattr(importlib.import_module(module), name)(**request["arguments"])
        for _ in range(request["warmup"]):
            run()
    except Exception as error:  # told to the parent, which has the means to say which peer it was
        answer(error=f"{type(error).__name__}: {error}")
        raise
    start = machine.peak_bytes()
    machine.forget_peak()
    answer(notes=notes, start_seconds=time.perf_counter() - began, start_peak=start, tuned=tuned)
    for line in sys.stdin:
        count, least = line.split()
        seconds: list[float] = []
        while len(seconds) < int(count) or sum(seconds) < float(least):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        answer(seconds=seconds, peak=machine.peak_bytes())


if __name__ == "__main__":
    main()
