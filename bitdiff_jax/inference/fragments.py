"""Connected pieces of a label map that are too small, or cut off, given to what surrounds them."""

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


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
        labels = _given_away(labels, component, has_core)
        component, has_core = _components(labels, core)
    large = np.bincount(component.ravel()) >= min_area
    if large.all() or not large.any():
        return labels
    return _given_away(labels, component, large)


def _given_away(labels: np.ndarray, component: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The labels [h, w] with those pieces given away that are not `kept`, bool [pieces]."""
    result, kept = labels.copy(), kept.copy()
    given = np.flatnonzero(~kept[component])
    while given.size:
        owner, taken = _longest_border(result, component, kept, given)
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


def _longest_border(
    labels: np.ndarray, component: np.ndarray, kept: np.ndarray, given: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pieces among `given` pixels that touch kept ones, and the label of the longest border."""
    height, width = labels.shape
    rows, columns = np.divmod(given, width)
    pairs = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        y, x, own = y[inside], x[inside], component.ravel()[given[inside]]
        touches = kept[component[y, x]]
        pairs.append(np.stack([own[touches], labels[y, x][touches]]))
    borders, lengths = np.unique(np.concatenate(pairs, axis=1), axis=1, return_counts=True)
    order = np.lexsort((borders[1], -lengths, borders[0]))
    owner, first = np.unique(borders[0][order], return_index=True)
    return owner, borders[1][order][first]
