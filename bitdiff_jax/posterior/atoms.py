"""The common refinement of several label maps, on which all of this room computes.

An *atom* is a largest set of pixels that no map parts: two pixels lie in one atom if and only if
they lie in one region in every map. Atoms are sets of pixels, connected or not. A few hundred of
them say as much about the maps as all pixels do, so that what concerns all pairs of pixels costs
the square of the number of atoms and not that of the number of pixels.

Nothing here depends on ids: atoms are numbered by their first pixel in raster order, regions by
their first atom, and equal partitions are one row with the sum of their weights, in an order that
does not depend on that of the maps.
"""

import dataclasses
import math
import reprlib

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.errors import InputError

# Numbers up to so many times their count are counted, which is faster than sorting them.
_SPARSE = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of n label maps, and the region of each atom in each different partition.

    Attributes:
        index: int32 [h, w], the atom of each pixel; -1 where any map ignores the pixel.
        areas: int64 [a], pixels of each atom.
        regions: int32 [m, a], the region of each atom in each of the m different partitions; the
            regions of each are numbered from 0 in the order of their first pixels.
        weights: float64 [m], weights of the partitions, all positive; their sum is 1.
        partition: intp [n], the row of `regions` of each map; -1 for a map of weight 0.
    """

    index: np.ndarray
    areas: np.ndarray
    regions: np.ndarray
    weights: np.ndarray
    partition: np.ndarray

    @property
    def num_pixels(self) -> int:
        """Pixels that no map ignores."""
        return int(self.areas.sum())

    def together(self, p: ArrayLike, q: ArrayLike) -> np.ndarray:
        """Probability that two atoms lie in one region.

        Args:
            p: int [...], atoms.
            q: int [...]; both are broadcast.

        Returns:
            float64 [...]; exactly 0 or 1 where all partitions agree.
        """
        p, q = np.asarray(p), np.asarray(q)
        sums: np.ndarray = np.zeros(np.broadcast_shapes(p.shape, q.shape))
        for row, weight in zip(self.regions, self.weights, strict=True):
            sums = sums + weight * (row[p] == row[q])
        # Weights such as 1/10 do not add up to 1.
        return np.round(sums, 12)

    def values_map(self, values: np.ndarray) -> np.ndarray:
        """Values of atoms [a] as a map float32 [h, w], NaN where a pixel is ignored."""
        return np.append(values, np.nan)[self.index].astype(np.float32)

    def label_map(self, labels: np.ndarray) -> np.ndarray:
        """Regions of atoms, int [a], as a map int32 [h, w]: 0 is the largest, -1 = ignore."""
        return np.append(largest_first(labels, self.areas), -1)[self.index].astype(np.int32)

    def of_maps(self, partitions: np.ndarray) -> np.ndarray:
        """What holds for partitions, bool [m], for the maps: bool [n], false without weight."""
        return np.append(partitions, False)[self.partition]


def refine(label_maps: ArrayLike, weights: ArrayLike | None = None) -> Atoms:
    """Finds the atoms of label maps.

    A pixel that any of the maps ignores (a negative id) is ignored by the result, whatever the
    weight of that map: all maps are compared over the same pixels.

    Args:
        label_maps: integers [n, h, w]; negative = ignore. The same id in two maps need not mean the
            same region.
        weights: float [n], >= 0, of any positive sum; None for equal weights.

    Returns:
        The atoms of the maps of positive weight.

    Raises:
        InputError: the maps are not integers [n, h, w] with n, h, w >= 1, no pixel is labelled in
            all of them, or the weights are not as above.
    """
    maps = np.asarray(label_maps)
    if maps.ndim != 3 or not maps.size or not np.issubdtype(maps.dtype, np.integer):
        raise InputError(
            f"label_maps must be integers [n, h, w], at least one sample and one pixel, got "
            f"{maps.dtype} of shape {maps.shape}"
        )
    raw = np.ones(len(maps)) if weights is None else check_weights(weights, len(maps))
    known = (maps >= 0).all(axis=0)
    if not known.any():
        raise InputError(
            f"label_maps: none of the {known.size} pixels is labelled in all {len(maps)} maps; "
            "leave out the maps that ignore (-1) what the others label"
        )
    ids = np.stack([compact(each[known]) for each in maps])
    atom = np.zeros(ids.shape[1], np.int64)
    for each in ids[raw > 0]:
        atom = compact(atom * (int(each.max()) + 1) + each)
    atom, first = _by_first(atom)
    index = np.full(known.shape, -1, np.int32)
    index[known] = atom
    used = np.flatnonzero(raw > 0)
    rows = np.stack([by_first(ids[sample, first]) for sample in used]).astype(np.int32)
    # A row for each different partition; sorted by content, which no order of samples changes.
    regions, row = np.unique(rows, axis=0, return_inverse=True)
    partition = np.full(len(maps), -1, np.intp)
    partition[used] = row.ravel()
    # Exact sums of weights as they were given: a weight of 2 is the same as two samples.
    sums = np.array([math.fsum(raw[partition == k]) for k in range(len(regions))])
    return Atoms(index, np.bincount(atom), regions, sums / math.fsum(sums), partition)


def check_weights(weights: ArrayLike, count: int) -> np.ndarray:
    """Weights of `count` samples as float64, or InputError."""
    try:
        raw = np.asarray(weights, np.float64)
    except (TypeError, ValueError):  # words, or ragged
        raw = np.empty(0)
    if raw.shape != (count,) or not np.isfinite(raw).all() or (raw < 0).any() or not raw.any():
        raise InputError(
            f"weights must be {count} numbers >= 0, one per label map and not all 0, got "
            f"{reprlib.repr(np.asarray(weights, object).tolist())}"
        )
    return raw


def compact(numbers: np.ndarray) -> np.ndarray:
    """Integers >= 0 [a] renamed to 0..k-1 in ascending order, int64."""
    if int(numbers.max()) > _SPARSE * numbers.size:
        return np.unique(numbers, return_inverse=True)[1]
    numbers = numbers.astype(np.int64, copy=False)
    return (np.cumsum(np.bincount(numbers) > 0) - 1)[numbers]


def by_first(numbers: np.ndarray) -> np.ndarray:
    """Numbers [a] renamed to 0..k-1 in the order in which they first occur."""
    return _by_first(numbers)[0]


def largest_first(labels: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Regions of atoms [a] renumbered by falling area, of equals by their first atom."""
    region, first = _by_first(labels)
    rank = np.empty_like(first)
    rank[np.argsort(-np.bincount(region, areas), kind="stable")] = np.arange(len(first))
    return rank[region]


def _by_first(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, and the place where each first occurs."""
    numbers = compact(numbers)
    first = np.empty(int(numbers.max()) + 1, np.int64)
    # Of several values for one place the last one stays, here that of the first occurrence.
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[numbers], first[order]
