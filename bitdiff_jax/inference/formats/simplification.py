"""Arcs with fewer points, which still meet at their ends alone.

A point goes by the criterion of Douglas and Peucker (1973): nothing of the outline may be farther
from the new line than the tolerance. It is taken from below, as Visvalingam and Whyatt (1993) do:
the point whose removal moves the outline least goes first. A removal replaces two sides of a
triangle by the third. It keeps the drawing planar if no other point lies in the triangle and the
third side is not there already, also where many points are removed at once.
"""

import numpy as np

from bitdiff_jax.inference.formats.planar import Arcs

# Of rounding, in pixels; the coordinates are whole numbers below 100 000.
_EPSILON = 1e-9


def simplify(arcs: Arcs, tolerance: np.ndarray) -> Arcs:
    """Removes points, the same for both pieces beside an arc.

    No two arcs cross or touch afterwards, and no arc itself, but at their ends; what lay on one
    side of an arc lies there still. The ends of arcs stay.

    Args:
        arcs: as `planar.trace` gives them.
        tolerance: float [arcs], pixels: the greatest distance of a point that was removed from the
            side that replaces it.
    """
    state = _State(arcs, tolerance)
    while state.remove_some():
        pass
    kept = np.zeros(len(arcs.x), bool)
    kept[state.alive] = True
    return arcs.keep(kept)


class _State:
    """What is left of the points.

    Attributes:
        alive: int [m], the points that are left, ascending.
    """

    def __init__(self, arcs: Arcs, tolerance: np.ndarray):
        count = len(arcs.x)
        self._x, self._y = arcs.x.astype(np.int64), arcs.y.astype(np.int64)
        self._allowed = tolerance[arcs.arc]
        self._is_last = np.zeros(count, bool)
        self._is_last[arcs.start[1:] - 1] = True
        self._is_end = self._is_last.copy()
        self._is_end[arcs.start[:-1]] = True
        # Of two that would move the outline equally, the order is arbitrary but not that of their
        # places: along stairs, each point would have to wait for the one before it.
        self._rank = np.random.default_rng(0).permutation(count)
        self._width = int(self._x.max()) + 1
        # Several arcs end at one place.
        self._places, self._place = np.unique(self._y * self._width + self._x, return_inverse=True)
        self._taken = np.ones(len(self._places), bool)
        self._moves = np.full(count, np.inf)  # how far the removal of a point moves the outline
        self._is_stale = ~self._is_end
        self.alive = np.arange(count)

    def remove_some(self) -> bool:
        """Removes points that do not depend on each other; whether any could be removed."""
        before, point, after = self.alive[:-2], self.alive[1:-1], self.alive[2:]
        stale = np.flatnonzero(self._is_stale[point])
        self._measure(before[stale], point[stale], after[stale])
        moves = np.where(self._moves <= self._allowed, self._moves, np.inf)
        chosen = (
            np.isfinite(moves[point])
            & self._goes_first(moves, point, before)
            & self._goes_first(moves, point, after)
        )
        before, point, after = before[chosen], point[chosen], after[chosen]
        safe = self._are_empty(before, point, after) & self._are_new(before, after)
        # One that would make arcs cross stays until a neighbour of it has gone.
        self._moves[point[~safe]] = np.inf
        gone = point[safe]
        self._is_stale[before[safe]] = self._is_stale[after[safe]] = True
        self._is_stale &= ~self._is_end
        self._taken[self._place[gone]] = False
        left = np.ones(len(self._x), bool)
        left[gone] = False
        self.alive = self.alive[left[self.alive]]
        return len(point) > 0

    def _goes_first(self, moves: np.ndarray, point: np.ndarray, rival: np.ndarray) -> np.ndarray:
        least = moves[point] < moves[rival]
        return least | (moves[point] == moves[rival]) & (self._rank[point] < self._rank[rival])

    def _measure(self, before: np.ndarray, point: np.ndarray, after: np.ndarray) -> None:
        """Notes the greatest distance of the outline between two points from their connection."""
        self._is_stale[point] = False
        if not len(point):
            return
        lengths = after - before - 1
        begin = np.cumsum(lengths) - lengths
        each = np.repeat(np.arange(len(point)), lengths)
        between = np.arange(len(each)) - begin[each] + before[each] + 1
        x0, y0 = self._x[before][each], self._y[before][each]
        dx, dy = self._x[after][each] - x0, self._y[after][each] - y0
        x, y = self._x[between] - x0, self._y[between] - y0
        # At least 1: the ends of a line are different points.
        along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
        distance = np.hypot(x - along * dx, y - along * dy)
        self._moves[point] = np.maximum.reduceat(distance, begin)

    def _are_empty(self, before: np.ndarray, point: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Whether triangles, with their sides, hold no point but their corners."""
        if not len(point):
            return np.zeros(0, bool)
        corners = np.stack([before, point, after])
        x, y = self._x[corners], self._y[corners]
        top = y.min(0)
        rows = y.max(0) - top + 1
        begin = np.cumsum(rows) - rows
        each = np.repeat(np.arange(len(rows)), rows)
        row = np.arange(len(each)) - begin[each] + top[each]
        left, right = np.full(len(row), np.inf), np.full(len(row), -np.inf)
        for one, two in ((0, 1), (1, 2), (2, 0)):
            xa, ya, xb, yb = (values[each] for values in (x[one], y[one], x[two], y[two]))
            meets = (np.minimum(ya, yb) <= row) & (row <= np.maximum(ya, yb))
            slope = (xb - xa) / np.where(ya == yb, 1, yb - ya)
            crossing = xa + (row - ya) * slope
            for at in (crossing, np.where(ya == yb, xb, crossing)):
                left = np.where(meets, np.minimum(left, at), left)
                right = np.where(meets, np.maximum(right, at), right)
        first = row * self._width + np.ceil(left - _EPSILON).astype(np.int64)
        last = row * self._width + np.floor(right + _EPSILON).astype(np.int64)
        taken = np.concatenate([[0], np.cumsum(self._taken)])
        found = (
            taken[np.searchsorted(self._places, last, "right")]
            - taken[np.searchsorted(self._places, first, "left")]
        )
        return np.add.reduceat(found, begin) == 3

    def _are_new(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Whether no arc has such a side yet, nor gets it by an earlier one of these removals."""
        is_side = ~self._is_last[self.alive[:-1]]  # and no step to the next arc
        present = np.sort(self._pair(self.alive[:-1], self.alive[1:])[is_side])
        wanted = self._pair(before, after)
        is_first = np.zeros(len(wanted), bool)
        is_first[np.unique(wanted, return_index=True)[1]] = True
        at = np.minimum(np.searchsorted(present, wanted), len(present) - 1)
        return is_first & (present[at] != wanted)

    def _pair(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        a, b = self._place[one], self._place[two]
        return np.minimum(a, b) * len(self._places) + np.maximum(a, b)
