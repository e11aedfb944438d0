"""Compiled programs kept on disk, so that only a machine's first run waits for the compiler."""

import contextlib
import functools
import os
import pathlib
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from bitdiff_jax import traces

ENVIRONMENT_VARIABLE = "BITDIFF_CACHE_DIR"
# Seconds: a program that compiles faster is not worth a file.
MIN_COMPILE_SECONDS = 1.0
# Seconds, between the time to load a program of this size from the cache (1 s) and to compile it
# (9 s and more, on two CPU cores).
SLOW_SECONDS = 3.0
# How JAX warns of an entry that it could not read or write; it leaves both as they are.
_TROUBLE = re.compile(
    r"Error (read|writ)ing persistent compilation cache entry for '([^']+)': (.*)"
)


def enable() -> pathlib.Path | None:
    """Turns on JAX's persistent compilation cache, and that of traces, for this process.

    The folder is that of the environment variable BITDIFF_CACHE_DIR, or `~/.cache/bitdiff_jax` if
    it is not set; if it is empty, the cache stays off. A folder that JAX was already told to use
    (JAX_COMPILATION_CACHE_DIR) is left as it is, and no traces are kept in it.

    Returns:
        The folder in use; None if the cache is off or the folder cannot be made. Programs are then
        compiled anew each time, and nothing else changes.
    """
    configured = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if configured:
        return pathlib.Path(configured)
    wanted = os.environ.get(ENVIRONMENT_VARIABLE)
    if wanted == "":
        return None
    try:
        folder = pathlib.Path(wanted or "~/.cache/bitdiff_jax").expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None
    if not os.access(folder, os.W_OK):
        return None
    # A program that was compiled before this call has made JAX decide that there is no cache.
    jax_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)
    traces.keep_in(folder / "traces")
    _tend(folder)
    return folder


def _tend(folder: pathlib.Path) -> None:
    """Has damaged entries of the cache removed, and told in a line, where JAX warns of them."""
    show = warnings.showwarning
    while isinstance(show, functools.partial):  # our own, of an earlier call
        show = show.keywords["otherwise"]
    warnings.showwarning = functools.partial(_show_warning, folder=folder, otherwise=show)


def _show_warning(
    message: Warning | str,
    *details: Any,
    folder: pathlib.Path,
    otherwise: Callable[..., None],
    **more: Any,
) -> None:
    trouble = _TROUBLE.match(str(message))
    if trouble is None:
        otherwise(message, *details, **more)
        return
    with contextlib.suppress(OSError):
        # Which of the entries of that name it is, is not said; they are but copies.
        for path in folder.glob(f"{trouble[2]}-*"):
            path.unlink(missing_ok=True)
    told = "could not be read; it is removed and made anew"
    if trouble[1] == "writ":
        told = f"could not be kept, and is compiled again the next time ({trouble[3]})"
    print(f"warning: a compiled program in {folder} {told}", file=sys.stderr)


@contextlib.contextmanager
def when_slow(notice: Callable[[], None] | None, seconds: float = SLOW_SECONDS) -> Iterator[None]:
    """Calls `notice` once, from another thread, if the block takes longer than `seconds`.

    Whether a program will come from the cache is not known beforehand; a long time shows that it
    did not.
    """
    if notice is None:
        yield
        return
    timer = threading.Timer(seconds, notice)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
