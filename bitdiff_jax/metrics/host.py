"""Label maps and contingency tables on the host, for metrics that need float64."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.contingency import check_maps


def metric_per_map(
    metric: Callable[[np.ndarray], Any],
    pred: ArrayLike,
    target: ArrayLike,
    mask: ArrayLike | None,
    *,
    num_labels: int,
) -> Any:
    """Gives `metric` the table of one pair of maps after the other.

    Pixels are counted with numpy, so that maps of many sizes compile nothing. Which pixels count is
    decided as in `contingency_table`. Jax arrays are brought to the host.

    Args:
        metric: function of an int64 table [L + 1, L] that returns a float.
        pred: integer label maps [..., H, W], numpy or jax.
        target: integer label maps of the same shape.
        mask: bool of the same shape, true where pixels count; None counts all.
        num_labels: number L of possible ids; ids are in [0, L).

    Returns:
        A float64 scalar for maps [H, W], a float64 array [...] for [..., H, W].

    Raises:
        InputError: the input is refused by `contingency_table`, an id is >= L on a pixel that
            counts, or it was called under `jit`.
    """
    if any(isinstance(array, jax.core.Tracer) for array in (pred, target, mask)):
        raise InputError(
            "this figure is finished on the host and cannot be called under jit or vmap: use "
            "adjusted_rand_index_jit, or contingency_table inside and ..._from_table outside"
        )
    check_maps(pred, target, mask, num_labels)
    pred, target = np.asarray(pred), np.asarray(target)
    counted = target >= 0
    if mask is not None:
        counted &= np.asarray(mask)
    for name, labels in (("pred", pred), ("target", target)):
        largest = labels.max(initial=0, where=counted)
        if largest >= num_labels:
            raise InputError(
                f"{name} holds id {largest} and num_labels is {num_labels}: pass more labels, or "
                "compact the ids with bitdiff_jax.metrics.relabel"
            )
    values = np.empty(pred.shape[:-2], np.float64)
    for index in np.ndindex(values.shape):
        keep = counted[index]
        table = _count(pred[index][keep], target[index][keep], num_labels)
        values[index] = metric(table)
    return values[()]


def _count(pred: np.ndarray, target: np.ndarray, num_labels: int) -> np.ndarray:
    rows = np.where(pred < 0, num_labels, pred).astype(np.int64)
    index = rows * num_labels + target.astype(np.int64)
    counts = np.bincount(index, minlength=(num_labels + 1) * num_labels)
    return counts.reshape(num_labels + 1, num_labels)


def check_table(table: ArrayLike) -> np.ndarray:
    """Brings a table [..., P, T] to the host as int64; InputError unless it holds integers."""
    counts = np.asarray(table)
    if counts.ndim < 2 or not np.issubdtype(counts.dtype, np.integer):
        raise InputError(
            f"table must be integer counts [..., P, T], got {counts.dtype} of shape "
            f"{counts.shape}: build it with contingency_table"
        )
    return counts.astype(np.int64)


def metric_per_table(metric: Callable[[np.ndarray], float], table: ArrayLike) -> Any:
    """Gives `metric` one table after the other, without the rows and columns that hold no pixel.

    Args:
        metric: function of an int64 table [P, T] that returns a float. Each row and column of the
            table has a pixel; P and T may be 0.
        table: contingency tables, integers [..., P, T].

    Returns:
        A float64 scalar for a table [P, T], a float64 array [...] for [..., P, T].

    Raises:
        InputError: the table does not hold integers or has fewer than two axes.
    """
    counts = check_table(table)
    values = np.empty(counts.shape[:-2], np.float64)
    for index in np.ndindex(values.shape):
        values[index] = metric(without_empty(counts[index]))
    return values[()]


def without_empty(counts: np.ndarray) -> np.ndarray:
    """The table [P, T] without rows and columns that hold no pixel: they are no regions."""
    return counts[counts.any(axis=1)][:, counts.any(axis=0)]
