"""A last line of text where jax ends the process by SIGABRT: the cause, and what to do."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterator

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)


@contextlib.contextmanager
def told(line: Callable[[], tuple[str, int | None]]) -> Iterator[None]:
    """Context in which an abort of the process prints a line, below the aborting library's text.

    Python's own handlers run between two lines of Python, hence never after an abort; so this one
    is given to the C library itself. It does nothing on platforms where that is not possible.

    Args:
        line: function that returns the line and the exit code of the process; with None as exit
            code the process ends by SIGABRT.
    """

    def handle(number: int) -> None:
        text, code = line()
        # By its file number, because another thread may hold Python's own stream.
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
