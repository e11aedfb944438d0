"""Draws, scores and summarises: one call for a training, the command line or a notebook."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from bitdiff_jax.data.contact_sheet import contact_sheet
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.evaluation.drawing import Drawn, draw
from bitdiff_jax.evaluation.scoring import Row, score
from bitdiff_jax.evaluation.tables import Summary, summarise
from bitdiff_jax.model import Model, Params


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        rows: figures per picture, in the order of the source.
        summary: means over the pictures, with 95 % intervals.
        shown: the first pictures with their maps, as many as were asked for.
    """

    rows: list[Row]
    summary: Summary
    shown: list[Drawn]

    def means(self) -> dict[str, float]:
        """The summary as plain numbers, for a training's log."""
        return {name: estimate.mean for name, estimate in self.summary.items()}

    def sheet(self, **layout: int) -> np.ndarray:
        """The shown pictures as uint8 [H, W, 3]: a row of picture, first truth and maps each.

        Args:
            **layout: see `contact_sheet`.
        """
        return contact_sheet([(d.image, d.labels[0], *d.codes) for d in self.shown], **layout)


def evaluate(
    model: Model,
    params: Params,
    source: Source,
    *,
    score_size: int = 128,
    num_shown: int = 0,
    progress: Callable[[int], None] | None = None,
    **drawing: Any,
) -> Evaluation:
    """Draws maps for the pictures of a source and scores them against all their annotators.

    Args:
        model: the model.
        params: its parameters.
        source: pictures with their truths.
        score_size: see `scoring.score`.
        num_shown: pictures to keep for a contact sheet.
        progress: called with the number of pictures done, after each.
        **drawing: batch_size, num_samples, num_images, seed, shuffle_images, size, mesh and the
            sampling settings; see `drawing.draw`.

    Returns:
        The same on every process.

    Raises:
        InputError: as `draw` and `score`.
    """
    rows: list[Row] = []
    shown: list[Drawn] = []
    for drawn in draw(model, params, source, **drawing):
        rows.append(score(drawn.name, drawn.codes, drawn.labels, score_size=score_size))
        if len(shown) < num_shown:
            shown.append(drawn)
        if progress:
            progress(len(rows))
    return Evaluation(rows, summarise(rows), shown)
