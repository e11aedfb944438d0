"""Small pieces of a drawn map given to what surrounds them."""

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from bitdiff_jax.errors import InputError


def pieces(codes: np.ndarray) -> np.ndarray:
    """Numbers the connected pieces of a map: pixels that share a side and a code.

    Args:
        codes: integers [h, w].

    Returns:
        int32 [h, w], 0..n-1.
    """
    index = np.arange(codes.size, dtype=np.int32).reshape(codes.shape)
    right = codes[:, 1:] == codes[:, :-1]
    down = codes[1:] == codes[:-1]
    start = np.concatenate([index[:, 1:][right], index[1:][down]])
    end = np.concatenate([index[:, :-1][right], index[:-1][down]])
    graph = sparse.coo_array((np.ones(len(start), bool), (start, end)), (codes.size, codes.size))
    return csgraph.connected_components(graph, directed=False)[1].reshape(codes.shape)


def remove(codes: np.ndarray, min_area: int) -> np.ndarray:
    """Gives every pixel of a connected piece smaller than `min_area` the nearest other code.

    A region in several pieces loses its small ones only. What two neighbouring codes leave in
    between them when a border lies between two pixels' decisions is a code of its own: such specks
    are most of the superfluous regions of a drawn map.

    Args:
        codes: integers [h, w]; each distinct code is one region.
        min_area: pixels; up to 1 changes nothing.

    Returns:
        The map; as it was if all its pieces are smaller.

    Raises:
        InputError: `min_area` is negative.
    """
    if min_area < 0:
        raise InputError(f"min_area is {min_area}; use 0 (all pieces are kept) or more pixels")
    piece = pieces(codes)
    small = (np.bincount(piece.ravel()) < min_area)[piece]
    if not small.any() or small.all():
        return codes
    rows, columns = ndimage.distance_transform_edt(
        small, return_distances=False, return_indices=True
    )
    return codes[rows, columns]
