"""A last line where jax ends the process by SIGABRT: what it was, and what to do."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterator

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)


@contextlib.contextmanager
def told(line: Callable[[], tuple[str, int | None]]) -> Iterator[None]:
    """While it is entered, an abort prints a line, below what the one who aborts has to say.

    Python's own handlers run between two lines of Python, hence never after an abort; so this one
    is given to the C library itself. Does nothing where there is none to give it to.

    Args:
        line: gives the line, and the exit code to leave with; None lets SIGABRT take its course.
    """

    def handle(number: int) -> None:
        text, code = line()
        # By its number: Python's own stream may be held by another thread.
        os.write(2, f"\n{text}\n".encode())
        if code is not None:
            os._exit(code)

    try:
        install = ctypes.CDLL(None).signal
    except (OSError, TypeError, AttributeError):  # TypeError: on Windows
        yield
        return
    install.argtypes, install.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    handler = _Handler(handle)
    before = install(signal.SIGABRT, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        install(signal.SIGABRT, before)
