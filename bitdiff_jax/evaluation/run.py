"""Draws maps for a source's images and scores them: for a training, a notebook, or 33,000 files.

Each batch is scored while the devices draw the next one. Each image's row is kept as soon as it is
there, and its maps are dropped.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.evaluation import image_measures, protocols, row_store, rows, source_names
from bitdiff_jax.evaluation.report import labelled_sheet, summary_tables
from bitdiff_jax.evaluation.scoring import Scoring, error_row, in_order
from bitdiff_jax.evaluation.source_maps import draw_source, share
from bitdiff_jax.inference.drawing import Drawn
from bitdiff_jax.inference.request import Request
from bitdiff_jax.metrics import Measure
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import collective, hosts
from bitdiff_jax.parallel import mesh as mesh_lib

# Number of images that each of several processes scores before they exchange rows.
_ROUND = 32
_SAMPLER = Sampler()
_REQUEST = Request(batch_size=16)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation; the same on every process.

    Attributes:
        scoring: the measures and views that were computed.
        names: names of all images that were asked for, in the order of the source.
        table: rows of these images, in this order, and the errors of those that have none.
        drawn: the images that were to be kept, with their maps, by their place in the source, as
            far as they were drawn now.
        num_drawn: number of images that were drawn now; the others had a row.
    """

    scoring: Scoring
    names: tuple[str, ...]
    table: rows.Table
    drawn: dict[int, Drawn]
    num_drawn: int

    @functools.cached_property
    def summary(self) -> summary_tables.Summary:
        """Means over the images, with 95 % intervals, by METRIC@VIEW."""
        return summary_tables.summarise(self.table)

    def means(self) -> dict[str, float]:
        """Plain means of the first view's metrics, without intervals; NaN without a value."""
        at = f"@{self.scoring.views[0].name}"
        columns = [name for name in self.table.columns if name.endswith(at)]
        known = {name: (v := self.table.column(name))[np.isfinite(v)] for name in columns}
        return {
            name.removesuffix(at): float(values.mean()) if len(values) else math.nan
            for name, values in known.items()
        }

    def sheet(self, *, cell: int = 128) -> np.ndarray:
        """The kept images as uint8 [H, W, 3]; see `report.labelled_sheet.sheet`.

        Args:
            cell: longest side of each image and map.
        """
        shown = [self.drawn[place] for place in sorted(self.drawn)]
        rows = [labelled_sheet.SheetRow(d.name, d.image, d.labels, tuple(d.codes)) for d in shown]
        heads = labelled_sheet.sample_heads(max((len(row.maps) for row in rows), default=0))
        views, measures = self.scoring
        return labelled_sheet.sheet(rows, heads, views[-1], measures[0], cell=cell)


def evaluate(
    model: Model,
    params: Params,
    source: Source,
    sampler: Sampler = _SAMPLER,
    request: Request = _REQUEST,
    *,
    scoring: Scoring = Scoring((protocols.HONEST,), image_measures.TABLE_MEASURES),  # noqa: B008
    measures: Sequence[Measure] = (),
    rows_file: os.PathLike | str | None = None,
    about: Mapping[str, Any] | None = None,
    num_images: int | None = None,
    num_shown: int = 0,
    shuffle_images: bool = False,
    keep_going: bool = False,
    workers: int = 0,
    mesh: Mesh | None = None,
    resumed: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Draws maps for the images of a source and scores them against all their annotators.

    Args:
        model: the model.
        params: parameters of the model.
        source: images with their truths.
        sampler: how maps are drawn.
        request: number of maps per image, seed, batch size, and which pieces are specks.
        scoring: measures and views that are computed.
        measures: measures of your own, computed beside those of `scoring`.
        rows_file: path of the file in which process 0 keeps the rows; images that have a row there
            are not drawn. None keeps rows in memory, 8 bytes per metric.
        about: what is evaluated, as values for JSON; rows of another evaluation are not continued.
        num_images: number of first images to use; None for all.
        num_shown: number of first images to keep, with their maps.
        shuffle_images: whether to show the network another image instead, which tells what it
            scores without looking.
        keep_going: whether an image that cannot be read gets a row with its error instead of ending
            the evaluation. It cannot be combined with `shuffle_images`, where another image would
            lack its partner.
        workers: number of processes, started by this one, that score; 0 scores in this process.
        mesh: the device mesh; None takes all devices. Each process draws and scores its share of
            the images, and all of them have to call.
        resumed: called once, if there are rows already, with their number and that of all images.
        progress: called with the number of images done and of all images: after each image, or at
            intervals with several processes.

    Returns:
        The result, which is the same on every process, and for any number of processes.

    Raises:
        InputError: `draw_source` or `row_store.OnDisk` raises it, an image cannot be read, or
            another process failed. Rows that were written stay.
    """
    scoring = scoring._replace(measures=(*scoring.measures, *measures))
    mesh = mesh_lib.make_mesh() if mesh is None else mesh
    shown: dict[int, Drawn] = {}
    with contextlib.ExitStack() as stack:
        plan = _plan(source, num_images, mesh, scoring, rows_file, about or {}, stack)
        if resumed and plan.num_done:
            resumed(plan.num_done, plan.count)
        images = _draw(
            plan, model, params, source, sampler, request, num_images=num_images,
            shuffle_images=shuffle_images, keep_going=keep_going,
        )  # fmt: skip
        scored = _score(scoring, images, num_shown, shown, workers)
        stack.enter_context(contextlib.closing(scored))
        return _collect(plan, scoring, scored, shown, progress)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The images that are drawn, and the store of their rows."""

    mesh: Mesh
    count: int  # number of images that are asked for
    names: dict[int, str]  # by place, as far as they are known before reading
    places: Sequence[int]  # places of the images without a row, of all processes
    kept: row_store.Rows | None  # the store of the rows; None on all processes but the first

    @property
    def alone(self) -> bool:
        """Whether there is one process."""
        return mesh_lib.process_block(self.mesh)[1] == 1

    @property
    def num_done(self) -> int:
        return self.count - len(self.places)


def _plan(
    source: Source,
    num_images: int | None,
    mesh: Mesh,
    scoring: Scoring,
    rows_file: os.PathLike | str | None,
    about: Mapping[str, Any],
    stack: contextlib.ExitStack,
) -> _Plan:
    """Opens the store of rows, to be closed by `stack`, and finds the images without a row."""
    alone = mesh_lib.process_block(mesh)[1] == 1
    count = min(len(source), num_images or len(source))

    def open_rows() -> row_store.Rows | None:
        if not alone and jax.process_index() != 0:
            return None
        columns = scoring.columns()
        opened: row_store.Rows = (
            row_store.InMemory(about, columns)
            if rows_file is None
            else row_store.OnDisk(rows_file, about, columns)
        )
        return stack.enter_context(contextlib.closing(opened))

    kept = collective.agreed(open_rows, alone)
    done = kept.done if kept else set()
    done = done if alone else hosts.broadcast(done)
    known = collective.agreed(lambda: source_names.names(source, count, bool(done)), alone)
    names = dict(enumerate(known))
    places = [place for place in range(count) if place not in names or names[place] not in done]
    return _Plan(mesh, count, names, places, kept)


class _DrawnImage(NamedTuple):
    """An image that was drawn, or that could not be read."""

    place: int
    drawn: Drawn
    error: str | None


def _draw(
    plan: _Plan,
    model: Model,
    params: Params,
    source: Source,
    sampler: Sampler,
    request: Request,
    *,
    num_images: int | None,
    shuffle_images: bool,
    keep_going: bool,
) -> Iterator[_DrawnImage]:
    """This process's share of the plan, drawn lazily."""
    tolerant = source_names.Tolerant(source) if keep_going and not shuffle_images else None
    images = collective.agreed(
        lambda: draw_source(
            model,
            params,
            tolerant or source,
            sampler,
            request,
            num_images=num_images,
            only=plan.places,
            shuffle_images=shuffle_images,
            mesh=plan.mesh,
        ),
        plan.alone,
    )

    def drawn() -> Iterator[_DrawnImage]:
        for place, each in zip(share(plan.places, plan.mesh), images, strict=True):
            yield _DrawnImage(place, each, tolerant.errors.pop(place, None) if tolerant else None)

    return drawn()


class _Job(NamedTuple):
    """The data of an image that a worker needs."""

    place: int
    name: str
    samples: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    error: str | None


def _score(
    scoring: Scoring,
    images: Iterator[_DrawnImage],
    num_shown: int,
    shown: dict[int, Drawn],
    workers: int,
) -> Generator[tuple[int, rows.Row], None, None]:
    """The images' rows by place, in their order; the first images are also put into `shown`."""

    def jobs() -> Iterator[_Job]:
        for place, drawn, error in images:
            if place < num_shown and error is None:
                shown[place] = drawn
            yield _Job(place, drawn.name, tuple(drawn.codes), drawn.labels, error)

    return in_order(functools.partial(_row, scoring), jobs(), workers)


def _row(scoring: Scoring, job: _Job) -> tuple[int, rows.Row]:
    if job.error is not None:
        return job.place, error_row(job.name, job.error)
    return job.place, scoring.row(job.name, job.samples, job.labels)


def _collect(
    plan: _Plan,
    scoring: Scoring,
    scored: Iterator[tuple[int, rows.Row]],
    shown: dict[int, Drawn],
    progress: Callable[[int, int], None] | None,
) -> Evaluation:
    """Collects the rows of all processes, and keeps each as soon as it is there."""
    alone, names, kept = plan.alone, dict(plan.names), plan.kept
    size = 1 if alone else _ROUND
    finished = plan.num_done
    for _ in range(-(-len(share(plan.places, plan.mesh, block=0)) // size)):
        new = collective.of_all(lambda: list(itertools.islice(scored, size)), alone)
        names |= {place: row.name for place, row in new}
        collective.agreed(lambda: kept.add(row for _, row in new) if kept else None, alone)  # noqa: B023
        finished += len(new)
        if progress:
            progress(finished, plan.count)
    collective.agreed(lambda: next(scored, None), alone)  # draws what the other processes draw
    everyones_shown = dict(collective.of_all(lambda: list(shown.items()), alone))
    in_order_of_source = tuple(names[place] for place in range(plan.count))
    table = collective.agreed(lambda: kept.table().of(in_order_of_source) if kept else None, alone)
    everyones: rows.Table = table if alone else hosts.broadcast(table)  # type: ignore[assignment]
    return Evaluation(scoring, in_order_of_source, everyones, everyones_shown, len(plan.places))
