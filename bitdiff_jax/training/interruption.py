"""Signals that end a training in good order: SIGTERM, SIGINT (Ctrl-C), SIGUSR1.

The first one lets the step under way end, on all processes the same one; the loop then saves,
waits for the disk and raises `Interrupted`, which the command line turns into exit code 75
(EX_TEMPFAIL: run the same command again). A second one ends the process at once, with 128 + its
number, if it comes a second later or more: some programs, `timeout` among them, send a signal both
to the process and to its group.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from bitdiff_jax.parallel.vote import Vote

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_SAME_SECONDS = 1.0  # what comes within this time of the first signal is the same request


class Interruption:
    """Listens for signals while it is entered, if that is in the main thread.

    Jax has a handler of its own for SIGTERM where there are several processes, and only there; this
    one replaces it. What reached jax before, or by another way, counts as well.

    Args:
        mesh: on which the processes tell each other.
    """

    def __init__(self, mesh: Mesh):
        self._vote = Vote(mesh)
        self._first: signal.Signals | None = None
        self._when = 0.0
        self._restore: list[Any] = []

    @property
    def reason(self) -> str:
        """What the signal was, in words."""
        return self._first.name if self._first else "a signal to another process"

    def reached(self, step: int) -> bool:
        """Whether to stop after this step: the same answer on all processes.

        All of them must ask at every step. Alone, a process hears of its signal at once, among
        others two steps later.
        """
        voted = self._vote(self._first is not None)
        # Not `or`: both must be asked by all.
        return voted | _jax_says_so(step)

    def stop_waiting(self, *_: object) -> None:
        """Raises `GivenUp` if a signal came and no other process would be left alone by that."""
        if self._first is not None and jax.process_count() == 1:
            raise GivenUp

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is not threading.main_thread():
            return self
        # Python runs handlers between two lines of Python, so not while XLA compiles. It writes to
        # this socket at once, and a thread may then act.
        ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        previous_fd = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        previous = {number: signal.signal(number, _do_nothing) for number in SIGNALS}
        thread = threading.Thread(target=self._listen, args=(ours,), name="signals", daemon=True)
        thread.start()
        self._restore = [previous_fd, previous, thread]
        return self

    def __exit__(self, *_: object) -> None:
        if not self._restore:
            return
        previous_fd, previous, thread = self._restore
        for number, handler in previous.items():
            # None: it was not set from Python, and cannot be again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(previous_fd)
        self._theirs.close()  # the thread reads the end of the stream
        thread.join()
        self._restore = []

    def _listen(self, ours: socket.socket) -> None:
        with ours:
            while data := ours.recv(16):
                for number in data:
                    if number in SIGNALS:
                        self._receive(signal.Signals(number))

    def _receive(self, number: signal.Signals) -> None:
        if self._first is not None:
            if time.monotonic() - self._when < _SAME_SECONDS:
                return
            os._exit(128 + number)
        self._first, self._when = number, time.monotonic()
        text = f"{number.name}: saving after this step; a second signal stops at once"
        print(f"\n{text}", file=sys.stderr, flush=True)


class GivenUp(Exception):
    """Something was left undone because of a signal."""


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Worker processes started inside never see SIGINT and SIGUSR1, which whole groups are sent.

    A signal that comes meanwhile is heard afterwards. SIGTERM still reaches them: it is how
    they are ended.
    """
    sent_to_groups = (signal.SIGINT, signal.SIGUSR1)
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, sent_to_groups)
    try:
        # Python starts it with the first worker, and then unblocks SIGINT too early.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, sent_to_groups)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame  # the thread deals with it


def _jax_says_so(step: int) -> bool:
    try:
        return multihost_utils.reached_preemption_sync_point(step)
    except RuntimeError:  # jax_enable_preemption_service is off
        return False
