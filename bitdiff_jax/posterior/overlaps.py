"""Two partitions of the same atoms: the pairs of regions that meet, and how far apart they are.

Only the pairs that occur are kept: a full contingency table of two maps of noise would not fit the
memory. The formulas are those of `bitdiff_jax.metrics`, which takes full tables.
"""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.posterior.atoms import compact


class Overlap(NamedTuple):
    """The pairs (region of x, region of y) that meet in an atom.

    Attributes:
        pair: intp [a], the pair that each atom lies in.
        area: int64 [p], pixels in both regions.
        area_x: int64 [p], pixels of the region of x.
        area_y: int64 [p], pixels of the region of y.
    """

    pair: np.ndarray
    area: np.ndarray
    area_x: np.ndarray
    area_y: np.ndarray


def overlap(x: np.ndarray, y: np.ndarray, areas: np.ndarray) -> Overlap:
    """Finds the pairs of regions that meet.

    Args:
        x: int [a], >= 0, the region of each atom in one partition.
        y: int [a], the same in the other.
        areas: int64 [a], pixels of each atom.
    """
    size = int(y.max()) + 1
    joint = x.astype(np.int64) * size + y
    pair = compact(joint)
    there = np.empty(int(pair.max()) + 1, np.int64)
    there[pair] = joint
    in_x, in_y = np.divmod(there, size)
    return Overlap(pair, total(pair, areas), total(x, areas)[in_x], total(y, areas)[in_y])


def total(region: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """int64 [regions], pixels of each region; exact below 2^53 pixels."""
    return np.bincount(region, areas).astype(np.int64)


def disagreeing_pairs(x: np.ndarray, y: np.ndarray, areas: np.ndarray) -> int:
    """Ordered pairs of pixels that one partition joins and the other parts: Binder's loss."""
    both = _squares(overlap(x, y, areas).area)
    return _squares(total(x, areas)) + _squares(total(y, areas)) - 2 * both


def variation_of_information(x: np.ndarray, y: np.ndarray, areas: np.ndarray) -> float:
    """H(x | y) + H(y | x) in bits (Meila 2007); exactly 0 for equal partitions."""
    meet = overlap(x, y, areas)
    return float(meet.area @ information_distance(meet)) / int(areas.sum())


def information_distance(meet: Overlap) -> np.ndarray:
    """float64 [p]: log2(|X| |Y| / |X and Y|^2), what a pixel of each pair adds to the VI; >= 0."""
    return np.log2(meet.area_x / meet.area) + np.log2(meet.area_y / meet.area)


def adjusted_rand_index(x: np.ndarray, y: np.ndarray, areas: np.ndarray) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985); 1 for equal partitions."""
    pixels = int(areas.sum())
    both = _squares(overlap(x, y, areas).area) - pixels
    in_x, in_y = (_squares(total(each, areas)) - pixels for each in (x, y))
    if both == in_x == in_y:
        return 1.0
    expected = in_x * in_y / (pixels * (pixels - 1))
    return float((both - expected) / ((in_x + in_y) / 2 - expected))


def _squares(areas: np.ndarray) -> int:
    return int((areas**2).sum())
