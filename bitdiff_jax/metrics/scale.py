"""ODS and OIS: a method's metric at one parameter for all images, or at the best for each.

The BSDS500 benchmark (Arbelaez et al. 2011): *optimal dataset scale* takes the one value
of the parameter that is best for the whole set, *optimal image scale* the best value for each
image. Both look at the truth: they bound what a choice of the parameter can reach.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.boundary import BoundaryCounts


class Optimum(NamedTuple):
    """ODS and OIS of a metric; NaN (and index -1) if no image has the metric."""

    ods: float
    ods_index: int  # index of the parameter value that is best, the first of equals
    ois: float


def optimal_scales(
    values: ArrayLike, *, weights: ArrayLike | None = None, lower_is_better: bool = False
) -> Optimum:
    """ODS and OIS of a metric that is averaged over images.

    For the Rand index and the variation of information the benchmark takes the plain mean over
    images; for covering it adds up numerator and denominator, so pass `CoveringCounts.covering`
    with `.pixels` as weights.

    Args:
        values: float [images, parameters]; images with a NaN are left out.
        weights: float [images] >= 0; None for the plain mean.
        lower_is_better: whether low values are better, as for the variation of information.

    Raises:
        InputError: values are not [images, parameters], or weights are not [images].
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(f"values must be [pictures, parameters], got shape {table.shape}")
    weight = np.ones(len(table)) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != table.shape[:1]:
        raise InputError(f"weights must be [{len(table)}], got shape {weight.shape}")
    known = ~np.isnan(table).any(1) & (weight > 0)
    if not known.any():
        return Optimum(np.nan, -1, np.nan)
    table, weight = table[known], weight[known]
    sign = -1.0 if lower_is_better else 1.0
    means = np.average(table, axis=0, weights=weight)
    index = int(np.argmax(sign * means))
    best = sign * (sign * table).max(1)
    return Optimum(float(means[index]), index, float(np.average(best, weights=weight)))


def optimal_boundary_scales(counts: Sequence[Sequence[BoundaryCounts]]) -> Optimum:
    """ODS and OIS of the boundary F, whose counts are added up before they are divided.

    It differs from the benchmark in two things: F is taken at the given parameters and not between
    them (interpolation has a meaning for thresholds of a contour map, not for a list of
    segmentations), and an image without boundaries counts as right (`BoundaryCounts`) when its best
    parameter is chosen.

    Args:
        counts: counts of each image at each parameter, `counts[image][parameter]`.

    Raises:
        InputError: there is no image, or images differ in the number of parameters.
    """
    if len({len(row) for row in counts}) != 1 or not counts[0]:
        raise InputError(
            f"counts has {len(counts)} pictures of {sorted({len(row) for row in counts})} "
            "parameters; each needs the same number, one or more"
        )
    table = np.asarray(counts, np.int64)
    totals = [BoundaryCounts(*column.tolist()).f for column in table.sum(0)]
    index = int(np.argmax(totals))
    best = [row[int(np.argmax([each.f for each in row]))] for row in counts]
    ois = BoundaryCounts(*np.asarray(best, np.int64).sum(0).tolist()).f
    return Optimum(totals[index], index, ois)
