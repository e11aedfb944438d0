"""Actions that several processes take together: if one of them fails, none is left waiting."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import hosts

_T = TypeVar("_T")


def agreed(act: Callable[[], _T], alone: bool) -> _T:
    """Calls `act` on every process; if it fails on one of them, all of them raise an error.

    Args:
        act: function without arguments.
        alone: whether only this process calls it, so that it need not wait for others.

    Returns:
        The result of `act` on this process.

    Raises:
        InputError: `act` failed on another process; its own error is raised where it failed.
    """
    value, failure = _attempt(act, alone)
    if not alone:
        _stop_if_any(hosts.all_gather(_told(failure)), failure)
    return value


def of_all(act: Callable[[], list[_T]], alone: bool) -> list[_T]:
    """The lists that `act` returns on all processes, joined in their order; fails like `agreed`."""
    value, failure = _attempt(act, alone)
    if alone:
        return value
    shares = hosts.all_gather((value, _told(failure)))
    _stop_if_any([told for _, told in shares], failure)
    return [each for share_of_one, _ in shares for each in share_of_one]


def _attempt(act: Callable[[], _T], alone: bool) -> tuple[_T, Exception | None]:
    """The value, or the error instead of it; a single process raises its error at once."""
    value: Any = None
    try:
        value = act()
    except Exception as error:
        if alone:
            raise
        return value, error
    return value, None


def _told(failure: Exception | None) -> str | None:
    return None if failure is None else f"{type(failure).__name__}: {failure}"


def _stop_if_any(told: Sequence[str | None], failure: Exception | None) -> None:
    if failure is not None:
        raise failure
    for process, each in enumerate(told):
        if each:
            raise InputError(f"process {process} could not evaluate its images: {each}")
