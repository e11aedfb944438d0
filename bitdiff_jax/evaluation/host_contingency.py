"""Partitions and their contingency tables on the host, exact at any size of image."""

import numpy as np

from bitdiff_jax.data import labelmaps
from bitdiff_jax.errors import InputError

# 128 MB of int64. Two maps of noise at native size would need many gigabytes.
_MAX_CELLS = 1 << 24


def as_partition(ids: np.ndarray) -> np.ndarray:
    """A prediction as a partition of all pixels: regions 0..n-1, and n for pixels of no region.

    Unassigned pixels (negative) are part of the answer: all of them make up one more region, as in
    `metrics.contingency_table`. If they were left out, they would cost nothing.

    Args:
        ids: predicted ids, integers [h, w].

    Returns:
        int32 [h, w], with consecutive ids from 0 on.
    """
    numbers = labelmaps.compact(np.asarray(ids))[0]
    return np.where(numbers < 0, numbers.max() + 1, numbers) if numbers.min() < 0 else numbers


def contingency(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pixels that each predicted region shares with each target region.

    Args:
        pred: int ids >= 0 as `as_partition` returns them, of any shape.
        target: int ids of the same shape, numbered from 0; negative pixels are left out.

    Returns:
        int64 [P, T]. Sums of squares of its cells, and so the pair counts of the Rand indices, are
        exact up to 2^31 pixels.

    Raises:
        InputError: there are so many regions that the table would not fit into memory.
    """
    num_pred, num_target = int(pred.max(initial=-1)) + 1, int(target.max(initial=-1)) + 1
    if num_pred * num_target > _MAX_CELLS:
        raise InputError(
            f"{num_pred} regions against {num_target} are too many to compare; "
            "join the smallest ones first"
        )
    if not num_target:
        return np.zeros((num_pred, 0), np.int64)
    index = pred.astype(np.int64) * num_target + target
    if target.min() < 0:
        index = index[target >= 0]
    counts = np.bincount(index.ravel(), minlength=num_pred * num_target)
    return counts.reshape(num_pred, num_target)
