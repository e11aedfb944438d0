"""A mean over images and how far other images of the kind would move it."""

import math
from typing import NamedTuple

import numpy as np

_RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean over images and what it would be with other images of the kind."""

    mean: float
    low: float  # of the 95 % interval
    high: float
    num_images: int  # that have the metric


def bootstrap(values: np.ndarray, *, seed: int = 0, resamples: int = _RESAMPLES) -> Estimate:
    """Mean of the finite values with the 95 % percentile interval of the bootstrap over them.

    The interval is that of the choice of images; it says nothing of another training.

    Args:
        values: float [n]; NaN are left out. Their order plays no part.
        seed: of the resampling.
        resamples: number of resampled means.

    Returns:
        NaN throughout if no value is finite; an interval of width 0 for a single one.
    """
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high), len(values))
