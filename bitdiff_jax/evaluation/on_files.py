"""Evaluates predictions on disk against a ground truth on disk, image by image."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import rows
from bitdiff_jax.evaluation.predictions import Predictions
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.scoring import NUMBERS, Scoring, error_row, in_order, numbers
from bitdiff_jax.evaluation.statistics import dataset_ap, ods_ois
from bitdiff_jax.evaluation.truths import Truths
from bitdiff_jax.metrics import BOUNDARY_MEASURE, MEASURES, Measure


class Task(NamedTuple):
    """Predictions and truths that are evaluated, and how they are compared."""

    predictions: Predictions
    truths: Truths
    views: tuple[View, ...]
    measures: tuple[Measure, ...] = MEASURES

    def columns(self) -> tuple[str, ...]:
        """Names of a row's values: the numbers of maps, then METRIC@VIEW."""
        return Scoring(self.views, self.measures).columns()

    def samples(self, name: str, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
        """The maps of one image; `shape` is the size of an image without any mask."""
        try:
            return self.predictions.maps(name)
        except InputError:
            return self.predictions.maps(name, shape)

    def score(self, name: str) -> rows.Row:
        """One image's row; if a file cannot be used, the row holds the error."""
        try:
            labels = self.truths.read(name).labels
            samples = self.samples(name, labels[0].shape)
            if self.predictions.levels is not None:
                return self._sweep(name, samples, labels)
            row = Scoring(self.views, self.measures).row(name, samples, labels)
            if len(samples) == 1 and row.error is None:
                scores = self.predictions.scores(name)
                row = row._replace(kept=dataset_ap.kept(samples[0], scores, labels, self.views))
        except InputError as error:
            return error_row(name, error)
        return row

    def _sweep(
        self, name: str, maps: Sequence[np.ndarray], annotators: Sequence[np.ndarray]
    ) -> rows.Row:
        """The row of an image with levels, which are no samples and get no metrics of samples."""
        boundaries = BOUNDARY_MEASURE in self.measures
        nothing = [math.nan] * (len(self.columns()) - len(NUMBERS))
        values = [*numbers(1, annotators), *nothing]
        return rows.Row(name, values, kept=ods_ois.kept(maps, annotators, self.views, boundaries))


def run(
    task: Task,
    names: Sequence[str],
    file: rows.RowFile,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Scores the images that have no row yet and appends their rows.

    Args:
        task: predictions, truths and how they are compared.
        names: names of the images.
        file: file that the rows are appended to; memory holds one image at a time.
        workers: number of processes beside this one; 0 scores in this process.
        progress: called with the number of images done and of all images.
    """
    waiting = rows.left(names, file.done)
    total = len(dict.fromkeys(names))
    workers = min(workers, len(waiting)) if len(waiting) > 1 else 0
    scored = in_order(task.score, waiting, workers)
    for index, row in enumerate(scored, total - len(waiting) + 1):
        file.add(row)
        if progress:
            progress(index, total)
