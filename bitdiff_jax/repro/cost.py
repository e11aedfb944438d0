"""Processor seconds of a piece of work, kept in its folder over all starts."""

import contextlib
import json
import pathlib
import threading
import time
from collections.abc import Iterator

from bitdiff_jax import files

FILE = "cost.json"
_KEY = "processor_seconds"
# Seconds between two writings: what a process that is killed does not count.
_INTERVAL = 20.0


@contextlib.contextmanager
def counted(folder: pathlib.Path) -> Iterator[None]:
    """Adds this process's processor seconds within the context to those of the folder."""
    before, start, over = seconds(folder), time.process_time(), threading.Event()

    def write() -> None:
        spent = before + time.process_time() - start
        files.write(folder / FILE, f"{json.dumps({_KEY: round(spent, 1)})}\n".encode())

    def tick() -> None:
        while not over.wait(_INTERVAL):
            write()

    thread = threading.Thread(target=tick, name="cost", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        write()


def seconds(folder: pathlib.Path) -> float:
    """Processor seconds that were spent on a folder; 0 for one that has none."""
    path = folder / FILE
    return float(files.read_json(path)[_KEY]) if path.exists() else 0.0
