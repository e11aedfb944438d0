"""Draws maps for a source's pictures and scores them: for a training, a notebook, or 33,000 files.

Each batch is scored while the devices draw the next one, and each picture's row is kept as soon as
it is there; maps are let go.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data.contact_sheet import contact_sheet
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.evaluation import image_measures, protocols, row_store, rows, source_names
from bitdiff_jax.evaluation.drawing import Drawn, draw, share
from bitdiff_jax.evaluation.report import summary_tables
from bitdiff_jax.evaluation.scoring import Scoring, error_row, in_order
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import collective, hosts
from bitdiff_jax.parallel import mesh as mesh_lib

# Pictures of each of several processes between two times that they meet.
_ROUND = 32


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What came out; the same on every process.

    Attributes:
        scoring: what was computed.
        names: of all pictures asked for, in the order of the source.
        table: their rows, in this order; errors of those that have none.
        drawn: the pictures that were asked to be kept, by place, as far as they were drawn now.
        num_drawn: pictures that were drawn now; the others had a row.
    """

    scoring: Scoring
    names: tuple[str, ...]
    table: rows.Table
    drawn: dict[int, Drawn]
    num_drawn: int

    @functools.cached_property
    def summary(self) -> summary_tables.Summary:
        """Means over the pictures, with 95 % intervals, by FIGURE@VIEW."""
        return summary_tables.summarise(self.table)

    def means(self) -> dict[str, float]:
        """Plain means of the first view's figures, without intervals; NaN without a value."""
        at = f"@{self.scoring.views[0].name}"
        columns = [name for name in self.table.columns if name.endswith(at)]
        known = {name: (v := self.table.column(name))[np.isfinite(v)] for name in columns}
        return {
            name.removesuffix(at): float(values.mean()) if len(values) else math.nan
            for name, values in known.items()
        }

    def sheet(self, **layout: int) -> np.ndarray:
        """The kept pictures as uint8 [H, W, 3]: a row of picture, first truth and maps each.

        Args:
            **layout: see `contact_sheet`.
        """
        shown = [self.drawn[place] for place in sorted(self.drawn)]
        return contact_sheet([(d.image, d.labels[0], *d.codes) for d in shown], **layout)


def evaluate(
    model: Model,
    params: Params,
    source: Source,
    *,
    scoring: Scoring = Scoring((protocols.HONEST,), image_measures.TABLE_MEASURES),  # noqa: B008
    rows_file: os.PathLike | str | None = None,
    about: Mapping[str, Any] | None = None,
    num_images: int | None = None,
    num_shown: int = 0,
    keep_going: bool = False,
    workers: int = 0,
    mesh: Mesh | None = None,
    resumed: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **drawing: Any,
) -> Evaluation:
    """Draws maps for the pictures of a source and scores them against all their annotators.

    Args:
        model: the model.
        params: its parameters.
        source: pictures with their truths.
        scoring: figures and views.
        rows_file: keeps the rows, by process 0; pictures that have one there are not drawn. None
            keeps them in memory, 8 bytes a figure.
        about: what is evaluated, JSON: rows of anything else are not continued.
        num_images: use the first so many pictures; None for all.
        num_shown: how many of the first pictures to keep, with their maps.
        keep_going: a picture that cannot be read gets an error for a row rather than ending all;
            not with `shuffle_images`, where another one would miss it.
        workers: processes of this one that score; 0 scores here.
        mesh: the devices; all of them, by default. Each process draws and scores its share of the
            pictures, and all of them have to call.
        resumed: called once, if there are rows already, with their number and all pictures'.
        progress: called with the pictures done and all there are: after each, or with several
            processes now and then.
        **drawing: batch_size, num_samples, seed, shuffle_images, size and the sampling settings;
            see `drawing.draw`.

    Returns:
        The same on every process, whatever their number.

    Raises:
        InputError: as `draw` and `RowFile`, a picture that cannot be read, or another process
            failed. What has a row stays.
    """
    mesh = mesh_lib.make_mesh() if mesh is None else mesh
    count = min(len(source), num_images or len(source))
    alone = mesh_lib.process_block(mesh)[1] == 1
    first = alone or jax.process_index() == 0
    with contextlib.ExitStack() as stack:

        def open_rows() -> row_store.Rows | None:
            if not first:
                return None
            columns = scoring.columns()
            opened: row_store.Rows = (
                row_store.InMemory(about or {}, columns)
                if rows_file is None
                else row_store.OnDisk(rows_file, about or {}, columns)
            )
            return stack.enter_context(contextlib.closing(opened))

        kept = collective.agreed(open_rows, alone)
        done = kept.done if kept else set()
        done = done if alone else hosts.broadcast(done)
        names = dict(
            enumerate(
                collective.agreed(lambda: source_names.names(source, count, bool(done)), alone)
            )
        )
        todo = [place for place in range(count) if place not in names or names[place] not in done]
        if resumed and len(todo) < count:
            resumed(count - len(todo), count)

        shown: dict[int, Drawn] = {}
        own: Source = source
        if keep_going and not drawing.get("shuffle_images"):
            own = source_names.Tolerant(source)
        images = collective.agreed(
            lambda: draw(
                model, params, own, num_images=num_images, only=todo, mesh=mesh, **drawing
            ),
            alone,
        )

        def jobs() -> Iterator[_Job]:
            for place, drawn in zip(share(todo, mesh), images, strict=True):
                if isinstance(own, source_names.Tolerant) and place in own.errors:
                    yield _Job(place, drawn.name, error=own.errors.pop(place))
                    continue
                if place < num_shown:
                    shown[place] = drawn
                yield _Job(place, drawn.name, tuple(drawn.codes), drawn.labels)

        scored = stack.enter_context(
            contextlib.closing(in_order(functools.partial(_score, scoring), jobs(), workers))
        )
        size = 1 if alone else _ROUND
        finished = count - len(todo)
        for _ in range(-(-len(share(todo, mesh, block=0)) // size)):
            new = collective.of_all(lambda: list(itertools.islice(scored, size)), alone)
            names |= {place: row.name for place, row in new}
            collective.agreed(lambda: kept.add(row for _, row in new) if kept else None, alone)  # noqa: B023
            finished += len(new)
            if progress:
                progress(finished, count)
        collective.agreed(lambda: next(scored, None), alone)  # draws what the other processes draw
        shown = dict(collective.of_all(lambda: list(shown.items()), alone))
        in_order_of_source = tuple(names[place] for place in range(count))
        table = collective.agreed(
            lambda: kept.table().of(in_order_of_source) if kept else None, alone
        )
    everyones: rows.Table = table if alone else hosts.broadcast(table)  # type: ignore[assignment]
    return Evaluation(scoring, in_order_of_source, everyones, shown, len(todo))


def draw_some(
    model: Model,
    params: Params,
    source: Source,
    places: Sequence[int],
    *,
    mesh: Mesh,
    **drawing: Any,
) -> dict[int, Drawn]:
    """Draws some pictures (again), by their place in the source; all processes have to call."""
    alone = mesh_lib.process_block(mesh)[1] == 1
    own = share(places, mesh)

    def drawn() -> list[tuple[int, Drawn]]:
        images = draw(model, params, source, only=places, mesh=mesh, **drawing)
        return list(zip(own, images, strict=True))

    return dict(collective.of_all(drawn, alone))


class _Job(NamedTuple):
    place: int
    name: str
    samples: Sequence[np.ndarray] = ()
    labels: Sequence[np.ndarray] = ()
    error: str | None = None


def _score(scoring: Scoring, job: _Job) -> tuple[int, rows.Row]:
    if job.error is not None:
        return job.place, error_row(job.name, job.error)
    return job.place, scoring.row(job.name, job.samples, job.labels)
