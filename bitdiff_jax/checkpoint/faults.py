"""Errors of saving and reading checkpoints, told in one line."""

import contextlib
import functools
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import jax
from etils import epath

from bitdiff_jax.errors import InputError


class Damaged(InputError):
    """A checkpoint on the disk differs from what was saved."""


@contextlib.contextmanager
def clear_errors(directory: epath.Path, verb: str) -> Iterator[None]:
    """Turns errors inside into an `InputError` of one line: it could not `verb` in `directory`."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError) as error:
        if "No space left" in str(error) or "RESOURCE_EXHAUSTED" in str(error):
            reason, remedy = "no space left", "free some and run the same command again"
        else:
            reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
            remedy = "check the path and its permissions"
        raise InputError(f"cannot {verb} checkpoints in {directory}: {reason}; {remedy}") from error


@contextlib.contextmanager
def as_damage(folder: epath.Path) -> Iterator[None]:
    """Turns errors of reading a step into `Damaged`, unless they have another cause."""
    try:
        yield
    except (InputError, MemoryError, jax.errors.JaxRuntimeError):
        raise
    except PermissionError as error:
        raise InputError(f"cannot read {folder}: {error}; check its permissions") from error
    except Exception as error:  # every format that orbax reads has errors of its own
        reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
        _hush_orphans()
        raise Damaged(
            f"checkpoint {folder} is damaged ({reason}); to resume the training sets it aside"
        ) from None  # the traceback would keep a part of the state


@functools.cache  # once
def _hush_orphans() -> None:
    """Silences errors of orbax's reads that nobody waits for after another one has failed.

    Python would print a page for every tensor, whenever it collects one of these reads.
    """
    before = sys.unraisablehook, sys.excepthook, threading.excepthook

    def is_orphan(error: BaseException | None) -> bool:
        text = str(error)
        return text == "Event loop is closed" or "reading array index" in text

    def unraisable(args: Any) -> None:
        if not is_orphan(args.exc_value):
            before[0](args)

    def uncaught(kind: Any, error: BaseException, traceback: Any) -> None:
        if not is_orphan(error):
            before[1](kind, error, traceback)

    def in_thread(args: Any) -> None:
        if not is_orphan(args.exc_value):
            before[2](args)

    sys.unraisablehook, sys.excepthook, threading.excepthook = unraisable, uncaught, in_thread
    warnings.filterwarnings("ignore", "coroutine '_read_array_index.* was never awaited")
    logging.getLogger("asyncio").addFilter(lambda r: "never retrieved" not in r.getMessage())
