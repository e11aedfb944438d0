"""The last checkpoint that all processes find good; later ones are moved aside."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import jax

from bitdiff_jax.checkpoint.faults import Damaged, clear_errors
from bitdiff_jax.checkpoint.store import Checkpoints
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import vote

QUARANTINE = "quarantine"
_GOOD, _DAMAGED, _REFUSED = range(3)
_TRIES = 2  # one fault of the network must not cost a checkpoint


def restore_last_good(
    checkpoints: Checkpoints,
    abstract_state: Any,
    *,
    check: Callable[[dict[str, Any]], None] = lambda about: None,
    below: int | None = None,
) -> tuple[int, Any] | None:
    """The last step that is whole, and its state. All processes must call it.

    Later steps are moved to `quarantine/` beside the folder of checkpoints, so that training can
    save those steps again; nothing is deleted.

    Args:
        checkpoints: the checkpoints of the run.
        abstract_state: tree of shapes with shardings, as in `Checkpoints.restore`.
        check: function that is called with a step's `about` before its state is read; it raises
            InputError for a run that must not go on.
        below: use only steps below this one; None uses all.

    Returns:
        The step and its state; None if there is no step at all, or none below `below`.

    Raises:
        InputError: `check` raised it, the shapes differ, or every step is damaged (all of them then
            stay where they are).
    """
    steps = vote.from_first(sorted(checkpoints.steps(), reverse=True))
    later = [step for step in steps if below is not None and step >= below]
    damage = None
    for step in steps[len(later) :]:
        state, error = _try(checkpoints, step, abstract_state, check)
        if error is None:
            _quarantine(checkpoints, later)
            return step, state
        del state  # before the next one is read
        logging.warning("%s", error)
        damage = damage or error
        later.append(step)
    if damage:
        raise InputError(
            f"none of the {len(steps)} checkpoints in {checkpoints.directory} is whole; restore "
            f"them from a copy, or use another --workdir. The last one: {damage}"
        )
    _quarantine(checkpoints, later)
    return None


def _try(
    checkpoints: Checkpoints,
    step: int,
    abstract_state: Any,
    check: Callable[[dict[str, Any]], None],
) -> tuple[Any, Damaged | None]:
    """Returns the state or, the same on all processes, the reason why it cannot be used."""
    state: Any = None
    sums: dict[str, int] = {}
    error: Damaged | None = None
    for _ in range(_TRIES):
        try:
            check(checkpoints.about(step))
            (state, sums), error = checkpoints.read(step, abstract_state), None
            break
        except Damaged as damage:
            error = damage
        except InputError:
            vote.worst(_REFUSED)
            raise
    outcome = vote.worst(_DAMAGED if error else _GOOD)
    if outcome == _REFUSED:
        raise InputError(f"another process cannot resume from {checkpoints.directory}; see there")
    if outcome == _GOOD:
        try:
            checkpoints.verify(step, state, sums)  # by all processes: it computes on all devices
        except Damaged as damage:
            error = damage
        outcome = vote.worst(_DAMAGED if error else _GOOD)
    if outcome == _DAMAGED and error is None:
        error = Damaged(f"checkpoint {checkpoints.directory / str(step)}: damaged to others")
    return state, error


def _quarantine(checkpoints: Checkpoints, steps: Sequence[int]) -> None:
    if not steps:
        return
    if jax.process_index() == 0:
        target = checkpoints.directory.parent / QUARANTINE
        with clear_errors(checkpoints.directory, "move"):
            target.mkdir(parents=True, exist_ok=True)
            for step in steps:
                taken = sum(path.name.split(".")[0] == str(step) for path in target.iterdir())
                place = target / (f"{step}.{taken}" if taken else str(step))
                (checkpoints.directory / str(step)).rename(place)
                logging.warning("Step %d was moved to %s.", step, place)
    vote.worst(_GOOD)  # a barrier: no process reads the folder before the steps are moved
    checkpoints.reload()
