"""The borders of a label map as a planar graph: arcs between junctions, each shared by two pieces.

A point (x, y) is a corner of pixels: x columns and y rows from the top left corner of the image, so
that the pixel in row r and column c covers the square from (c, r) to (c + 1, r + 1).
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


class Arcs(NamedTuple):
    """Polylines that meet only at their ends, and together are all borders and the image's frame.

    An arc ends at a junction, which is a point where three or four borders meet or a corner of the
    image. A border without a junction is one arc that ends where it begins.

    Attributes:
        x: int [points], those of all arcs one after the other, each with both of its ends.
        y: int [points].
        start: int [arcs + 1], where the points of each arc begin; the last is their number.
        inside: int [arcs], the piece that has the arc in its boundary with positive orientation:
            the sum of x[i] y[i + 1] - x[i + 1] y[i] around it is twice its area. -1 is outside.
        other: int [arcs], the piece on the other side, or -1.
    """

    x: np.ndarray
    y: np.ndarray
    start: np.ndarray
    inside: np.ndarray
    other: np.ndarray

    @property
    def arc(self) -> np.ndarray:
        """int [points], the arc of each point."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def keep(self, kept: np.ndarray) -> "Arcs":
        """The same with some of the points.

        Args:
            kept: bool [points], true at the ends of all arcs.
        """
        before = np.concatenate([[0], np.cumsum(kept)])
        return self._replace(x=self.x[kept], y=self.y[kept], start=before[self.start])


def pieces(label_map: np.ndarray) -> np.ndarray:
    """The connected pieces of a label map, whose pixels share a side and the label.

    Args:
        label_map: integers [h, w].

    Returns:
        int32 [h, w], numbers 0..n - 1, all of which occur.
    """
    begins = np.ones(label_map.shape, bool)  # of runs of equal pixels in a row
    begins[:, 1:] = label_map[:, 1:] != label_map[:, :-1]
    run = np.cumsum(begins).reshape(label_map.shape) - 1
    # Two runs that share sides first do so where one of them begins.
    joined = (label_map[1:] == label_map[:-1]) & (begins[1:] | begins[:-1])
    ends = run[:-1][joined], run[1:][joined]
    count = int(run[-1, -1]) + 1
    graph = sparse.coo_array((np.ones(len(ends[0]), bool), ends), (count, count))
    return csgraph.connected_components(graph, directed=False)[1][run]


def trace(piece: np.ndarray) -> Arcs:
    """The arcs between pieces, with the points at which they turn.

    Args:
        piece: int [h, w], numbers >= 0 of connected pieces, see `pieces`.
    """
    width = piece.shape[1]
    padded = np.pad(piece, 1, constant_values=-1)
    # A side between the pixel above and the one below goes to the right, one between the pixel on
    # the left and that on the right goes down: what lies below, and on the left, is inside.
    level = padded[:-1, 1:-1] != padded[1:, 1:-1]  # [h + 1, w]
    upright = padded[1:-1, :-1] != padded[1:-1, 1:]  # [h, w + 1]
    num_level, num_sides = int(level.sum()), int(level.sum() + upright.sum())
    inside = np.concatenate([padded[1:, 1:-1][level], padded[1:-1, :-1][upright]])
    other = np.concatenate([padded[:-1, 1:-1][level], padded[1:-1, 1:][upright]])
    tail = np.concatenate(
        [(row * (width + 1) + column) for row, column in (level.nonzero(), upright.nonzero())]
    )
    head = tail + 1
    head[num_level:] = tail[num_level:] + width + 1
    node, sides = _junctions(level, upright, tail, head)

    # Each side is walked both ways: 2 i forwards and 2 i + 1 backwards.
    walk = np.arange(2 * num_sides)
    end = np.stack([head, tail], axis=1).ravel()
    following = sides[end] - walk // 2
    following = np.where(node[end], 0, following)
    following = np.where(node[end], walk, 2 * following + (tail[following] != end))
    last, steps = _to_the_end(following)
    # An arc is found in both directions; that of the lower last walk is kept.
    kept = np.flatnonzero(last < last[walk ^ 1])
    kept = kept[np.lexsort((-steps[kept], last[kept]))]
    final = np.flatnonzero(last[kept] == kept)
    begin = np.concatenate([[0], final[:-1] + 1])
    vertex = np.insert(end[kept ^ 1], final + 1, end[kept[final]])
    forwards = kept[begin] % 2 == 0
    sides_of_arc = inside[kept[begin] // 2], other[kept[begin] // 2]
    y, x = np.divmod(vertex, width + 1)
    arcs = Arcs(
        x=x,
        y=y,
        start=np.concatenate([begin + np.arange(len(begin)), [len(vertex)]]),
        inside=np.where(forwards, *sides_of_arc),
        other=np.where(forwards, *sides_of_arc[::-1]),
    )
    return _without_straight(arcs)


def _junctions(
    level: np.ndarray, upright: np.ndarray, tail: np.ndarray, head: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which points end arcs, bool [points], and the sum of the numbers of the sides at each."""
    shape = level.shape[0], upright.shape[1]
    number = np.arange(len(tail))
    numbers = np.zeros(level.shape, np.int64), np.zeros(upright.shape, np.int64)
    split = int(level.sum())
    numbers[0][level], numbers[1][upright] = number[:split], number[split:]
    degree, sides = np.zeros(shape, np.int8), np.zeros(shape, np.int64)
    for there, (present, named) in enumerate(((level, numbers[0]), (upright, numbers[1]))):
        for near in (np.s_[:-1], np.s_[1:]):
            at = (slice(None), near) if there == 0 else (near, slice(None))
            degree[at] += present
            sides[at] += named
    node = degree > 2
    node[:: shape[0] - 1, :: shape[1] - 1] = True
    node = node.ravel()
    # A border without a junction gets one at its first point.
    used = np.flatnonzero(degree.ravel())
    place = np.zeros(node.size, np.int32)
    place[used] = np.arange(len(used))
    graph = sparse.coo_array((np.ones(len(tail), bool), (place[tail], place[head])), 2 * used.shape)
    count, border = csgraph.connected_components(graph, directed=False)
    has_node = np.zeros(count, bool)
    has_node[border[node[used]]] = True
    first = used[np.unique(border, return_index=True)[1]]
    node[first[~has_node]] = True
    return node, sides.ravel()


def _to_the_end(following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last of the chain of each element, and how many steps away that is.

    Args:
        following: int [n], the next one of each; the last of a chain is followed by itself.
    """
    last, steps = following, (following != np.arange(len(following))).astype(np.int64)
    while True:
        further = last[last]
        if np.array_equal(further, last):
            return last, steps
        # The last of a chain has no step to go, so that nothing is counted twice.
        steps = steps + steps[last]
        last = further


def _without_straight(arcs: Arcs) -> Arcs:
    """The arcs without the points at which they do not turn."""
    kept = np.ones(len(arcs.x), bool)
    turn = np.diff(arcs.x)[:-1] * np.diff(arcs.y)[1:] != np.diff(arcs.y)[:-1] * np.diff(arcs.x)[1:]
    kept[1:-1] = turn
    kept[arcs.start[:-1]] = kept[arcs.start[1:] - 1] = True
    return arcs.keep(kept)
