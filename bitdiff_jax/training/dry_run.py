"""A training up to its first step: nothing is compiled and nothing is written."""

import os
import pathlib

import ml_collections
from etils import epath

from bitdiff_jax.checkpoint import Checkpoints
from bitdiff_jax.errors import InputError
from bitdiff_jax.training import expectation, initial_weights
from bitdiff_jax.training.setup import prepare


def dry_run(
    config: ml_collections.ConfigDict, workdir: epath.PathLike, init: epath.PathLike | None = None
) -> None:
    """Checks the settings, opens the data, reads one batch and prints what to expect.

    Args:
        config: a config, as for `loop.train`.
        workdir: the run's folder. From its checkpoints follows the step that a training would go on
            from.
        init: trained weights to start from, as for `loop.train`.

    Raises:
        InputError: a training would stop before its first step, for the same reason.
    """
    _check_place(workdir)
    setup = prepare(config)
    step = 0
    if (epath.Path(workdir).expanduser() / "checkpoints").is_dir():
        with Checkpoints(workdir, create=False) as checkpoints:
            step = checkpoints.latest_step() or 0
    if init is not None and not step:
        print(initial_weights.kept(init, setup.model).report())
    stream = setup.open_batches(step + 1)
    batch = next(stream)
    if close := getattr(stream, "close", None):
        close()
    sizes = ", ".join(f"{name} {value.dtype}{list(value.shape)}" for name, value in batch.items())
    print(f"trained on: {setup.about['trained_on']}")
    print(f"one batch was read; its arrays are {sizes}")
    expectation.tell(setup, step)
    print(
        f"{workdir}: a training would {f'resume at step {step}' if step else 'start'} there; "
        "nothing was written"
    )


def _check_place(workdir: epath.PathLike) -> None:
    """Checks that a folder of this name could be made on this machine; a bucket is not checked."""
    if "://" in os.fspath(workdir):
        return
    place = pathlib.Path(workdir).expanduser().absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise InputError(f"--workdir {workdir}: is a file or inside one; name a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"--workdir {workdir}: {place} cannot be written to; name another folder")
