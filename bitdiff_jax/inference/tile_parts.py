"""What a tile shows of regions: which are whole in it, and what they are in the coarser map."""

import dataclasses
from typing import NamedTuple

import numpy as np

# Of the union of two regions, from here on they are one.
SAME = 0.5
_KNOWN = 0.9  # share of a label from which on the coarser map knows it
_SHOWN = 0.8  # share of a coarser region from which on a tile shows all of it
_CELLS = 32  # the tile's side is so many times what the coarser map may err by


class Tile(NamedTuple):
    """A tile: what is drawn, and what of it is kept, which no other tile keeps."""

    rows: slice  # of the level
    kept_rows: slice
    columns: slice
    kept_columns: slice
    shape: tuple[int, int]  # of the level

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of what is drawn."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def kept(self) -> tuple[slice, slice]:
        """What is kept, within the tile."""
        return _within(self.kept_rows, self.rows), _within(self.kept_columns, self.columns)

    def ends(self) -> np.ndarray:
        """bool [h, w], the outermost pixels of the tile where the image goes on."""
        found = np.zeros(self.size, bool)
        found[0] |= self.rows.start > 0
        found[-1] |= self.rows.stop < self.shape[0]
        found[:, 0] |= self.columns.start > 0
        found[:, -1] |= self.columns.stop < self.shape[1]
        return found

    def depth(self) -> np.ndarray:
        """int [h, w], how far a pixel lies within what is kept of a tile: 0 at other tiles."""
        rows, columns = (
            _depth(drawn, kept, side)
            for drawn, kept, side in (
                (self.rows, self.kept_rows, self.shape[0]),
                (self.columns, self.kept_columns, self.shape[1]),
            )
        )
        return np.minimum(rows[:, None], columns)

    def overlap(self, other: "Tile") -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """What both tiles draw, within this one and within the other."""
        both = tuple(
            slice(max(mine.start, theirs.start), min(mine.stop, theirs.stop))
            for mine, theirs in ((self.rows, other.rows), (self.columns, other.columns))
        )
        rows, columns = both
        return (
            (_within(rows, self.rows), _within(columns, self.columns)),
            (_within(rows, other.rows), _within(columns, other.columns)),
        )


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _depth(drawn: slice, kept: slice, side: int) -> np.ndarray:
    """How far pixels along one side lie from what other tiles keep, 0 outside of what is kept."""
    at = np.arange(drawn.start, drawn.stop)
    before = at - kept.start if kept.start > 0 else np.full(len(at), side)
    behind = kept.stop - 1 - at if kept.stop < side else np.full(len(at), side)
    depth: np.ndarray = np.maximum(np.minimum(before, behind), 0)
    return depth


@dataclasses.dataclass(frozen=True)
class Parts:
    """The labels of a tile, of which each is a region or what the tile shows of one.

    Attributes:
        areas: int [n], pixels of each label.
        part_of: int [n], the region of the coarser map that each label is most like, by IoU.
        main: bool [n], whether no other label that goes on beyond the tile has more of that region.
        coincides: bool [n], whether the tile shows that region, and most of it in the label.
        whole: bool [n], whether the image shows all of the label within the tile.
        owned: bool [n], whether it is whole, and its middle lies in what the tile keeps, or nearly.
        loose: bool [n], whether a label goes on beyond the tile, and the coarser map does not know
            it: another label is more of that region, or the region is too little of the label.
        outgrown: int [m], coarser regions that the tile shows, of which an owned label is most.
    """

    areas: np.ndarray
    part_of: np.ndarray
    main: np.ndarray
    coincides: np.ndarray
    whole: np.ndarray
    owned: np.ndarray
    loose: np.ndarray
    outgrown: np.ndarray

    def joined(self, table: np.ndarray) -> "Parts":
        """The same with the ids that the coarser regions have by now, see `Ids.table`."""
        return dataclasses.replace(self, part_of=table[self.part_of], outgrown=table[self.outgrown])


def err(tile: Tile) -> int:
    """Pixels by which edges of the coarser map may lie off, about one cell as it was drawn."""
    return max(1, max(tile.size) // _CELLS)


def parts_of(
    tile: Tile, labels: np.ndarray, coarser: np.ndarray, sizes: np.ndarray, has_background: bool
) -> Parts:
    """What a tile shows of regions.

    Args:
        tile: the tile.
        labels: integers [h, w], its map.
        coarser: int32 [h, w], the ids of the coarser map there.
        sizes: float [num_ids], how many pixels like the tile's the coarser regions have.
        has_background: whether 0 is the background, which is no region.
    """
    count = int(labels.max()) + 1
    areas = np.bincount(labels.ravel(), minlength=count)
    there = areas > 0
    there[0] &= not has_background
    at_end = tile.ends()
    cut = np.bincount(labels[at_end], minlength=count) > 0
    ids, places = np.unique(coarser, return_inverse=True)
    shared = np.bincount(
        labels.ravel().astype(np.int64) * len(ids) + places.ravel(), minlength=count * len(ids)
    ).reshape(count, len(ids))
    totals = shared.sum(0)
    like = (shared / np.maximum(areas[:, None] + totals - shared, 1)).argmax(1)
    of_like = shared[np.arange(count), like]
    main = of_like >= np.where(cut[:, None], shared, 0).max(0)[like]
    shown = totals > _SHOWN * sizes[ids]
    if has_background:
        shown &= ids != 0
        main &= ids[like] != 0
    owned = there & ~cut & _owned(tile, labels, areas)
    outgrown = shown & (shared[owned] > SAME * totals).any(0)
    return Parts(
        areas=areas,
        part_of=ids[like],
        main=main,
        coincides=(of_like > SAME * totals[like]) & shown[like],
        whole=there & ~cut,
        owned=owned,
        loose=there & cut & ~(main & (of_like > _KNOWN * areas)),
        outgrown=ids[outgrown],
    )


def _owned(tile: Tile, labels: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Whether the middle of each label lies in what is kept, or so near that it may."""
    found = np.ones(len(areas), bool)
    for axis, kept in enumerate(tile.kept):
        middle = np.zeros(len(areas))
        along = np.arange(labels.shape[axis])
        for label, place in zip(*_profile(labels, axis, len(areas)), strict=True):
            middle[label] = (place * along).sum() / max(place.sum(), 1)
        slack = labels.shape[axis] / 64
        found &= (middle >= kept.start - slack) & (middle < kept.stop + slack)
    return found


def _profile(labels: np.ndarray, axis: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels, how many pixels of each lie at each place along an axis)."""
    side = labels.shape[axis]
    at = np.expand_dims(np.arange(side), 1 - axis)
    flat = np.bincount((labels.astype(np.int64) * side + at).ravel(), minlength=count * side)
    return np.arange(count), flat.reshape(count, side)


def alike(
    first: np.ndarray, second: np.ndarray, loose: tuple[np.ndarray, np.ndarray]
) -> list[tuple[int, int]]:
    """Loose labels of two tiles that are one region: they coincide in what both tiles draw.

    Args:
        first: integers [h, w], labels of one tile there.
        second: integers [h, w], labels of the other one.
        loose: bool [n] each, which of the labels may be.
    """
    width = int(second.max()) + 1
    both, counts = np.unique(first.astype(np.int64) * width + second, return_counts=True)
    mine, theirs = both // width, both % width
    area, other = np.bincount(first.ravel()), np.bincount(second.ravel())
    same = counts > SAME * (area[mine] + other[theirs] - counts)
    same &= loose[0][mine] & loose[1][theirs]
    return [(int(a), int(b)) for a, b in zip(mine[same], theirs[same], strict=True)]
