"""A mean over images, and the interval of its values on other images of the same kind."""

import math
from typing import NamedTuple

import numpy as np

_RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean over images, and its 95 % interval over other images of the same kind."""

    mean: float
    low: float  # lower end of the 95 % interval
    high: float
    num_images: int  # number of images that have the metric


def bootstrap(values: np.ndarray, *, seed: int = 0, resamples: int = _RESAMPLES) -> Estimate:
    """Mean of the finite values with the 95 % percentile interval of the bootstrap over them.

    The interval accounts for the choice of images, not for the variation of trainings.

    Args:
        values: values of the images, float [n]; NaN are left out. Their order does not matter.
        seed: seed of the resampling.
        resamples: number of resampled means.

    Returns:
        The estimate; all NaN if no value is finite, and with an interval of width 0 for a single
        one.
    """
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high), len(values))
