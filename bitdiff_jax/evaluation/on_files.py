"""Evaluates predictions on disk against a ground truth on disk, picture by picture."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import figures, rows
from bitdiff_jax.evaluation.others import Predictions
from bitdiff_jax.evaluation.truths import Truths
from bitdiff_jax.evaluation.views import View

NUMBERS = ("num_samples", "num_people")


class Task(NamedTuple):
    """What is evaluated, and how."""

    predictions: Predictions
    truths: Truths
    views: tuple[View, ...]
    measures: tuple[figures.Measure, ...] = figures.MEASURES

    def columns(self) -> tuple[str, ...]:
        """Names of a row's values: the numbers of maps, then FIGURE@VIEW."""
        computed = figures.names()
        return NUMBERS + tuple(f"{name}@{view.name}" for view in self.views for name in computed)

    def samples(self, name: str, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
        """The maps of one picture; `shape` is for one without a mask, which has no size."""
        try:
            return self.predictions.maps(name)
        except InputError:
            return self.predictions.maps(name, shape)

    def score(self, name: str) -> rows.Row:
        """One picture's row; a file that cannot be used makes it an error rather than an end."""
        try:
            labels = self.truths.read(name).labels
            samples = self.samples(name, labels[0].shape)
            values: list[float] = [len(samples), len(labels)]
            for view in self.views:
                values += figures.score(samples, labels, view, self.measures).values()
        except InputError as error:
            return rows.Row(name, error=" ".join(str(error).split()))
        return rows.Row(name, values)


def run(
    task: Task,
    names: Sequence[str],
    file: rows.RowFile,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Scores those of the pictures that have no row yet and appends their rows.

    Args:
        task: what is evaluated.
        names: of the pictures.
        file: takes the rows; memory holds one picture at a time.
        workers: processes beside this one; 0 does it here.
        progress: called with the pictures done and all there are.
    """
    waiting = rows.left(names, file.done)
    total = len(dict.fromkeys(names))
    for index, row in enumerate(_scored(task, waiting, workers), total - len(waiting) + 1):
        file.add(row)
        if progress:
            progress(index, total)


def _scored(task: Task, names: list[str], workers: int) -> Iterator[rows.Row]:
    if not workers or len(names) < 2:
        yield from map(task.score, names)
        return
    # Spawned: jax's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(names)), _start, (task,)) as pool:
        yield from pool.imap(_score, names, chunksize=4)


_task: Any = None


def _start(task: Task) -> None:
    global _task
    _task = task


def _score(name: str) -> rows.Row:
    return _task.score(name)
