"""Checkpoints on disk or in a bucket; the only file that knows orbax.

A run's folder holds `checkpoints/STEP/{state, about}`: the training state, and a JSON of the
config, the kind of pictures it was trained on and a fingerprint of its input. A step is written
under a temporary name and renamed at the end, so a killed process leaves the earlier steps whole.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp
from etils import epath

from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel.partition import path_name

_SUBDIR = "checkpoints"


class Checkpoints:
    """The checkpoints of one run. Use as a context manager: leaving waits for pending writes."""

    def __init__(self, workdir: epath.PathLike, keep: int = 2, create: bool = True):
        path = os.fspath(workdir)
        # Orbax refuses relative paths, and only when it writes; those with a scheme are absolute.
        if "://" not in path:
            path = os.path.abspath(os.path.expanduser(path))
        self.directory = epath.Path(path) / _SUBDIR
        policies = ocp.checkpoint_managers
        with _clear_errors(self.directory, "write to"):
            self._manager = ocp.CheckpointManager(
                self.directory,
                options=ocp.CheckpointManagerOptions(
                    create=create,
                    # The loop decides when to save; the manager decides what to keep.
                    save_decision_policy=policies.FixedIntervalPolicy(1),
                    preservation_policy=policies.LatestN(keep),
                ),
            )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with _clear_errors(self.directory, "write to"):
                self._manager.wait_until_finished()
        finally:
            self._manager.close()

    def latest_step(self) -> int | None:
        """The last complete step, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, about: dict[str, Any]) -> None:
        """Saves in the background; an error of an earlier save surfaces here.

        Args:
            step: number of the step; saving one that exists already does nothing.
            state: pytree of arrays.
            about: what `JSON` can hold; see `describe`.
        """
        if step in self._manager.all_steps():
            return
        with _clear_errors(self.directory, "write to"):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeSave(state), about=ocp.args.JsonSave(about)
                ),
            )

    def about(self, step: int) -> dict[str, Any]:
        """The JSON that was saved with a step."""
        with _clear_errors(self.directory, "read"):
            return self._manager.restore(
                step, args=ocp.args.Composite(about=ocp.args.JsonRestore())
            )["about"]

    def restore(self, step: int, abstract_state: Any) -> Any:
        """The state of a step.

        Args:
            step: a step that exists.
            abstract_state: tree of `jax.ShapeDtypeStruct`s with the shardings wanted here; those
                at saving time do not matter. A subset of the entries, such as {'ema_params': ...},
                reads only these.

        Raises:
            InputError: the shapes there are others, or the files cannot be read.
        """
        with _clear_errors(self.directory, "read"):
            saved = self._shapes(step)
            if isinstance(abstract_state, dict):
                saved = {name: saved[name] for name in abstract_state}
            _check_shapes(saved, abstract_state, self.directory)
            return self._manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeRestore(
                        item=abstract_state,
                        restore_args=ocp.checkpoint_utils.construct_restore_args(abstract_state),
                        partial_restore=True,
                    )
                ),
            )["state"]

    def restore_part(self, step: int, part: str, abstract: Any) -> Any:
        """One entry of the state, such as 'ema_params', without reading the others."""
        return self.restore(step, {part: abstract})[part]

    def _shapes(self, step: int) -> Any:
        # The manager's own item_metadata knows nothing of a run that it has only opened to read.
        return ocp.StandardCheckpointHandler().metadata(self.directory / str(step) / "state").tree


def describe(config: ml_collections.ConfigDict, fingerprint: str, trained_on: str) -> dict:
    """What is saved beside the state.

    Args:
        config: the whole config.
        fingerprint: of the input pipeline.
        trained_on: the kind of pictures, for whoever uses the checkpoint.
    """
    return {
        "config": json.loads(config.to_json_best_effort()),
        "fingerprint": fingerprint,
        "trained_on": trained_on,
    }


def open_for_reading(workdir: epath.PathLike) -> tuple[Checkpoints, int]:
    """The checkpoints of a run and its last step.

    Raises:
        InputError: the folder does not exist or holds no complete checkpoint.
    """
    directory = epath.Path(workdir)
    if directory.name == _SUBDIR:
        directory = directory.parent
    if not (directory / _SUBDIR).is_dir():
        raise InputError(
            f"checkpoint: {workdir} holds no '{_SUBDIR}' folder; give the --workdir of a training"
        )
    checkpoints = Checkpoints(directory, create=False)
    step = checkpoints.latest_step()
    if step is None:
        checkpoints.__exit__()
        raise InputError(
            f"checkpoint: {directory / _SUBDIR} holds no complete step; train for longer"
        )
    return checkpoints, step


def _check_shapes(saved: Any, wanted: Any, directory: epath.Path) -> None:
    """Orbax would pad or cut where shapes differ; a wrong model must not load in silence."""

    def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        return {path_name(p): tuple(x.shape) for p, x in leaves if hasattr(x, "shape")}

    have, want = shapes(saved), shapes(wanted)
    for name in sorted(have.keys() | want.keys()):
        if have.get(name) != want.get(name):
            raise InputError(
                f"checkpoint {directory} is of another model: {name} has shape "
                f"{have.get(name, 'none')} there and {want.get(name, 'none')} in the config; use "
                "the config it was trained with, or another --workdir"
            )


def is_news(record: logging.LogRecord) -> bool:
    """A log filter: false for the tracebacks of what orbax raises here a moment later."""
    return record.levelno < logging.ERROR or "orbax" not in record.pathname


@contextlib.contextmanager
def _clear_errors(directory: epath.Path, verb: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError) as error:
        if "No space left" in str(error) or "RESOURCE_EXHAUSTED" in str(error):
            reason, remedy = "no space left", "free some and run the same command again"
        else:
            reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
            remedy = "check the path and its permissions"
        raise InputError(f"cannot {verb} checkpoints in {directory}: {reason}; {remedy}") from error
