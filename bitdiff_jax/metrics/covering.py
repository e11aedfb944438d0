"""Segmentation covering: how well the best region of one partition covers each region of another.

C(S' -> S) = 1/N sum over R in S of |R| max over R' in S' of IoU(R, R') (Arbelaez, Maire, Fowlkes &
Malik, "Contour detection and hierarchical image segmentation", 2011). It is not symmetric;
the metric that the BSDS500 benchmark prints is the covering *of the truth* by the prediction. A
region may cover several: there is no one-to-one matching, unlike in `matching`.
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.host import check_table, metric_per_map, metric_per_table


class CoveringCounts(NamedTuple):
    """What the benchmark adds up over annotators and then over images before it divides."""

    covered: float  # sum over regions R of |R| times the best IoU of R
    pixels: int  # sum over regions R of |R|

    @property
    def covering(self) -> float:
        """Covered pixels over all pixels, in (0, 1]; NaN without a pixel."""
        return self.covered / self.pixels if self.pixels else np.nan


def segmentation_covering(
    pred: ArrayLike,
    target: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    num_labels: int,
    of: str = "target",
) -> Any:
    """Segmentation covering of label maps, on the host in float64.

    Args:
        pred: integer label maps [..., H, W]; negative where there is no region, which counts as one
            region more.
        target: integer label maps of the same shape; negative ids are ignored.
        mask: bool of the same shape, true where pixels count; None counts all.
        num_labels: L, more than the largest id of either map.
        of: "target", what BSDS500 reports, or "pred", the covering of the prediction by the target.

    Returns:
        A float64 scalar in (0, 1] for maps [H, W], a float64 array [...] for [..., H, W]. NaN for a
        map without a pixel to score.

    Raises:
        InputError: shapes or dtypes do not fit, an id is >= L, `of` is an unknown word, or it was
            called under `jit`.

    Example:
        >>> float(segmentation_covering([[0, 0, 1, 2]], [[5, 5, 6, 6]], num_labels=7))
        0.75
    """
    metric = functools.partial(segmentation_covering_from_table, of=of)
    return metric_per_map(metric, pred, target, mask, num_labels=num_labels)


def segmentation_covering_from_table(table: ArrayLike, *, of: str = "target") -> Any:
    """`segmentation_covering` of contingency tables, integers [..., P, T] -> float64 [...]."""
    return metric_per_table(lambda counts: covering_counts([counts], of=of).covering, table)


def covering_counts(tables: Iterable[ArrayLike], *, of: str = "target") -> CoveringCounts:
    """Sums over the tables [P, T] of one prediction and each annotator, as the BSDS500 benchmark.

    Each annotator weighs by the pixels that they labelled; where all label the whole image,
    `.covering` is the mean of their coverings.

    Args:
        tables: contingency tables of one prediction, integers [P, T], one per annotator.
        of: "target" or "pred", as in `segmentation_covering`.

    Raises:
        InputError: a table does not hold integers [P, T], or `of` is an unknown word.
    """
    if of not in ("target", "pred"):
        raise InputError(f"of is {of!r}; use 'target' or 'pred'")
    covered, pixels = 0.0, 0
    for table in tables:
        counts = check_table(table)
        sizes, best = best_overlaps(counts if of == "target" else counts.T)
        covered += float(sizes @ best)
        pixels += int(sizes.sum())
    return CoveringCounts(covered, pixels)


def best_overlaps(table: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Size int64 [T] of each target region of a table [P, T] and its best IoU float64 [T].

    Both are 0 for columns without a pixel. The maximum of the IoUs over several predictions gives
    the benchmark's third metric, the covering by the best region of any of them.
    """
    counts = check_table(table)
    in_pred, in_target = counts.sum(1, keepdims=True), counts.sum(0)
    union = in_pred + in_target - counts
    iou = counts / np.maximum(union, 1)
    return in_target, iou.max(axis=0, initial=0.0)
