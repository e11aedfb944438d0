"""Our own messages and others' errors reach the terminal; the rest when it is asked for."""

import logging

import pytest
from absl import logging as absl_logging

from bitdiff_jax.cli import logs
from bitdiff_jax.errors import InputError


@pytest.fixture(autouse=True)
def _as_before():
    verbosity = absl_logging.get_verbosity()
    yield
    absl_logging.set_verbosity(verbosity)
    handler = absl_logging.get_absl_handler()
    for each in list(handler.filters):
        handler.removeFilter(each)


def passes(pathname, level):
    record = logging.LogRecord("any", level, pathname, 1, "text", None, None)
    return bool(absl_logging.get_absl_handler().filter(record))


OURS = logs.__file__
ORBAX, GRAIN = "/site-packages/orbax/checkpoint/manager.py", "/site-packages/grain/read.py"


@pytest.mark.parametrize(
    ("asked", "pathname", "level", "expected"),
    [
        ("", OURS, logging.WARNING, True),
        ("", OURS, logging.INFO, True),
        ("", ORBAX, logging.WARNING, False),
        ("", ORBAX, logging.ERROR, False),  # it is raised, too
        ("", GRAIN, logging.WARNING, False),
        ("", GRAIN, logging.ERROR, True),
        ("warning", ORBAX, logging.WARNING, True),
        ("warning", ORBAX, logging.ERROR, True),
        ("warning", GRAIN, logging.INFO, False),
        ("INFO", GRAIN, logging.INFO, True),
        ("debug", GRAIN, logging.DEBUG, True),
    ],
)
def test_who_is_heard(monkeypatch, asked, pathname, level, expected):
    monkeypatch.setenv(logs.ENVIRONMENT_VARIABLE, asked)
    logs.set_up()
    logs.set_up()  # the second time as the first
    assert passes(pathname, level) is expected


def test_another_level_is_refused(monkeypatch):
    monkeypatch.setenv(logs.ENVIRONMENT_VARIABLE, "loud")
    with pytest.raises(InputError, match=r"\$BITDIFF_LOG is 'loud'; use one of debug, info"):
        logs.set_up()
