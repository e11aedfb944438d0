"""Makes many shards, in several processes or in this one."""

import contextlib
import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import connection
from typing import Any, Protocol

from bitdiff_jax.data.records import folder_layout, shards
from bitdiff_jax.errors import InputError


class Opener(Protocol):
    """Opens the readers of a data set; goes to each process, so it must pickle."""

    def open(self, split: str) -> shards.Reader:
        """The reader of a split."""


def make_shards(
    opener: Opener,
    todo: Sequence[folder_layout.Shard],
    settings: shards.Settings,
    *,
    workers: int,
    report: Callable[[], None],
) -> None:
    """Makes shards.

    Each process opens readers of its own, takes a shard at a time and ends by itself when this
    process is gone, however it ended.

    Args:
        opener: opens the readers.
        todo: the shards.
        settings: of all of them.
        workers: processes; 0 works in this one.
        report: called in this process, once for each picture.

    Raises:
        InputError: what `shards.make` says, or a process that was killed.
    """
    if not workers or not todo:
        work = _Work(opener, settings)
        for shard in todo:
            work(shard, report)
        return
    # Not forked: that would copy the locks of whatever threads this process has.
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(todo))
    busy: dict[Any, tuple[Any, folder_layout.Shard]] = {}
    processes = []
    try:
        for _ in range(min(workers, len(todo))):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, opener, settings), daemon=True)
            process.start()
            processes.append(process)
            theirs.close()
            _hand_over(ours, process, waiting, busy)
        while busy:
            for pipe in connection.wait(list(busy)):
                process, shard = busy[pipe]
                kind, text = _receive(pipe, process, shard)
                if kind == "picture":
                    report()
                elif kind == "done":
                    _hand_over(pipe, process, waiting, busy)
                elif kind == "refused":
                    raise InputError(text)
                else:
                    raise RuntimeError(f"while making {shard.file}:\n{text}")
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _hand_over(pipe: Any, process: Any, waiting: list[folder_layout.Shard], busy: dict) -> None:
    if waiting:
        busy[pipe] = process, waiting.pop()
        # A process that is gone already shows when it is listened to.
        with contextlib.suppress(OSError):
            pipe.send(busy[pipe][1])
    else:
        del busy[pipe]
        pipe.close()


def _receive(pipe: Any, process: Any, shard: folder_layout.Shard) -> tuple[str, str]:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        process.join()
        raise InputError(
            f"the process that made {shard.file} was ended (exit code {process.exitcode}), perhaps "
            "for want of memory; run the same command again, with fewer --workers"
        ) from None


class _Work:
    """Keeps the reader of the split it is at."""

    def __init__(self, opener: Opener, settings: shards.Settings):
        self._opener = opener
        self._settings = settings
        self._split: str | None = None

    def __call__(self, shard: folder_layout.Shard, report: Callable[[], None]) -> None:
        if shard.split != self._split:
            self._reader = self._opener.open(shard.split)
            self._split = shard.split
        shards.make(self._reader, shard, self._settings, report)


class _Alone(Exception):
    """The parent has gone: there is nobody to work for."""


def _serve(pipe: Any, opener: Opener, settings: shards.Settings) -> None:
    """The life of a process: shards come through the pipe, news go back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides

    def tell(kind: str, text: str = "") -> None:
        try:
            pipe.send((kind, text))
        except OSError:
            raise _Alone from None

    work = _Work(opener, settings)
    with contextlib.suppress(_Alone):
        while True:
            try:
                shard = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                work(shard, lambda: tell("picture"))
            except InputError as error:
                tell("refused", str(error))
            except _Alone:
                return
            except Exception:
                tell("failed", traceback.format_exc())
            else:
                tell("done")
