"""What reaches a user's terminal of all that is logged: our own messages, and others' errors."""

import logging
import os
import pathlib

from absl import logging as absl_logging

from bitdiff_jax.errors import InputError

ENVIRONMENT_VARIABLE = "BITDIFF_LOG"
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PACKAGE = str(pathlib.Path(__file__).resolve().parents[1])


def set_up() -> None:
    """Sends log records to stderr; of other libraries (orbax, grain, jax, ...) errors alone.

    The environment variable BITDIFF_LOG asks for more of everything: 'warning', 'info' or 'debug'.

    Raises:
        InputError: it is something else.
    """
    name = os.environ.get(ENVIRONMENT_VARIABLE, "").lower()
    if name and name not in _LEVELS:
        raise InputError(f"${ENVIRONMENT_VARIABLE} is {name!r}; use one of {', '.join(_LEVELS)}")
    absl_logging.use_absl_handler()
    handler = absl_logging.get_absl_handler()
    for old in [f for f in handler.filters if isinstance(f, _Filter)]:
        handler.removeFilter(old)
    if name:
        absl_logging.set_verbosity(_LEVELS[name] if name != "debug" else absl_logging.DEBUG)
    handler.addFilter(_Filter(_LEVELS[name] if name else logging.ERROR))


class _Filter(logging.Filter):
    """Passes our own records, and those of others from a level on."""

    def __init__(self, level: int):
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        if record.pathname.startswith(_PACKAGE):
            return True
        # What orbax logs as an error it raises as well, and we tell it in a line.
        if "orbax" in record.pathname and record.levelno >= logging.ERROR:
            return self._level < logging.ERROR
        return record.levelno >= self._level
