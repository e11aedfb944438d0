"""The location-aware palette (LAP): which code each region gets (paper, Sec. 3.3).

A grid of cells lies over the picture, each cell holds one code, and a region gets the code of
the cell in which its centroid falls, or of the nearest free one. On a 2-D Gray table regions
that lie side by side then differ in few bits, and what a network must predict in a pixel is
roughly where the middle of its region is, to a cell, rather than an arbitrary name.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.encoding import gray

Order = Literal["id", "area"]
Frame = Literal["square", "valid"]
Excess = Literal["merge", "ignore"]


class Assignment(NamedTuple):
    """What `assign` returns.

    `codes` is the map to diffuse; the rest says what happened on the way.
    """

    codes: jax.Array  # int32 [H, W], -1 where the pixel has no code
    region_codes: jax.Array  # int32 [max_regions], code of each id; -1 if absent or without one
    num_regions: jax.Array  # int32 [], regions present, before any merging
    num_excess: jax.Array  # int32 [], regions beyond the number of codes
    excess_pixels: jax.Array  # int32 [], pixels of those
    dropped_pixels: jax.Array  # int32 [], pixels whose id is >= max_regions; they get no code


def table(layout: str, num_codes: int) -> np.ndarray:
    """A grid of codes by name.

    Args:
        layout: 'similar', the 2-D Gray table, where neighbouring cells differ in one bit.
        num_codes: number of cells and codes, a power of 4.

    Returns:
        int32 [L, L] with L^2 = num_codes, a permutation of 0..num_codes - 1.
    """
    if layout != "similar":
        raise ValueError(f"palette layout must be 'similar', got {layout!r}")
    num_bits = int(num_codes).bit_length() - 1
    if num_codes != 2**num_bits or num_bits < 2 or num_bits % 2:
        raise ValueError(f"num_codes must be a power of 4 (4, 16, 64, ...), got {num_codes}")
    return gray.table(num_bits)


def assign(
    label_map: jax.Array,
    table: jax.Array | np.ndarray,
    *,
    max_regions: int,
    order: Order = "id",
    frame: Frame = "square",
    excess: Excess = "merge",
    mask: jax.Array | None = None,
) -> Assignment:
    """Gives every region of one label map a code of the table. Works inside jit and vmap.

    A region's centroid, in units of cells, is q = (mean + 0.5) / side * L - 0.5 along each axis,
    so that cell centres are the integers. Regions are visited in `order`; each takes the cell
    round(q) (halves to even) if it is still free, else the free cell nearest to q, ties to the
    first in raster order. If there are more regions than codes, the largest are kept. Equal areas
    are ordered by which region comes first in raster order, so with order='area' the codes do not
    depend on how the ids are numbered.

    Args:
        label_map: int [H, W], ids in [0, max_regions), compacted or not; negative means ignore.
        table: int [rows, columns], the code of each cell.
        max_regions: bound on the ids, static. Larger ids are counted and get no code.
        order: 'id' visits ids in ascending order, as released; 'area' the largest first.
        frame: 'square' lays the grid over the whole array, as released; 'valid' over the
            bounding box of `mask`.
        excess: regions beyond the number of codes: 'merge' makes them part of the largest, as
            released; 'ignore' leaves them without a code.
        mask: bool [H, W], false on padding; None means all true.

    Returns:
        An `Assignment`. A map without any region gives all -1.

    Raises:
        ValueError: unknown names, or a map so large (about 1,290 x 1,290) that the sums of
            coordinates may overflow int32; palettes are drawn at network resolution.
    """
    if order not in ("id", "area"):
        raise ValueError(f"order must be 'id' or 'area', got {order!r}")
    if frame not in ("square", "valid"):
        raise ValueError(f"frame must be 'square' or 'valid', got {frame!r}")
    if excess not in ("merge", "ignore"):
        raise ValueError(f"excess must be 'merge' or 'ignore', got {excess!r}")
    height, width = label_map.shape
    if height * width * max(height, width) >= 2**31:
        raise ValueError(
            f"label_map of shape {label_map.shape} is too large for exact int32 centroids; "
            "shrink it to the network's resolution first"
        )
    table = jnp.asarray(table, jnp.int32)
    label_map = label_map.astype(jnp.int32)
    mask = jnp.ones(label_map.shape, bool) if mask is None else mask.astype(bool)

    labelled = mask & (label_map >= 0)
    counted = labelled & (label_map < max_regions)
    ids = jnp.where(counted, label_map, max_regions)  # the last row collects what does not count
    regions = _measure(ids, max_regions)
    visit = _visiting_order(regions, table.size, order)
    regions = _settle_excess(regions, visit, excess)
    num_rows, num_columns = table.shape
    cells = _take_cells(regions, visit, mask, (num_rows, num_columns), frame)
    codes_by_id = jnp.where(cells < 0, -1, table.reshape(-1)[cells])
    if excess == "merge":
        largest = jnp.where(visit.is_excess, codes_by_id[visit.largest], codes_by_id)
        codes_by_id = jnp.where(visit.present, largest, -1)
    codes = jnp.append(codes_by_id, -1)[ids]
    return Assignment(
        codes=codes,
        region_codes=codes_by_id,
        num_regions=jnp.sum(visit.present, dtype=jnp.int32),
        num_excess=jnp.sum(visit.is_excess, dtype=jnp.int32),
        excess_pixels=jnp.sum(jnp.where(visit.is_excess, visit.area, 0), dtype=jnp.int32),
        dropped_pixels=jnp.sum(labelled & ~counted, dtype=jnp.int32),
    )


class _Regions(NamedTuple):
    """Exact sums over each region, int32 [max_regions]."""

    area: jax.Array
    row_sum: jax.Array
    column_sum: jax.Array
    first: jax.Array  # raster index of the first pixel


class _Visit(NamedTuple):
    ids: jax.Array  # int32 [V], ids in the order in which they choose a cell
    active: jax.Array  # bool [V], false where there are fewer regions than V
    present: jax.Array  # bool [max_regions]
    is_excess: jax.Array  # bool [max_regions]
    largest: jax.Array  # int32 [], the id of the largest region
    area: jax.Array  # int32 [max_regions], before any merging


def _measure(ids: jax.Array, max_regions: int) -> _Regions:
    height, width = ids.shape
    rows = jax.lax.broadcasted_iota(jnp.int32, ids.shape, 0)
    columns = jax.lax.broadcasted_iota(jnp.int32, ids.shape, 1)
    flat = ids.reshape(-1)

    def total(values: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(values.reshape(-1), flat, max_regions + 1)[:max_regions]

    raster = jnp.arange(height * width, dtype=jnp.int32)
    first = jax.ops.segment_min(raster, flat, max_regions + 1)[:max_regions]
    return _Regions(total(jnp.ones_like(rows)), total(rows), total(columns), first)


def _visiting_order(regions: _Regions, num_codes: int, order: Order) -> _Visit:
    max_regions = regions.area.shape[0]
    present = regions.area > 0
    by_area = jnp.lexsort((regions.first, -regions.area)).astype(jnp.int32)
    rank = jnp.zeros_like(by_area).at[by_area].set(jnp.arange(max_regions, dtype=jnp.int32))
    kept = present & (rank < num_codes)
    num_visits = min(max_regions, num_codes)
    if order == "area":
        visit_ids = by_area[:num_visits]
    else:
        ascending = jnp.arange(max_regions, dtype=jnp.int32)
        visit_ids = jnp.sort(jnp.where(kept, ascending, max_regions))[:num_visits]
    active = jnp.arange(num_visits) < jnp.sum(kept)
    return _Visit(
        ids=jnp.where(active, visit_ids, 0),
        active=active,
        present=present,
        is_excess=present & ~kept,
        largest=by_area[0],
        area=regions.area,
    )


def _settle_excess(regions: _Regions, visit: _Visit, excess: Excess) -> _Regions:
    """With 'merge', the largest region owns the pixels of those in excess, and their centroid."""
    if excess == "ignore":
        return regions

    def merged(values: jax.Array) -> jax.Array:
        moved = jnp.sum(jnp.where(visit.is_excess, values, 0), dtype=jnp.int32)
        return values.at[visit.largest].add(moved)

    return regions._replace(
        area=merged(regions.area),
        row_sum=merged(regions.row_sum),
        column_sum=merged(regions.column_sum),
    )


def _take_cells(
    regions: _Regions, visit: _Visit, mask: jax.Array, grid: tuple[int, int], frame: Frame
) -> jax.Array:
    """Greedy choice of cells, one region after the other: int32 [max_regions], -1 for none."""
    num_rows, num_columns = grid
    framed = jnp.ones_like(mask) if frame == "square" else mask
    (top, height), (left, width) = _extent(framed.any(axis=1)), _extent(framed.any(axis=0))
    q_row = _cell_coordinate(regions.row_sum, regions.area, top, height, num_rows)
    q_column = _cell_coordinate(regions.column_sum, regions.area, left, width, num_columns)
    cell_row = jnp.repeat(jnp.arange(num_rows), num_columns).astype(q_row.dtype)
    cell_column = jnp.tile(jnp.arange(num_columns), num_rows).astype(q_row.dtype)

    def choose(free: jax.Array, inputs: tuple[jax.Array, jax.Array]):
        region, active = inputs
        row, column = q_row[region], q_column[region]
        own_row = jnp.clip(jnp.round(row), 0, num_rows - 1)
        own_column = jnp.clip(jnp.round(column), 0, num_columns - 1)
        own = (own_row * num_columns + own_column).astype(jnp.int32)
        distance = jnp.square(cell_row - row) + jnp.square(cell_column - column)
        nearest = jnp.argmin(jnp.where(free, distance, jnp.inf)).astype(jnp.int32)
        cell = jnp.where(free[own], own, nearest)
        return free.at[cell].set(jnp.where(active, False, free[cell])), cell

    free = jnp.ones(num_rows * num_columns, bool)
    _, cells = jax.lax.scan(choose, free, (visit.ids, visit.active))
    # Inactive visits write to a row of their own, which is cut off again.
    max_regions = regions.area.shape[0]
    target = jnp.where(visit.active, visit.ids, max_regions)
    return jnp.full(max_regions + 1, -1, jnp.int32).at[target].set(cells)[:max_regions]


def _cell_coordinate(
    coordinate_sum: jax.Array,
    area: jax.Array,
    start: jax.Array,
    side: jax.Array,
    num_cells: int,
) -> jax.Array:
    """Centroid along one axis in units of cells, cell centres at the integers."""
    dtype = jnp.result_type(float)
    mean = coordinate_sum.astype(dtype) / jnp.maximum(area, 1).astype(dtype)
    return (mean - start.astype(dtype) + 0.5) / jnp.maximum(side, 1).astype(dtype) * num_cells - 0.5


def _extent(line: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First true index and length of the span of true values; (0, length) if there is none."""
    start = jnp.argmax(line)
    end = line.shape[0] - jnp.argmax(line[::-1])
    return start, end - start
