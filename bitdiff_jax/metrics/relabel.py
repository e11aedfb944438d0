"""Compact ids for label maps whose ids are arbitrary."""

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.errors import InputError


def relabel(label_map: ArrayLike) -> np.ndarray:
    """Renames the ids of each map to 0..n-1 in ascending order; negative ids become -1.

    No metric of this package is changed by it: metrics depend on the partition, not on the ids.

    Args:
        label_map: integer label maps [..., H, W]; each map is renamed on its own.

    Returns:
        int32 of the same shape.

    Raises:
        InputError: the map is not integer, or has fewer than two axes.

    Example:
        >>> relabel([[700, 3, -1], [3, 3, 42]])
        array([[ 2,  0, -1],
               [ 0,  0,  1]], dtype=int32)
    """
    labels = np.asarray(label_map)
    if labels.ndim < 2 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"label_map must be integer ids [..., H, W], got {labels.dtype} of shape {labels.shape}"
        )
    compact = np.full(labels.shape, -1, np.int32)
    for index in np.ndindex(labels.shape[:-2]):
        # Indexed through the whole array: compact[()] of a single map would be a copy.
        kept = labels[index] >= 0
        compact[index][kept] = np.unique(labels[index][kept], return_inverse=True)[1]
    return compact
