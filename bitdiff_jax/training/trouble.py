"""A loss or gradient that is no longer finite: where it began, and the batch it began with."""

import io
import json
import math
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

_WATCHED = ("loss", "grad_norm")
_ABOUT = "about_json"
LOOK_EVERY = 100  # steps, where nothing is logged


class NonFinite(InputError):
    """Training ran into nan or infinity.

    Attributes:
        first: the step at which it began; those before it are sound.
        last: the step at which it was noticed.
    """

    def __init__(self, name: str, value: float, first: int, last: int):
        what = {"loss": "the loss", "grad_norm": "the norm of the gradient"}[name]
        super().__init__(f"{what} became {value} within steps {first} to {last}")
        self.first, self.last = first, last


class Watch:
    """Looks at every step's loss and gradient norm, but fetches them only when asked to."""

    def __init__(self) -> None:
        self._unseen: list[tuple[int, dict[str, jax.Array]]] = []

    def note(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Remembers what is on the devices, without waiting for it."""
        self._unseen.append((step, {name: metrics[name] for name in _WATCHED}))

    def check(self) -> None:
        """Looks at the steps since the last look; the same on all processes.

        Raises:
            NonFinite: one was not finite.
        """
        seen, self._unseen = jax.device_get(self._unseen), []
        for step, values in seen:
            for name in _WATCHED:
                if not math.isfinite(values[name]):
                    raise NonFinite(name, float(values[name]), int(step), int(seen[-1][0]))


class Trouble(NamedTuple):
    """What `dump` wrote."""

    step: int  # the first that was not finite
    batch_number: int  # which batch of the stream it was given, from 1
    batch: dict[str, np.ndarray]  # this process's rows
    config: dict[str, Any]


def dump(
    workdir: epath.PathLike,
    step: int,
    batch_number: int,
    batch: dict[str, np.ndarray],
    config: dict[str, Any],
) -> epath.Path:
    """Writes `trouble/step_STEP.process_P.npz`; see `load`.

    With the last checkpoint below `step` and the config it is all that the step depends on.
    """
    about = {"step": step, "batch_number": batch_number, "config": config}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{_ABOUT: np.asarray(json.dumps(about))}, **batch)  # type: ignore[arg-type]
    folder = files.make_folder(epath.Path(workdir) / "trouble", "--workdir")
    path = folder / f"step_{step:08d}.process_{jax.process_index()}.npz"
    files.write(path, buffer.getvalue())
    return path


def load(path: epath.PathLike) -> Trouble:
    """Reads what `dump` wrote.

    Raises:
        InputError: it is another kind of file.
    """
    try:
        with np.load(io.BytesIO(epath.Path(path).read_bytes()), allow_pickle=False) as file:
            arrays = dict(file)
        about = json.loads(str(arrays.pop(_ABOUT)))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a batch that a training left behind ({error})") from error
    return Trouble(batch=arrays, **about)


def skip_range(first: int, log_every: int, total: int) -> tuple[int, int]:
    """The steps whose batches are skipped: from the first bad one to the end of its interval.

    The end is the next multiple of `log_every` (of `LOOK_EVERY` where that is 0), where an unbroken
    run notices, whatever has interrupted this one since; so runs that were interrupted elsewhere
    skip the same batches.
    """
    every = log_every or LOOK_EVERY
    return first, min(-(-first // every) * every, total)
