"""The regions of a label map as polygons without gaps or overlaps."""

import math
import numbers
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.formats import planar
from bitdiff_jax.inference.formats.label_maps import check_label_map
from bitdiff_jax.inference.formats.simplification import simplify

TOLERANCE = 1.0
# Of a piece, a tolerance is at most this part of the square root of its area: the square of a
# single pixel stays one.
_PART = 0.25


class Polygon(NamedTuple):
    """One connected piece of a region.

    Each ring is int [n, 2], n >= 4: (x, y), columns and rows from the top left corner of the image,
    whose first pixel covers the square from (0, 0) to (1, 1). The last point is the first one.

    Attributes:
        exterior: its outline. The sum of x[i] y[i + 1] - x[i + 1] y[i] is positive.
        holes: outlines of what it surrounds, with a negative sum.
    """

    exterior: np.ndarray
    holes: tuple[np.ndarray, ...] = ()

    @property
    def rings(self) -> tuple[np.ndarray, ...]:
        """The exterior, and then the holes."""
        return self.exterior, *self.holes

    @property
    def area(self) -> float:
        """Pixels, without the holes: a multiple of one half, and exact."""
        return sum(map(signed_area, self.rings))


def signed_area(ring: np.ndarray) -> float:
    """Half the sum of x[i] y[i + 1] - x[i + 1] y[i] around a closed ring, int [n, 2]."""
    x, y = ring.astype(np.int64).T
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def check_tolerance(tolerance: float, argument: str = "tolerance") -> None:
    """Raises InputError unless the tolerance is a number of pixels."""
    if not isinstance(tolerance, numbers.Real) or not 0 <= tolerance < math.inf:
        raise InputError(f"{argument} is {tolerance!r}; use a number of pixels >= 0")


def outlines(label_map: np.ndarray, tolerance: float = TOLERANCE) -> dict[int, list[Polygon]]:
    """Polygons of all regions.

    Borders are traced as one planar graph, and each border is simplified once, for both regions
    beside it: the polygons leave no gap, do not overlap, and their areas sum to the image's. A
    border that would cross another keeps its points.

    Args:
        label_map: integers [h, w]; each distinct value is one region, 0 too.
        tolerance: pixels, >= 0: how far the outline of pixels may lie from the polygon, less for
            pieces under 16 pixels, which would lose their shape. 0 keeps the outline of pixels.

    Returns:
        Region -> its connected pieces, whose pixels share sides, the largest first. Regions are in
        ascending order.

    Raises:
        InputError: the tolerance is negative or not finite, or the label map is none, see
            `label_maps.check_label_map`.
    """
    check_tolerance(tolerance)
    check_label_map(label_map)
    piece = planar.pieces(label_map)
    arcs = planar.trace(piece)
    if tolerance:
        size = np.append(np.sqrt(np.bincount(piece.ravel())), np.inf)  # of -1, outside
        smaller = np.minimum(size[arcs.inside], size[arcs.other])
        arcs = simplify(arcs, np.minimum(tolerance, _PART * smaller))
    exteriors: dict[int, np.ndarray] = {}
    holes: dict[int, list[np.ndarray]] = defaultdict(list)
    for number, ring in _rings(arcs):
        if signed_area(ring) > 0:
            exteriors[number] = ring
        else:
            holes[number].append(ring)
    label = np.zeros(len(exteriors), label_map.dtype)
    label[piece.ravel()] = label_map.ravel()
    area = np.bincount(piece.ravel())
    found: dict[int, list[Polygon]] = defaultdict(list)
    for number in np.lexsort((-area, label)).tolist():
        polygon = Polygon(exteriors[number], tuple(holes[number]))
        found[int(label[number])].append(polygon)
    return dict(found)


def _rings(arcs: planar.Arcs) -> Iterator[tuple[int, np.ndarray]]:
    """The closed boundaries of each piece, none of which passes a point twice."""
    points = np.stack([arcs.x, arcs.y], axis=1)
    place = arcs.y * (arcs.x.max() + 1) + arcs.x
    first, final = place[arcs.start[:-1]].tolist(), place[arcs.start[1:] - 1].tolist()
    # (piece, point) -> the arcs that go on from there, ~i being arc i backwards.
    leaving: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (inside, other) in enumerate(
        zip(arcs.inside.tolist(), arcs.other.tolist(), strict=True)
    ):
        leaving[inside, first[i]].append(i)
        leaving[other, final[i]].append(~i)
    bounds = arcs.start.tolist()

    def ring_of(path: list[int]) -> np.ndarray:
        parts = []
        for i in path:
            if i >= 0:
                parts.append(points[bounds[i] : bounds[i + 1] - 1])
            else:
                parts.append(points[bounds[~i] + 1 : bounds[~i + 1]][::-1])
        return np.concatenate([*parts, parts[0][:1]])

    for (piece, origin), begun in leaving.items():
        if piece < 0:
            continue
        while begun:
            path: list[int] = []
            passed: dict[int, int] = {}  # point -> place in the path of the arc that leaves it
            here = origin
            while True:
                passed[here] = len(path)
                path.append(leaving[piece, here].pop())
                here = final[path[-1]] if path[-1] >= 0 else first[~path[-1]]
                if here in passed:
                    # Where a piece touches itself at a corner, its boundary is two rings there.
                    begin = passed[here]
                    yield piece, ring_of(path[begin:])
                    passed = {point: i for point, i in passed.items() if i < begin}
                    del path[begin:]
                    if not path:
                        break
