"""The location-aware palette (LAP): which code each region gets (paper, Sec. 3.3).

A grid of cells lies over the picture, each cell holds one code, and a region gets the code of
the cell in which its centroid falls, or of the nearest free one. On a 2-D Gray table regions
that lie side by side then differ in few bits, and what a network must predict in a pixel is
roughly where the middle of its region is, to a cell, rather than an arbitrary name.
"""

import typing
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.encoding import cells, regions
from bitdiff_jax.encoding.cells import Choice, Frame
from bitdiff_jax.encoding.layouts import table
from bitdiff_jax.encoding.regions import Excess, Order

__all__ = ["Assignment", "Choice", "Excess", "Frame", "Order", "assign", "shuffled", "table"]


class Assignment(NamedTuple):
    """What `assign` and `shuffled` return.

    `codes` is the map to diffuse; the rest says what happened on the way.
    """

    codes: jax.Array  # int32 [H, W], -1 where the pixel has no code
    region_codes: jax.Array  # int32 [max_regions], code of each id; -1 if absent or without one
    num_regions: jax.Array  # int32 [], regions present, before any merging
    num_excess: jax.Array  # int32 [], regions beyond the number of codes
    excess_pixels: jax.Array  # int32 [], pixels of those
    dropped_pixels: jax.Array  # int32 [], pixels whose id is >= max_regions; they get no code


def assign(
    label_map: jax.Array,
    table: jax.Array | np.ndarray,
    *,
    max_regions: int,
    order: Order = "id",
    frame: Frame = "square",
    excess: Excess = "merge",
    choice: Choice = "greedy",
    background: bool = False,
    mask: jax.Array | None = None,
) -> Assignment:
    """Gives every region of one label map a code of the table. Works inside jit and vmap.

    A region's centroid, in units of cells, is q = (mean + 0.5) / side * cells - 0.5 along each
    axis, so that cell centres are the integers. With the 'greedy' choice regions are visited in
    `order`; each takes the cell round(q) (halves to even) if it is still free, else the free cell
    nearest to q, ties to the first in raster order. If there are more regions than codes, the
    largest are kept. Equal areas are ordered by which region comes first in raster order, so with
    order='area' the codes do not depend on how the ids are numbered.

    Args:
        label_map: int [H, W], ids in [0, max_regions), compacted or not; negative means ignore.
        table: int [rows, columns], the code of each cell; the grid need not be square.
        max_regions: bound on the ids, static. Larger ids are counted and get no code.
        order: 'id' visits ids in ascending order, as released; 'area' the largest first.
        frame: 'square' lays the grid over the whole array, as released; 'valid' over the
            bounding box of `mask`.
        excess: regions beyond the number of codes: 'merge' makes them part of the largest, as
            released; 'ignore' leaves them without a code.
        choice: 'greedy', as released, or 'optimal', which makes the sum of the squared distances
            between centroids and cells the least there is (see `cells.optimal`); `order` then only
            settles ties.
        background: id 0 is the background: it has code 0 wherever it lies, no other region gets
            that code, whether there is a background or not, and of `excess` 'merge' it takes over
            nothing. The table must hold code 0 once.
        mask: bool [H, W], false on padding; None means all true.

    Returns:
        An `Assignment`. A map without any region gives all -1.

    Raises:
        ValueError: unknown names, or a map so large (about 1,290 x 1,290) that the sums of
            coordinates may overflow int32; palettes are drawn at network resolution.
    """
    _check_name("order", order, Order)
    _check_name("frame", frame, Frame)
    _check_name("choice", choice, Choice)
    table = jnp.asarray(table, jnp.int32)
    objects, num_codes = _objects(label_map, table.size, background)
    painted = _Painted.of(objects, mask, max_regions, num_codes, order, excess)
    grid = (table.shape[0], table.shape[1])
    q = cells.coordinates(painted.regions, painted.mask, grid, frame)
    choose = cells.optimal if choice == "optimal" else cells.greedy
    codes = table.reshape(-1)
    free = None
    if background:
        free = jnp.nonzero(codes != 0, size=num_codes)[0].astype(jnp.int32)
    cell = choose(*q, painted.visit, grid, free)
    assigned = painted.with_codes(codes[cell], excess)
    return _with_background(assigned, label_map, painted.mask) if background else assigned


def shuffled(
    label_map: jax.Array,
    key: jax.Array,
    *,
    num_codes: int,
    max_regions: int,
    keep_smallest: bool,
    excess: Excess = "merge",
    background: bool = False,
    mask: jax.Array | None = None,
) -> Assignment:
    """Gives every region of one label map a random code, wherever it lies: no palette.

    A fresh key at every access makes the codes mere names. Works inside jit and vmap.

    Args:
        label_map: int [H, W], ids in [0, max_regions), compacted or not; negative means ignore.
        key: PRNG key; all injections of regions into codes are equally likely.
        num_codes: codes are in [0, num_codes).
        max_regions: bound on the ids, static. Larger ids are counted and get no code.
        keep_smallest: the smallest id that has a code always has code 0, and the others share the
            rest. So do the released defaults (`shuffle_zero=true`; with `false` all are drawn).
        excess: regions beyond the number of codes: 'merge' makes them part of the largest, as
            released; 'ignore' leaves them without a code.
        background: as in `assign`; `keep_smallest` then has no effect.
        mask: bool [H, W], false on padding; None means all true.

    Returns:
        An `Assignment`. A map without any region gives all -1.

    Raises:
        ValueError: unknown names, num_codes < 1, or a map too large (see `assign`).
    """
    if num_codes < 1:
        raise ValueError(f"num_codes must be at least 1, got {num_codes}")
    objects, num_free = _objects(label_map, num_codes, background)
    painted = _Painted.of(objects, mask, max_regions, num_free, "id", excess)
    codes = jnp.arange(int(background), num_codes, dtype=jnp.int32)
    num_kept = int(keep_smallest and not background)
    drawn = jax.random.permutation(key, codes[num_kept:])
    codes = jnp.concatenate([codes[:num_kept], drawn])[: painted.visit.ids.shape[0]]
    assigned = painted.with_codes(codes, excess)
    return _with_background(assigned, label_map, painted.mask) if background else assigned


def _objects(label_map: jax.Array, num_codes: int, background: bool) -> tuple[jax.Array, int]:
    """The map of what chooses codes, and how many codes there are for it."""
    if not background:
        return label_map, num_codes
    if num_codes < 2:
        raise ValueError(f"num_codes is {num_codes}; a background and objects need at least 2")
    return jnp.where(label_map == 0, -1, label_map), num_codes - 1


def _with_background(assigned: Assignment, label_map: jax.Array, mask: jax.Array) -> Assignment:
    """The codes of the objects, and code 0 where the background lies."""
    is_background = mask & (label_map == 0)
    present = jnp.any(is_background)
    region_codes = assigned.region_codes
    return assigned._replace(
        codes=jnp.where(is_background, 0, assigned.codes),
        region_codes=region_codes.at[0].set(jnp.where(present, 0, region_codes[0])),
        num_regions=assigned.num_regions + present.astype(jnp.int32),
    )


class _Painted(NamedTuple):
    """A label map with its regions measured and the order in which they get codes."""

    ids: jax.Array  # int32 [H, W], max_regions where a pixel does not count
    mask: jax.Array  # bool [H, W]
    regions: regions.Regions
    visit: regions.Visit
    dropped_pixels: jax.Array  # int32 []

    @classmethod
    def of(
        cls,
        label_map: jax.Array,
        mask: jax.Array | None,
        max_regions: int,
        num_codes: int,
        order: Order,
        excess: Excess,
    ) -> "_Painted":
        _check_name("excess", excess, Excess)
        height, width = label_map.shape
        if height * width * max(height, width) >= 2**31:
            raise ValueError(
                f"label_map of shape {label_map.shape} is too large for exact int32 centroids; "
                "shrink it to the network's resolution first"
            )
        label_map = label_map.astype(jnp.int32)
        mask = jnp.ones(label_map.shape, bool) if mask is None else mask.astype(bool)
        labelled = mask & (label_map >= 0)
        counted = labelled & (label_map < max_regions)
        ids = jnp.where(counted, label_map, max_regions)
        measured = regions.measure(ids, max_regions)
        visit = regions.visiting_order(measured, num_codes, order)
        if excess == "merge":
            measured = regions.merge_excess(measured, visit)
        dropped = jnp.sum(labelled & ~counted, dtype=jnp.int32)
        return cls(ids, mask, measured, visit, dropped)

    def with_codes(self, codes: jax.Array, excess: Excess) -> Assignment:
        """The result, from the codes [V] in visiting order."""
        visit = self.visit
        region_codes = regions.by_id(codes, visit)
        if excess == "merge":
            of_largest = region_codes[visit.largest]
            region_codes = jnp.where(visit.is_excess, of_largest, region_codes)
        return Assignment(
            codes=jnp.append(region_codes, -1)[self.ids],
            region_codes=region_codes,
            num_regions=jnp.sum(visit.present, dtype=jnp.int32),
            num_excess=jnp.sum(visit.is_excess, dtype=jnp.int32),
            excess_pixels=jnp.sum(jnp.where(visit.is_excess, visit.area, 0), dtype=jnp.int32),
            dropped_pixels=self.dropped_pixels,
        )


def _check_name(argument: str, value: str, names: typing.Any) -> None:
    known = typing.get_args(names)
    if value not in known:
        raise ValueError(f"{argument} must be one of {', '.join(known)}, got {value!r}")
