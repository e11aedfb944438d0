"""Where a training goes on: its last good checkpoint, scratch, or before a loss was not finite."""

import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from absl import logging
from etils import epath

from bitdiff_jax.checkpoint import Checkpoints, restore_last_good
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import network
from bitdiff_jax.training import initial_weights, trouble
from bitdiff_jax.training.batches import batch_number
from bitdiff_jax.training.setup import Setup
from bitdiff_jax.training.state import TrainState

_SCRATCH: Mapping[str, str] = types.MappingProxyType({})
_ORIGIN = ("init", "licence")  # what checkpoints say of the weights that the run was started from


class Point(NamedTuple):
    """A point of a training from which it can go on."""

    step: int  # number of steps taken
    state: TrainState
    skipped: tuple[int, ...] = ()  # numbers of the batches that no step gets
    scored: bool = False  # whether the evaluation of this step is done
    origin: Mapping[str, str] = _SCRATCH  # of the weights that it was started from, if any


def last_point(
    setup: Setup,
    checkpoints: Checkpoints,
    below: int | None = None,
    *,
    init: epath.PathLike | None = None,
) -> Point:
    """The last good checkpoint, or the beginning. All processes must call it.

    Args:
        setup: the parts of the training.
        checkpoints: the checkpoints of the training.
        below: use only checkpoints of steps below this one; None uses all.
        init: trained weights that the training begins with; None is scratch.

    Raises:
        InputError: the checkpoints are of another model, or all of them are damaged; or `init`
            cannot be used.
    """
    found = restore_last_good(
        checkpoints,
        setup.abstract_state,
        check=lambda about: _check_resumable(about, setup.about, checkpoints.directory.parent),
        below=below,
    )
    if found is None:
        return Point(0, setup.init()) if init is None else _started_from(init, setup)
    step, state = found
    about = checkpoints.about(step)
    origin = {key: about[key] for key in _ORIGIN if key in about}
    return Point(step, state, tuple(about.get("skipped", ())), "scores" in about, origin)


def _started_from(init: epath.PathLike, setup: Setup) -> Point:
    """The beginning, with trained weights; tells what is kept of them."""
    found = initial_weights.kept(init, setup.model)
    if jax.process_index() == 0:
        print(found.report(), flush=True)
    state = initial_weights.put_into(setup.init(), setup.model, found.leaves)
    return Point(0, state, origin={"init": found.weights, "licence": found.loaded.licence})


def point_before(
    found: trouble.NonFinite,
    setup: Setup,
    checkpoints: Checkpoints,
    skipped: tuple[int, ...],
    init: epath.PathLike | None = None,
) -> Point:
    """Where to go on after a loss that was not finite, if `train.on_nonfinite` is 'skip'.

    That is the last good checkpoint before it, with the batches of `trouble.skip_range` taken out
    of the stream: the numbers of steps go on, and each step gets a later batch. A run that is
    interrupted and resumed skips the same batches. In either case the batch of the first bad step
    is written to `trouble/`.

    Args:
        found: the error that was raised.
        setup: the parts of the training.
        checkpoints: the checkpoints of the training.
        skipped: numbers of the batches that were skipped so far, ascending.
        init: trained weights that the training began with; None is scratch.

    Raises:
        InputError: `on_nonfinite` is 'stop', or more than `train.max_skipped` batches would be
            skipped; `found` is its cause.
    """
    config = setup.config.train
    checkpoints.wait()
    workdir = checkpoints.directory.parent
    first, last = trouble.skip_range(found.first, config.log_every, config.num_steps)
    numbers = [batch_number(step, skipped) for step in range(first, last + 1)]
    stream = setup.open_batches(numbers[0])
    path = trouble.dump(workdir, first, numbers[0], next(stream), setup.about["config"])
    if close := getattr(stream, "close", None):
        close()
    advice = (
        f"lower config.optimizer.learning_rate and resume from the last checkpoint in {workdir}"
    )
    if config.on_nonfinite == "stop":
        raise InputError(
            f"{found}; {advice}, or set config.train.on_nonfinite=skip; the batch is in {path}"
        ) from found
    skipped = tuple(sorted({*skipped, *numbers}))
    if len(skipped) > config.max_skipped:
        raise InputError(
            f"{found}, and to skip its batches would make {len(skipped)}, above "
            f"config.train.max_skipped={config.max_skipped}; {advice}"
        ) from found
    point = last_point(setup, checkpoints, below=first, init=init)
    if jax.process_index() == 0:
        print(
            f"{found}: going back to step {point.step} and skipping batches {numbers[0]} to "
            f"{numbers[-1]}; the first of them is in {path}",
            flush=True,
        )
    return point._replace(skipped=skipped)


# Settings of how the network computes rather than what: a run may change them when it is resumed.
_FREE = ("net.dtype", "net.remat", "net.fold", "net.attention_chunk")
_NETWORK = "net.implementation"  # may change too, among implementations of the same function
_BACKGROUND = "palette.background"


def _check_resumable(saved: dict[str, Any], wanted: dict[str, Any], workdir: epath.Path) -> None:
    """Refuses another model or optimizer; other images or more steps are allowed."""
    before, now = _settings(saved["config"]["model"]), _settings(wanted["config"]["model"])
    # From versions that had but these.
    before.setdefault(_NETWORK, "auto")
    before.setdefault(_BACKGROUND, False)
    free = set(_FREE)
    if network.is_unet(before[_NETWORK]) and network.is_unet(now[_NETWORK]):
        free.add(_NETWORK)
    options = [k for k in now if k.startswith("net.options.") and k not in before]
    changed = [k for k in (*before, *options) if k not in free and now.get(k) != before.get(k)]
    if changed:
        key = changed[0]
        said = "data" if key == _BACKGROUND else "config"
        how = "zero=background in data.train turns it on; " if key == _BACKGROUND else ""
        raise InputError(
            f"--workdir {workdir} holds a training with model.{key}={before.get(key)}, the {said} "
            f"says {now.get(key)}; {how}use that {said}, or another --workdir"
        )
    # Versions without the key had AdamW alone. The states of two optimizers have nothing in common.
    optimizer, name = (
        about["config"].get("optimizer", {}).get("name", "adamw") for about in (saved, wanted)
    )
    if optimizer != name:
        raise InputError(
            f"--workdir {workdir} holds a training with optimizer.name={optimizer}, the config "
            f"says {name}; use that config, or another --workdir"
        )
    if saved["fingerprint"] != wanted["fingerprint"]:
        logging.warning("The input is not the one that %s was trained on so far.", workdir)


def _settings(config: dict[str, Any], path: str = "") -> dict[str, Any]:
    """The values of a config by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found |= _settings(value, f"{path}{key}.")
        else:
            found[path + key] = value
    return found
