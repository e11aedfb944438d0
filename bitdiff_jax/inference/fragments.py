"""Connected pieces of a label map that are too small, or cut off, given to what surrounds them."""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

# (piece [n], label [n]) -> how much each piece is like that label [n]
Likeness = Callable[[np.ndarray, np.ndarray], np.ndarray]


def settle(labels: np.ndarray, core: np.ndarray, min_area: float = 0) -> np.ndarray:
    """Gives pieces without a core, or smaller than `min_area`, to what surrounds them.

    Such a piece takes the label with which it has the longest border, of equals the lowest one; one
    that lies among others of its kind waits until these have theirs.

    Args:
        labels: integers [h, w]; a piece is a set of pixels that share sides and the label.
        core: int [h, w]; pixels of an equal number >= 0 are known to belong to one piece, -1 is not
            known. All numbers from 0 to the greatest occur, at least one does.
        min_area: pixels, counted once pieces without a core are given away. Where all are smaller,
            all stay.

    Returns:
        [h, w]: each piece has a core, and `min_area` pixels if any has.
    """
    component, has_core = _components(labels, core)
    if not has_core.all():
        labels = give_away(labels, component, has_core)
        component, has_core = _components(labels, core)
    large = np.bincount(component.ravel()) >= min_area
    if large.all() or not large.any():
        return labels
    return give_away(labels, component, large)


def give_away(
    labels: np.ndarray, component: np.ndarray, kept: np.ndarray, likeness: Likeness | None = None
) -> np.ndarray:
    """The labels with each piece that is not kept given to one that touches it.

    One that touches none yet waits until those around it have theirs.

    Args:
        labels: integers [h, w].
        component: int [h, w], the number of each pixel's piece.
        kept: bool [pieces], at least one true.
        likeness: of the labels that touch a piece it takes the one that it is most like, of equals
            the lowest; None for the one with which it has the longest border.

    Returns:
        [h, w], of the dtype of `labels`.
    """
    result, kept = labels.copy(), kept.copy()
    given = np.flatnonzero(~kept[component])
    while given.size:
        owner, taken = _best_neighbours(result, component, kept, given, likeness)
        label_of = np.zeros(len(kept), result.dtype)
        label_of[owner] = taken
        kept[owner] = True
        piece = component.ravel()[given]
        settled = kept[piece]
        result.ravel()[given[settled]] = label_of[piece[settled]]
        given = given[~settled]
    return result


def _components(labels: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each pixel's piece, int [h, w], and whether each piece has a core."""
    num_cores = int(core.max()) + 1
    free = core < 0
    node = core.copy()
    node[free] = num_cores + np.arange(free.sum())
    ends = []
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        joined = (labels[here] == labels[there]) & (node[here] != node[there])
        ends.append((node[here][joined], node[there][joined]))
    start, end = (np.concatenate(each) for each in zip(*ends, strict=True))
    count = num_cores + int(free.sum())
    graph = sparse.coo_array((np.ones(len(start), bool), (start, end)), (count, count))
    number = csgraph.connected_components(graph, directed=False)[1]
    has_core = np.zeros(number.max() + 1, bool)
    has_core[number[:num_cores]] = True
    return number[node], has_core


def _best_neighbours(
    labels: np.ndarray,
    component: np.ndarray,
    kept: np.ndarray,
    given: np.ndarray,
    likeness: Likeness | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The pieces among `given` pixels that touch kept ones, and the label that each takes."""
    height, width = labels.shape
    rows, columns = np.divmod(given, width)
    pairs = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        y, x, own = y[inside], x[inside], component.ravel()[given[inside]]
        touches = kept[component[y, x]]
        pairs.append(np.stack([own[touches], labels[y, x][touches]]))
    (piece, label), length = np.unique(np.concatenate(pairs, axis=1), axis=1, return_counts=True)
    preferred = length if likeness is None else likeness(piece, label)
    order = np.lexsort((label, -preferred, piece))
    owner, first = np.unique(piece[order], return_index=True)
    return owner, label[order][first]
