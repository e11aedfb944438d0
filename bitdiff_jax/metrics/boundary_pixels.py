"""Which pixels of a label map lie on a boundary, and how boundaries are thinned."""

import functools

import numpy as np


def boundary_pixels(labels: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Pixels whose lower right corner lies on a boundary, bool [H, W].

    The image-sized boundary of the BSDS500 benchmark (seg2bdry): a pixel is marked if two
    neighbouring pixels differ within the 2 x 2 block that begins at it, cut at the image's edge.
    Each boundary is marked once, not on both of its sides.

    Args:
        labels: int [H, W]; every value is a region.
        labelled: bool [H, W]; between a pixel where it is false and another there is no boundary.
    """
    across = (labels[:, :-1] != labels[:, 1:]) & labelled[:, :-1] & labelled[:, 1:]
    down = (labels[:-1] != labels[1:]) & labelled[:-1] & labelled[1:]
    marked = np.zeros(labels.shape, bool)
    marked[:, :-1] |= across
    marked[:-1, :-1] |= across[1:]
    marked[:-1] |= down
    marked[:-1, :-1] |= down[:, 1:]
    return marked


def border_pixels(labels: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Pixels with a neighbour of another region, on both sides of every boundary, bool [H, W]."""
    across = (labels[:, :-1] != labels[:, 1:]) & labelled[:, :-1] & labelled[:, 1:]
    down = (labels[:-1] != labels[1:]) & labelled[:-1] & labelled[1:]
    marked = np.zeros(labels.shape, bool)
    marked[:, :-1] |= across
    marked[:, 1:] |= across
    marked[:-1] |= down
    marked[1:] |= down
    return marked


def thin(marked: np.ndarray) -> np.ndarray:
    """Lines one pixel wide with the same connections, bool [H, W].

    The parallel thinning of Guo & Hall 1989 (their A1; Lam, Lee & Suen 1992, page 879) until
    nothing changes: Matlab's `bwmorph(marked, "thin", inf)`, which the BSDS500 benchmark applies.
    """
    kept = np.pad(marked, 1).astype(np.uint8)
    changed = True
    while changed:
        changed = False
        for deletable in _deletable():
            centre = kept[1:-1, 1:-1]
            code = np.zeros(centre.shape, np.uint8)
            for bit, (row, column) in enumerate(_RING):
                shifted = kept[row : row + centre.shape[0], column : column + centre.shape[1]]
                code |= shifted << bit
            gone = deletable[code] & (centre > 0)
            if gone.any():
                centre[gone] = 0
                changed = True
    return kept[1:-1, 1:-1].astype(bool)


# Of the eight neighbours, counter-clockwise from the right, in a map padded by one pixel.
_RING = ((1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2))


@functools.cache
def _deletable() -> tuple[np.ndarray, np.ndarray]:
    """Whether a pixel is removed, for each of the 256 rings of neighbours, in either half-step."""
    x = (np.arange(256)[:, None] >> np.arange(8)) & 1 > 0
    # In order east, north-east, north, north-west, west, south-west, south, south-east.
    e, ne, n, nw, w, sw, s, se = x.T
    crossings = sum(
        (~x[:, 2 * i] & (x[:, 2 * i + 1] | x[:, (2 * i + 2) % 8])).astype(int) for i in range(4)
    )
    first = sum((x[:, 2 * k] | x[:, 2 * k + 1]).astype(int) for k in range(4))
    second = sum((x[:, 2 * k + 1] | x[:, (2 * k + 2) % 8]).astype(int) for k in range(4))
    smaller = np.minimum(first, second)
    simple = (crossings == 1) & (smaller >= 2) & (smaller <= 3)
    upper = simple & ~((n | ne | ~se) & e)
    lower = simple & ~((s | sw | ~nw) & w)
    return upper, lower
