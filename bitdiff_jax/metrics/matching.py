"""IoU of regions after the best one-to-one matching of predicted to target regions.

The matching is Kuhn's (1955), through `scipy.optimize.linear_sum_assignment`. Published averages
differ: over the target regions (arXiv 2601.02881), or over the larger number of regions, so that
those without a partner count 0 on either side. `penalise_extra` chooses between them. `min_pixels`,
which leaves out small regions, is an addition of this package.
"""

import functools
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.host import metric_per_map, metric_per_table


def hungarian_iou(
    pred: ArrayLike,
    target: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    num_labels: int,
    penalise_extra: bool = False,
) -> Any:
    """Mean IoU of the matching that makes the sum of IoUs largest, on the host in float64.

    The IoU of arXiv 2601.02881: background is a region like any other, a target region without a
    partner counts 0, and predicted regions without a partner cost nothing unless `penalise_extra`.
    A single region predicted for a single region is a perfect match and scores 1.0 (the released
    code gives 1/(2N - 1) for N pixels there).

    Args:
        pred: integer label maps [..., H, W], numpy or jax; negative where there is no region, which
            counts as one region more.
        target: integer label maps of the same shape; negative ids are ignored.
        mask: bool of the same shape, true where pixels count; None counts all.
        num_labels: L, more than the largest id of either map.
        penalise_extra: whether to average over max(target regions, predicted regions) instead of
            over the target regions.

    Returns:
        A float64 scalar in [0, 1] for maps [H, W], a float64 array [...] for [..., H, W]. NaN for a
        map without a pixel to score, as in `adjusted_rand_index`.

    Raises:
        InputError: shapes or dtypes do not fit, an id is >= L, or it was called under `jit`.

    Example:
        >>> float(hungarian_iou([[0, 0, 1, 2]], [[5, 5, 6, 6]], num_labels=7))
        0.75
        >>> float(hungarian_iou([[0, 0, 1, 2]], [[5, 5, 6, 6]], num_labels=7, penalise_extra=True))
        0.5
    """
    metric = functools.partial(hungarian_iou_from_table, penalise_extra=penalise_extra)
    return metric_per_map(metric, pred, target, mask, num_labels=num_labels)


def hungarian_iou_from_table(
    table: ArrayLike, *, penalise_extra: bool = False, min_pixels: int = 1
) -> Any:
    """`hungarian_iou` of contingency tables, integers [..., P, T] -> float64 [...].

    Rows and columns without a pixel are no regions.

    Args:
        table: integers [..., P, T], pixels of each (predicted, target) pair of regions.
        penalise_extra: whether to average over max(target regions, predicted regions) instead of
            over the target regions.
        min_pixels: smallest number of counted pixels of a region, >= 1. Smaller target regions
            leave the table with their pixels, as if the target had ignored them. Predicted regions
            of which fewer pixels remain cannot be matched, but their pixels still count in the
            areas of the target regions. 1 leaves out nothing.

    Returns:
        NaN for a table without a pixel, or without a target region of `min_pixels`.

    Raises:
        InputError: the table does not hold integers or has fewer than two axes, or `min_pixels` is
            below 1.
    """
    if min_pixels < 1:
        raise InputError(f"min_pixels is {min_pixels}; use 1 (every region) or more")
    metric = functools.partial(
        _mean_matched_iou, penalise_extra=penalise_extra, min_pixels=min_pixels
    )
    return metric_per_table(metric, table)


def symmetric_iou_from_table(table: ArrayLike, *, min_pixels: int = 1) -> Any:
    """Matched IoU averaged over the larger number of regions: the same whichever map is the truth.

    This is `hungarian_iou_from_table(penalise_extra=True)`; 1 - symmetric IoU is used as a
    distance. It is symmetric only where `min_pixels` is 1.
    """
    return hungarian_iou_from_table(table, penalise_extra=True, min_pixels=min_pixels)


def _mean_matched_iou(counts: np.ndarray, *, penalise_extra: bool, min_pixels: int) -> float:
    # Imported here: reading the package must not cost the import of scipy.
    from scipy.optimize import linear_sum_assignment

    if min_pixels > 1:
        counts = counts[:, counts.sum(0) >= min_pixels]
        large = counts.sum(1) >= min_pixels
    else:
        large = counts.any(1)
    num_target = counts.shape[1]
    if num_target == 0:
        return np.nan
    in_target = counts.sum(0, keepdims=True)
    counts = counts[large]
    union = counts.sum(1, keepdims=True) + in_target - counts
    iou = counts / union
    matched = iou[linear_sum_assignment(iou, maximize=True)]
    regions = max(num_target, len(counts)) if penalise_extra else num_target
    return float(matched.sum() / regions)
