"""Signals that end a training in good order: SIGTERM, SIGINT (Ctrl-C), SIGUSR1.

The first signal lets the step under way end, the same one on all processes. The loop then saves,
waits for the disk and raises `Interrupted`, which the command line turns into exit code 75
(EX_TEMPFAIL: run the same command again). A second signal, if it comes a second later or more, ends
the process at once with exit code 128 + its number. An earlier one counts as the same request,
because some programs, such as `timeout`, send a signal both to the process and to its group.
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
_SAME_SECONDS = 1.0  # signals within this time of the first one are the same request


class Interruption:
    """Listens for signals while it is entered, if that is in the main thread.

    With several processes jax has a handler of its own for SIGTERM; this one replaces it. A signal
    that reached jax before, or in another way, counts as well.

    Args:
        mesh: the mesh on which the processes tell each other of a signal.
    """

    def __init__(self, mesh: Mesh):
        self._vote = Vote(mesh)
        self._first: signal.Signals | None = None
        self._when = 0.0
        self._restore: list[Any] = []

    @property
    def reason(self) -> str:
        """The signal in words."""
        return self._first.name if self._first else "a signal to another process"

    def reached(self, step: int) -> bool:
        """Whether to stop after this step: the same answer on all processes.

        All of them must ask at every step. A single process gets the answer at once, several of
        them get it two steps later.
        """
        voted = self._vote(self._first is not None)
        # Not `or`, because all processes must ask for both.
        return voted | _jax_says_so(step)

    def stop_waiting(self, *_: object) -> None:
        """Raises `GivenUp` if a signal came and no other process would wait for this one."""
        if self._first is not None and jax.process_count() == 1:
            raise GivenUp

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is not threading.main_thread():
            return self
        # Python runs handlers between two lines of Python, so not while XLA compiles. It writes to
        # this socket at once, so that a thread can act.
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
            # None: the handler was not set from Python, and cannot be restored.
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
    """Work was left undone because of a signal."""


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Keeps SIGINT and SIGUSR1, which are sent to whole groups, from workers started inside.

    A signal that comes meanwhile is handled afterwards. SIGTERM still reaches the workers, since it
    is how they are ended.
    """
    sent_to_groups = (signal.SIGINT, signal.SIGUSR1)
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, sent_to_groups)
    try:
        # Python starts this with the first worker, and then unblocks SIGINT too early.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, sent_to_groups)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame  # the thread handles the signal


def _jax_says_so(step: int) -> bool:
    try:
        return multihost_utils.reached_preemption_sync_point(step)
    except RuntimeError:  # jax_enable_preemption_service is off
        return False
