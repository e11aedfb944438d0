"""A time limit that ends a training as a signal would: saved, and ready to go on."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

# Seconds between reminders: a training that is being set up does not listen yet.
_REMIND = 5.0


class OutOfTime(Exception):
    """The time is over; what was done is saved, and the same command goes on."""


class Deadline:
    """The end of the time that a command may take.

    Args:
        minutes: from now on; None for no limit.
    """

    def __init__(self, minutes: float | None):
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def check(self) -> None:
        """Raises `OutOfTime` once the time is over."""
        if self._end is not None and time.monotonic() >= self._end:
            raise OutOfTime

    @contextlib.contextmanager
    def signalled(self) -> Iterator[None]:
        """Context in which this process gets SIGUSR1 when the time is over.

        A training takes it as the request to save and stop; whatever else runs does not notice it.
        Only in the main thread, where signals can be handled.
        """
        if self._end is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        over = threading.Event()

        def remind() -> None:
            wait = max(0.0, (self._end or 0.0) - time.monotonic())
            while not over.wait(wait):
                os.kill(os.getpid(), signal.SIGUSR1)
                wait = _REMIND

        previous: Any = signal.signal(signal.SIGUSR1, lambda number, frame: None)
        thread = threading.Thread(target=remind, name="deadline", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            signal.signal(signal.SIGUSR1, previous)
