"""Checkpoints of one run: saved in the background, verified when they are read."""

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.checkpoint.faults import as_damage, clear_errors
from bitdiff_jax.checkpoint.retention import Best
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel.checksums import checksums
from bitdiff_jax.parallel.partition_rules import path_name

_SUBDIR = "checkpoints"
_SCORES = "scores.json"  # beside orbax's files, because scores come later


class Checkpoints:
    """The checkpoints of one run. Use it as a context manager: leaving waits for pending writes.

    Args:
        workdir: the run's folder.
        keep: number of latest checkpoints that are kept.
        create: whether to make the folder and remove what killed processes left half written; False
            only reads.
        keep_every: checkpoints of steps divisible by this are kept for good; 0 for none.
        keep_best: number of best checkpoints that are kept, by the score `best_by`.
        best_by: name of the score for `keep_best`; the highest is best.
    """

    def __init__(
        self,
        workdir: epath.PathLike,
        keep: int = 2,
        create: bool = True,
        *,
        keep_every: int = 0,
        keep_best: int = 0,
        best_by: str = "",
    ):
        path = os.fspath(workdir)
        # Orbax refuses relative paths, and only when it writes; those with a scheme are absolute.
        if "://" not in path:
            path = os.path.abspath(os.path.expanduser(path))
        self.directory = epath.Path(path) / _SUBDIR
        self._pending: int | None = None
        self._best = Best(keep_best, best_by)
        policies = ocp.checkpoint_managers
        kept: list[Any] = [policies.LatestN(keep), self._best]
        if keep_every:
            kept.append(policies.EveryNSteps(keep_every))
        with clear_errors(self.directory, "write to"):
            self._manager = ocp.CheckpointManager(
                self.directory,
                options=ocp.CheckpointManagerOptions(
                    create=create,
                    cleanup_tmp_directories=create,
                    # The loop decides when to save; the manager decides what to keep.
                    save_decision_policy=policies.FixedIntervalPolicy(1),
                    preservation_policy=policies.AnyPreservationPolicy(kept),
                ),
            )
        if keep_best:
            for step in self._manager.all_steps():
                with contextlib.suppress(InputError):  # a damaged step is not the best
                    self._best.note(step, self.about(step).get("scores"))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait()
        finally:
            self._manager.close()

    def latest_step(self) -> int | None:
        """The last complete step, or None."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """The steps that are there and complete, by their names; their files are not checked."""
        return list(self._manager.all_steps())

    def reload(self) -> None:
        """Reads the folder again, after something else changed it."""
        self._manager.reload()

    def save(self, step: int, state: Any, about: dict[str, Any]) -> None:
        """Saves in the background; an error of an earlier save is raised here.

        The state may be donated as soon as this returns.

        Args:
            step: number of the step, above those of all saved steps.
            state: pytree of arrays.
            about: values that JSON can hold, see `describe`.

        Raises:
            InputError: this save, or the one before it, could not be written.
        """
        self.wait()
        sums = {"state": checksums(state), "about": _json_checksum(about)}
        with clear_errors(self.directory, "write to"):
            saved = self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeSave(state),
                    about=ocp.args.JsonSave(about),
                    checksums=ocp.args.JsonSave(sums),
                ),
            )
        if not saved:
            # Orbax silently leaves out a step that is not above the last one.
            raise InputError(
                f"step {step} was not saved in {self.directory}, where step {self.latest_step()} "
                "is already: one training at a time may use a --workdir"
            )
        self._pending = step

    def wait(self) -> None:
        """Waits until the last save is on the disk.

        Raises:
            InputError: the last save could not be written.
        """
        step, self._pending = self._pending, None
        with clear_errors(self.directory, "write to"):
            self._manager.wait_until_finished()
        if step is not None and not (self.directory / str(step)).is_dir():
            raise InputError(
                f"step {step} was saved in {self.directory} but is not there: "
                "one training at a time may use a --workdir, and nobody else"
            )

    def add_scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Keeps scores with a step that was saved; the step may replace another among the best.

        Args:
            step: a step that was saved here.
            scores: metrics by name; `about` has them under 'scores' from then on.

        Raises:
            InputError: the scores, or the step itself, could not be written.
        """
        self.wait()
        self._best.note(step, scores)
        if jax.process_index() == 0:
            text = json.dumps(dict(scores))  # nan and infinity as Python reads them
            files.write(self.directory / str(step) / _SCORES, text.encode())

    def about(self, step: int) -> dict[str, Any]:
        """The JSON that was saved with a step, with the scores that were added under 'scores'.

        Raises:
            Damaged: the JSON is not what was saved.
        """
        with as_damage(self.directory / str(step)):
            about = self._json(step, "about")
            assert about is not None
            if (sums := self._json(step, "checksums")) and sums["about"] != _json_checksum(about):
                raise ValueError("about has another checksum than when it was saved")
            if scores := self._scores(step):
                about = {**about, "scores": scores}
            return about

    def restore(self, step: int, abstract_state: Any) -> Any:
        """The state of a step, verified.

        Args:
            step: a step that exists.
            abstract_state: tree of `jax.ShapeDtypeStruct`s with the shardings to restore to; those
                at saving time do not matter, nor does the number of processes. A subset of the
                entries, such as {'ema_params': ...}, reads only these.

        Raises:
            InputError: the saved shapes differ.
            Damaged: the files cannot be read, or are not what was saved.
        """
        state, sums = self.read(step, abstract_state)
        self.verify(step, state, sums)
        return state

    def restore_part(self, step: int, part: str, abstract: Any) -> Any:
        """One entry of the state, such as 'ema_params', without reading the others."""
        return self.restore(step, {part: abstract})[part]

    def read(self, step: int, abstract_state: Any) -> tuple[Any, dict[str, int]]:
        """The state of a step as it is on the disk, and the checksums it should have.

        This is the first half of `restore`, in which a process does not wait for others.
        """
        folder = self.directory / str(step)
        with as_damage(folder):
            # Handlers rather than the manager, which would wait for processes that failed to read,
            # and whose item_metadata is empty for a run that it has only opened to read.
            saved = ocp.StandardCheckpointHandler().metadata(folder / "state").tree
            if isinstance(abstract_state, dict):
                saved = {name: saved[name] for name in abstract_state}
            _check_shapes(saved, abstract_state, self.directory)
            state = ocp.PyTreeCheckpointHandler().restore(
                folder / "state",
                args=ocp.args.PyTreeRestore(
                    item=abstract_state,
                    restore_args=ocp.checkpoint_utils.construct_restore_args(abstract_state),
                    partial_restore=True,
                ),
            )
            sums = self._json(step, "checksums")
            # Checkpoints of earlier versions have no checksums.
            return state, {} if sums is None else sums["state"]

    def verify(self, step: int, state: Any, sums: Mapping[str, int]) -> None:
        """Checks the checksums of a state; this is the second half of `restore`.

        Raises:
            Damaged: a checksum differs.
        """
        with as_damage(self.directory / str(step)):
            for name, value in checksums(state).items() if sums else ():
                if sums[name] != value:
                    raise ValueError(f"{name} has another checksum than when it was saved")

    def _scores(self, step: int) -> dict[str, float] | None:
        """The scores of a step; None without any, or if they are half written, to be made again."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return json.loads((self.directory / str(step) / _SCORES).read_text())
        return None

    def _json(self, step: int, item: str) -> dict[str, Any] | None:
        folder = self.directory / str(step) / item
        if item == "checksums" and not folder.exists():
            return None
        return ocp.JsonCheckpointHandler().restore(folder)


def describe(
    config: ml_collections.ConfigDict,
    fingerprint: str,
    trained_on: str,
    *,
    own_model: bool = False,
) -> dict:
    """The JSON that is saved beside the state.

    Args:
        config: the whole config.
        fingerprint: fingerprint of the input pipeline.
        trained_on: the kind of images that it was trained on, for users of the checkpoint.
        own_model: whether the model was given in Python, so that the config does not describe it.
    """
    return {
        "config": json.loads(config.to_json_best_effort()),
        "fingerprint": fingerprint,
        "trained_on": trained_on,
        "own_model": own_model,
    }


def open_for_reading(workdir: epath.PathLike) -> tuple[Checkpoints, int]:
    """Opens the checkpoints of a run for reading, and returns them and the last step.

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
    """Refuses shapes that differ; orbax would pad or cut them, and a wrong model would load."""

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


def _json_checksum(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
