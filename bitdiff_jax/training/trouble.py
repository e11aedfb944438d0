"""Losses and gradients that are no longer finite: the first such step, and its batch."""

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
LOOK_EVERY = 100  # steps between two checks where nothing is logged


class NonFinite(InputError):
    """Training ran into nan or infinity.

    Attributes:
        first: number of the first step that was not finite.
        last: number of the step at which it was noticed.
    """

    def __init__(self, name: str, value: float, first: int, last: int):
        what = {"loss": "the loss", "grad_norm": "the norm of the gradient"}[name]
        super().__init__(f"{what} became {value} within steps {first} to {last}")
        self.first, self.last = first, last


class Watch:
    """Checks every step's loss and gradient norm, but fetches them only when asked to."""

    def __init__(self) -> None:
        self._unseen: list[tuple[int, dict[str, jax.Array]]] = []

    def note(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Keeps a step's metrics on the devices, without waiting for them."""
        self._unseen.append((step, {name: metrics[name] for name in _WATCHED}))

    def check(self) -> None:
        """Checks the steps since the last check; the result is the same on all processes.

        Raises:
            NonFinite: the loss or gradient norm of a step was not finite.
        """
        seen, self._unseen = jax.device_get(self._unseen), []
        for step, values in seen:
            for name in _WATCHED:
                if not math.isfinite(values[name]):
                    raise NonFinite(name, float(values[name]), int(step), int(seen[-1][0]))


class Trouble(NamedTuple):
    """The contents of a file of `dump`."""

    step: int  # number of the first step that was not finite
    batch_number: int  # number of its batch in the stream, counted from 1
    batch: dict[str, np.ndarray]  # this process's rows of the batch
    config: dict[str, Any]


def dump(
    workdir: epath.PathLike,
    step: int,
    batch_number: int,
    batch: dict[str, np.ndarray],
    config: dict[str, Any],
) -> epath.Path:
    """Writes a step's batch to `trouble/step_STEP.process_P.npz`, which `load` reads.

    Together with the last checkpoint below `step` and the config, it is all that the step depends
    on.
    """
    about = {"step": step, "batch_number": batch_number, "config": config}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{_ABOUT: np.asarray(json.dumps(about))}, **batch)  # type: ignore[arg-type]
    folder = files.make_folder(epath.Path(workdir) / "trouble", "--workdir")
    path = folder / f"step_{step:08d}.process_{jax.process_index()}.npz"
    files.write(path, buffer.getvalue())
    return path


def load(path: epath.PathLike) -> Trouble:
    """Reads a file of `dump`.

    Raises:
        InputError: the file is of another kind.
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

    The end is the next multiple of `log_every` (of `LOOK_EVERY` where that is 0), because there an
    unbroken run notices it. So runs that were interrupted at different steps skip the same batches.
    """
    every = log_every or LOOK_EVERY
    return first, min(-(-first // every) * every, total)
