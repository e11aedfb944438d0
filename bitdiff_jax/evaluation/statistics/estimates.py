"""A mean over images, and the interval of its values on other images of the same kind."""

import math
from typing import NamedTuple

import numpy as np

_RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean over images, and its 95 % interval over other images of the same kind."""

    mean: float
    low: float  # lower end of the 95 % interval; NaN for one image, which says nothing of others
    high: float
    num_images: int  # number of images that have the metric


def estimate(mean: float, low: float, high: float, num_images: int) -> Estimate:
    """An `Estimate` of plain numbers, without the interval if it is of one image."""
    if num_images < 2:
        low = high = math.nan
    return Estimate(float(mean), float(low), float(high), num_images)


def interval_text(low: float, high: float, digits: int = 4, sign: str = "") -> str:
    """'[0.1234, 0.2345]', or 'no interval'.

    Args:
        low: lower end, NaN without an interval.
        high: upper end.
        digits: number of digits behind the point.
        sign: '+' for differences.
    """
    if not math.isfinite(low):
        return "no interval"
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def bootstrap(values: np.ndarray, *, seed: int = 0, resamples: int = _RESAMPLES) -> Estimate:
    """Mean of the finite values with the 95 % percentile interval of the bootstrap over them.

    The interval accounts for the choice of images, not for the variation of trainings.

    Args:
        values: values of the images, float [n]; NaN are left out. Their order does not matter.
        seed: seed of the resampling.
        resamples: number of resampled means.

    Returns:
        The estimate; all NaN if no value is finite, and without an interval for a single one.
    """
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return estimate(values.mean(), low, high, len(values))
