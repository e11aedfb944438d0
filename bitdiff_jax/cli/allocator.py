"""Lets glibc's malloc keep memory between the calls of a compiled program, on a CPU.

A program's temporary buffers come from malloc anew at each call. glibc takes large ones from the
kernel by mmap and gives them back when they are freed, so each call finds every page missing and
pays for a fault and for zeros that nobody reads. Told to keep what it has, it pays once. Where an
accelerator does the work, this is of no use, and many threads would wait for the one arena.
"""

import ctypes
import importlib.util
import os
from importlib import metadata

# Parameters of mallopt(3), from malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_VARIABLES = (
    "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
)  # fmt: skip


def only_cpu() -> bool:
    """Whether jax can have no device but the CPU; asked before it is imported, so without it.

    True if JAX_PLATFORMS says so, or if no plugin for anything else is installed.
    """
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms.strip().lower() == "cpu"
    if metadata.entry_points(group="jax_plugins"):
        return False
    return not any(importlib.util.find_spec(name) for name in ("libtpu", "jax_plugins"))


def keep_memory() -> bool:
    """Sets malloc to keep freed memory; call it before jax starts its threads.

    The process's resident set then stays at its peak. Nothing is done where the user has set
    malloc by its environment variables, or where the C library is not glibc.

    Returns:
        Whether it was set.
    """
    if "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    if any(name in os.environ for name in _VARIABLES):
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  other libraries may have a mallopt too
        mallopt = libc.mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: CDLL(None) on Windows
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    # One arena: the others are of 64 MiB at most, and take what is larger by mmap whatever is set.
    settings = ((_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0), (_ARENA_MAX, 1))
    return all([mallopt(parameter, value) == 1 for parameter, value in settings])
