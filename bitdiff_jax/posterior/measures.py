"""Numbers computed from one label map, for `Posterior.measure`.

Each function returns a function of a label map, integers [h, w], in which every id >= 0 is a region
and negative ids are ignored. Their results do not depend on ids.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior.points import atoms_at

Number = Callable[[np.ndarray], float]


def count(min_area: float = 1) -> Number:
    """The number of regions.

    Args:
        min_area: pixels that a region needs to be counted.
    """
    if not min_area >= 0:
        raise InputError(f"min_area is {min_area}; use pixels, 0 or more")

    def regions(label_map: np.ndarray) -> float:
        areas = np.unique(label_map[label_map >= 0], return_counts=True)[1]
        return float((areas >= min_area).sum())

    return regions


def area(point: ArrayLike) -> Number:
    """Pixels of the region at a point (row, column)."""

    def pixels(label_map: np.ndarray) -> float:
        return float((label_map == _id_at(label_map, point, "point")).sum())

    return pixels


def perimeter(point: ArrayLike | None = None) -> Number:
    """Length of the boundary of the region at a point, or of all boundaries, in pixel sides.

    Sides between two regions are counted, each once. Those at the edge of the image and beside
    ignored pixels are not: nobody knows whether the region ends there.

    Args:
        point: (row, column); None for all boundaries of the map.
    """

    def sides(label_map: np.ndarray) -> float:
        first, second = _neighbours(label_map)
        if point is None:
            return float(first.size)
        own = _id_at(label_map, point, "point")
        return float(((first == own) | (second == own)).sum())

    return sides


def adjacent(p: ArrayLike, q: ArrayLike) -> Number:
    """1 if the regions at two points are different ones that touch along a pixel side, else 0.

    Args:
        p: (row, column) of the one point.
        q: (row, column) of the other.
    """

    def touch(label_map: np.ndarray) -> float:
        one, two = _id_at(label_map, p, "p"), _id_at(label_map, q, "q")
        first, second = _neighbours(label_map)
        there = ((first == one) & (second == two)) | ((first == two) & (second == one))
        return float(there.any())

    return touch


def _id_at(label_map: np.ndarray, point: ArrayLike, name: str) -> Any:
    return atoms_at(label_map, point, name)


def _neighbours(label_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids on both sides of every pixel side between two regions."""
    first = np.concatenate([label_map[:, :-1].ravel(), label_map[:-1].ravel()])
    second = np.concatenate([label_map[:, 1:].ravel(), label_map[1:].ravel()])
    apart = (first != second) & (first >= 0) & (second >= 0)
    return first[apart], second[apart]
