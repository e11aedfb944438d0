"""Class-agnostic panoptic quality: one class, in which every region is an instance.

PQ = sum of IoU over pairs with IoU > 1/2, over TP + FP/2 + FN/2 (Kirillov et al., "Panoptic
segmentation", 2019, eq. 1) = SQ x RQ. Regions of a partition are disjoint, so at most one region
has IoU > 1/2 with another: no matching is needed. Two averages are published by the same name:
the quotient of counts that are added over all images (panopticapi), and the mean over images of
each image's quotient. The sum of `PanopticCounts` gives the first, the mean of
`panoptic_quality_from_table` the second.
"""

from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.host import check_table, metric_per_map, metric_per_table


class PanopticCounts(NamedTuple):
    """What panopticapi adds up over images; `a.plus(b)` does."""

    iou: float  # sum over matched pairs
    tp: int
    fp: int
    fn: int

    def plus(self, other: "PanopticCounts") -> "PanopticCounts":
        """The sums of both counts."""
        return PanopticCounts._make(a + b for a, b in zip(self, other, strict=True))

    @property
    def pq(self) -> float:
        """Panoptic quality; NaN without a region in either map."""
        regions = self.tp + 0.5 * self.fp + 0.5 * self.fn
        return self.iou / regions if regions else np.nan

    @property
    def sq(self) -> float:
        """Mean IoU of the matched pairs; 0 without one, as in panopticapi."""
        if not self.tp + self.fp + self.fn:
            return np.nan
        return self.iou / self.tp if self.tp else 0.0

    @property
    def rq(self) -> float:
        """F1 of the regions at IoU > 1/2."""
        regions = self.tp + 0.5 * self.fp + 0.5 * self.fn
        return self.tp / regions if regions else np.nan


def panoptic_quality(
    pred: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None, *, num_labels: int
) -> Any:
    """Class-agnostic PQ of label maps, on the host in float64.

    Ignored and masked pixels are in no region, predicted or true: a predicted region is judged by
    what remains of it. `panoptic_counts` can follow panopticapi's rule instead.

    Args:
        pred: integer label maps [..., H, W]; negative where there is no region, which counts as one
            region more.
        target: integer label maps of the same shape; negative ids are ignored.
        mask: bool of the same shape, true where pixels count; None counts all.
        num_labels: L, more than the largest id of either map.

    Returns:
        A float64 scalar in [0, 1] for maps [H, W], a float64 array [...] for [..., H, W]. NaN for a
        map without a pixel to score.

    Raises:
        InputError: shapes or dtypes do not fit, an id is >= L, or called under `jit`.

    Example:
        >>> float(panoptic_quality([[0, 0, 1, 1, 2]], [[5, 5, 6, 6, 6]], num_labels=7))
        0.6666666666666666
    """
    metric = panoptic_quality_from_table
    return metric_per_map(metric, pred, target, mask, num_labels=num_labels)


def panoptic_quality_from_table(table: ArrayLike) -> Any:
    """`panoptic_quality` of contingency tables, integers [..., P, T] -> float64 [...]."""
    return metric_per_table(lambda counts: panoptic_counts(counts).pq, table)


def panoptic_counts(
    table: ArrayLike, *, ignored: ArrayLike | None = None, unassigned: int | None = None
) -> PanopticCounts:
    """Matched, superfluous and missed regions of one table [P, T].

    Args:
        table: pixels of each (predicted, target) pair of regions, without ignored pixels.
        ignored: int [P], ignored pixels of each predicted region. If it is given, panopticapi's
            rule holds: a region without a partner is not counted as superfluous if more than half
            of it is ignored. With None it counts, however little remains of it.
        unassigned: row of the pixels that no predicted region claims, which is then no region and
            cannot be superfluous (panopticapi's void in a prediction). With None every row is a
            region, which is this package's rule.

    Returns:
        The counts; rows and columns without a pixel are no regions.

    Raises:
        InputError: the table does not hold integers [P, T], or `ignored` is of another length.
    """
    counts = check_table(table)
    in_pred, in_target = counts.sum(1), counts.sum(0)
    void = check_ignored(ignored, counts)
    regions = in_pred + void > 0 if ignored is not None else in_pred > 0
    if unassigned is not None:
        regions[unassigned] = False
    iou = counts / np.maximum(in_pred[:, None] + in_target - counts, 1)
    # In integers, so that IoU > 1/2 does not depend on a rounding.
    pairs = (3 * counts > in_pred[:, None] + in_target) & regions[:, None]
    tp = int(pairs.sum())
    alone = regions & ~pairs.any(1)
    if ignored is not None:
        alone &= 2 * void <= in_pred + void
    missed = int((in_target > 0).sum()) - tp
    return PanopticCounts(float(iou[pairs].sum()), tp, int(alone.sum()), missed)


def check_ignored(ignored: ArrayLike | None, counts: np.ndarray) -> np.ndarray:
    """Ignored pixels of each row as int64 [P], zeros for None; InputError if it does not fit."""
    if ignored is None:
        return np.zeros(len(counts), np.int64)
    pixels = np.asarray(ignored)
    if pixels.shape != (len(counts),) or not np.issubdtype(pixels.dtype, np.integer):
        raise InputError(
            f"ignored must be integers [{len(counts)}], one for each row of the table, got "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    return pixels.astype(np.int64)
