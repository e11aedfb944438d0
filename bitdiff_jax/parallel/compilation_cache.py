"""Compiled programs kept on disk, so that only a machine's first run waits for the compiler."""

import contextlib
import os
import pathlib
import threading
from collections.abc import Callable, Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from bitdiff_jax import traces

ENVIRONMENT_VARIABLE = "BITDIFF_CACHE_DIR"
# Seconds: a program that compiles faster is not worth a file.
MIN_COMPILE_SECONDS = 1.0
# Seconds, between the time to load a program of this size from the cache (1 s) and to compile it
# (9 s and more, on two CPU cores).
SLOW_SECONDS = 3.0


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
    return folder


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
