"""Steps that several processes take together: where one of them fails none is left waiting."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import hosts

_T = TypeVar("_T")


def agreed(act: Callable[[], _T], alone: bool) -> _T:
    """What `act` gives this process; where one of them fails none is left waiting.

    Raises:
        InputError: on the others too, what one of them could not deal with.
    """
    value, failure = _attempt(act, alone)
    if not alone:
        _stop_if_any(hosts.all_gather(_told(failure)), failure)
    return value


def of_all(act: Callable[[], list[_T]], alone: bool) -> list[_T]:
    """What `act` gives all processes, one after the other; fails as `agreed`."""
    value, failure = _attempt(act, alone)
    if alone:
        return value
    shares = hosts.all_gather((value, _told(failure)))
    _stop_if_any([told for _, told in shares], failure)
    return [each for share_of_one, _ in shares for each in share_of_one]


def _attempt(act: Callable[[], _T], alone: bool) -> tuple[_T, Exception | None]:
    """The value, or why there is none; a process alone need not wait to fail."""
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
            raise InputError(f"process {process} could not evaluate its pictures: {each}")
