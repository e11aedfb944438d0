"""Draws, scores and summarises: one call for a training, the command line or a notebook."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data.contact_sheet import contact_sheet
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.drawing import Drawn, draw, share
from bitdiff_jax.evaluation.scoring import Row, score
from bitdiff_jax.evaluation.tables import Summary, summarise
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import hosts
from bitdiff_jax.parallel import mesh as mesh_lib


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
    num_images: int | None = None,
    num_shown: int = 0,
    mesh: Mesh | None = None,
    progress: Callable[[int], None] | None = None,
    **drawing: Any,
) -> Evaluation:
    """Draws maps for the pictures of a source and scores them against all their annotators.

    Args:
        model: the model.
        params: its parameters.
        source: pictures with their truths.
        score_size: see `scoring.score`.
        num_images: use the first so many pictures; None for all.
        num_shown: pictures to keep for a contact sheet.
        mesh: the devices; all of them, by default. Each process draws and scores its share of the
            pictures, and all of them have to call.
        progress: called with the number of pictures done: after each, or with several processes at
            the end.
        **drawing: batch_size, num_samples, seed, shuffle_images, size and the sampling settings;
            see `drawing.draw`.

    Returns:
        The same on every process, whatever their number.

    Raises:
        InputError: as `draw` and `score`, or another process failed.
    """
    mesh = mesh_lib.make_mesh() if mesh is None else mesh
    count = min(len(source), num_images or len(source))
    alone = mesh_lib.process_block(mesh)[1] == 1
    rows: dict[int, Row] = {}  # by place in the source
    shown: dict[int, Drawn] = {}
    failure: Exception | None = None
    try:
        pictures = draw(model, params, source, num_images=num_images, mesh=mesh, **drawing)
        for index, drawn in zip(share(count, mesh), pictures, strict=True):
            rows[index] = score(drawn.name, drawn.codes, drawn.labels, score_size=score_size)
            if index < num_shown:
                shown[index] = drawn
            if progress and alone:
                progress(len(rows))
    except Exception as error:
        if alone:
            raise
        failure = error
    if not alone:
        rows, shown = _gather(rows, shown, failure)
        if progress:
            progress(len(rows))
    in_order = [rows[index] for index in range(count)]
    return Evaluation(in_order, summarise(in_order), [shown[index] for index in sorted(shown)])


def _gather(
    rows: dict[int, Row], shown: dict[int, Drawn], failure: Exception | None
) -> tuple[dict[int, Row], dict[int, Drawn]]:
    """What all processes have.

    Raises:
        InputError: on the others too, what one of them could not deal with: none is left waiting.
    """
    shares = hosts.all_gather((rows, shown, failure and f"{type(failure).__name__}: {failure}"))
    if failure is not None:
        raise failure
    for process, (*_, told) in enumerate(shares):
        if told:
            raise InputError(f"process {process} could not evaluate its pictures: {told}")
    for other_rows, other_shown, _ in shares:
        rows, shown = rows | other_rows, shown | other_shown
    return rows, shown
