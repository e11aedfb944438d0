"""Which cell of the palette's grid each region takes."""

from typing import Literal

import jax
import jax.numpy as jnp

from bitdiff_jax.encoding import cheapest
from bitdiff_jax.encoding.regions import Regions, Visit

Frame = Literal["square", "valid"]
Choice = Literal["greedy", "optimal"]


def coordinates(
    regions: Regions, mask: jax.Array, grid: tuple[int, int], frame: Frame
) -> tuple[jax.Array, jax.Array]:
    """Centroids in units of cells, q = (mean + 0.5) / side * cells - 0.5 along each axis.

    Cell centres are the integers; float [max_regions] for rows and for columns.
    """
    framed = jnp.ones_like(mask) if frame == "square" else mask
    (top, height), (left, width) = _extent(framed.any(axis=1)), _extent(framed.any(axis=0))
    return (
        _coordinate(regions.row_sum, regions.area, top, height, grid[0]),
        _coordinate(regions.column_sum, regions.area, left, width, grid[1]),
    )


def greedy(
    row: jax.Array,
    column: jax.Array,
    visit: Visit,
    grid: tuple[int, int],
    free: jax.Array | None = None,
) -> jax.Array:
    """One region after the other takes its own cell, or the free one nearest to its centroid.

    Args:
        row: float [max_regions], of `coordinates`.
        column: the same.
        visit: who chooses, and in which order.
        grid: rows and columns, static.
        free: int32 [F], F >= V, raster indices of the cells that may be taken; None for all.

    Returns:
        int32 [V], the raster index of each visit's cell; of no meaning where it is not active.
    """
    cell_row, cell_column = (c.astype(row.dtype) for c in _centres(grid))
    # All is looked up before the loop, and its own cell is nearer to a region than any other: an
    # accelerator takes a microsecond for each operation in a turn of the loop, however small.
    row, column = row[visit.ids, None], column[visit.ids, None]
    cells = jnp.arange(grid[0] * grid[1], dtype=jnp.int32)
    distance = jnp.square(cell_row - row) + jnp.square(cell_column - column)
    distance = jnp.where(cells == own(row, column, grid), -1, distance)
    if free is not None:
        cells, distance = free, distance[:, free]

    def choose(left: jax.Array, distance: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Visits that are not active take cells too: they come last, and take none away.
        nearest = jnp.argmin(jnp.where(left, distance, jnp.inf))
        cell = nearest.astype(jnp.int32) if free is None else cells[nearest]
        return left & (cells != cell), cell

    return jax.lax.scan(choose, jnp.ones(cells.shape, bool), distance)[1]


def optimal(
    row: jax.Array,
    column: jax.Array,
    visit: Visit,
    grid: tuple[int, int],
    free: jax.Array | None = None,
) -> jax.Array:
    """All at once, with the least sum of squared distances between centroids and cells.

    Centroids are rounded to 1/2048 of a cell (at 8 x 8 cells; 1/512 at 32 x 32), so that the sum is
    exact and the same on every device. Where no two regions have the same own cell, each takes it,
    as with `greedy`. Equally good choices, as for regions around one centre, are settled by the
    visiting order. Arguments and result are those of `greedy`.
    """
    per_cell = 2**14 >> (max(grid) - 1).bit_length()
    cell_row, cell_column = (c * per_cell for c in _centres(grid))
    own_cell = own(row, column, grid)[visit.ids, None]
    row = jnp.round(row[visit.ids] * per_cell).astype(jnp.int32)[:, None]
    column = jnp.round(column[visit.ids] * per_cell).astype(jnp.int32)[:, None]
    cost = jnp.square(row - cell_row) + jnp.square(column - cell_column)
    # The least amount there is, for a centroid half-way between two cells.
    cost += (own_cell != jnp.arange(cost.shape[1])).astype(jnp.int32)
    count = jnp.sum(visit.active, dtype=jnp.int32)
    if free is None:
        return cheapest.assign(cost, count)
    chosen = cheapest.assign(cost[:, free], count)
    return jnp.where(chosen < 0, -1, free[chosen])


def own(row: jax.Array, column: jax.Array, grid: tuple[int, int]) -> jax.Array:
    """The cell in which each centroid lies, halves to even: int32 raster indices."""
    own_row = jnp.clip(jnp.round(row), 0, grid[0] - 1)
    own_column = jnp.clip(jnp.round(column), 0, grid[1] - 1)
    return (own_row * grid[1] + own_column).astype(jnp.int32)


def _centres(grid: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Row and column of each cell in raster order, int32."""
    rows, columns = (jnp.arange(n, dtype=jnp.int32) for n in grid)
    return jnp.repeat(rows, grid[1]), jnp.tile(columns, grid[0])


def _coordinate(
    coordinate_sum: jax.Array, area: jax.Array, start: jax.Array, side: jax.Array, num_cells: int
) -> jax.Array:
    """Centroid along one axis in units of cells."""
    dtype = jnp.result_type(float)
    mean = coordinate_sum.astype(dtype) / jnp.maximum(area, 1).astype(dtype)
    return (mean - start.astype(dtype) + 0.5) / jnp.maximum(side, 1).astype(dtype) * num_cells - 0.5


def _extent(line: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First true index and length of the span of true values; (0, length) if there is none."""
    start = jnp.argmax(line)
    end = line.shape[0] - jnp.argmax(line[::-1])
    return start, end - start
