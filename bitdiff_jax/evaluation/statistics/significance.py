"""Intervals and tests of means and differences over images.

Images are the units that are resampled: intervals and tests account for the choice of images, not
for the variation of trainings or seeds.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax.evaluation.statistics.estimates import Estimate, estimate

# Greatest number of values in a block of resampled counts.
_BLOCK = 1 << 22
# Greatest number of images for which all sign flips are tried.
_ALL_FLIPS = 14


def intervals(
    values: np.ndarray, *, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> list[Estimate]:
    """Mean and percentile bootstrap interval of each column, from the same resamples.

    Args:
        values: float [images, metrics]; NaN are left out, column by column.
        seed: seed of the resampling.
        resamples: number of resampled means.
        level: coverage of the interval, in (0, 1).

    Returns:
        An `Estimate` for each column: all NaN for a column without a finite value, and without an
        interval for a single value.
    """
    values = np.asarray(values, np.float64)
    means = resampled_means(values, seed=seed, resamples=resamples)
    finite = np.isfinite(values)
    result = []
    tails = [(1 - level) / 2, (1 + level) / 2]
    for column, known, resampled in zip(values.T, finite.T, means.T, strict=True):
        resampled = resampled[np.isfinite(resampled)]  # a resample may contain none of few values
        if not known.any():
            result.append(Estimate(math.nan, math.nan, math.nan, 0))
            continue
        low, high = np.quantile(resampled, tails)
        mean = column[known].mean()
        result.append(estimate(mean, low, high, int(known.sum())))
    return result


def resampled_means(values: np.ndarray, *, seed: int = 0, resamples: int = 2000) -> np.ndarray:
    """Means of the columns over images drawn with replacement: float64 [resamples, metrics].

    It takes one matrix product per block of resamples, so that a hundred metrics of 33,000 images
    take seconds and a bounded memory.
    """
    num = len(values)
    if not num:
        return np.full((resamples, values.shape[1]), math.nan)
    finite = np.isfinite(values)
    # Taken about the mean, so that equal values give exactly their own mean.
    count = np.maximum(finite.sum(axis=0), 1)
    centre = np.where(finite, values, 0.0).sum(axis=0) / count
    deviation = np.where(finite, values - centre, 0.0)
    deviation[:, (np.abs(deviation) < 1e-12 * np.maximum(np.abs(centre), 1)).all(axis=0)] = 0.0
    complete = bool(finite.all())
    known = finite.astype(np.float64)
    rng = np.random.default_rng(seed)
    means = []
    block = max(1, _BLOCK // num)
    for first in range(0, resamples, block):
        size = min(block, resamples - first)
        rows = np.arange(size)[:, None] * num + rng.integers(num, size=(size, num))
        counts = np.bincount(rows.ravel(), minlength=size * num).reshape(size, num).astype(float)
        drawn = np.full((size, 1), float(num)) if complete else counts @ known
        with np.errstate(invalid="ignore", divide="ignore"):
            means.append(centre + counts @ deviation / drawn)
    return np.concatenate(means)


class Paired(NamedTuple):
    """The difference of two systems on the same images."""

    difference: float  # mean of first - second
    low: float  # lower end of the 95 % bootstrap interval; NaN for one image
    high: float
    p: float  # two-sided p of the sign-flip test
    num_images: int  # number of images that both systems have


def paired(
    first: np.ndarray, second: np.ndarray, *, seed: int = 0, resamples: int = 10_000
) -> Paired:
    """Tests whether two systems differ in the mean over images.

    It is the sign-flip permutation test (Fisher 1935): if neither were better, each image's
    difference would have either sign with the same probability. p is the share of sign patterns
    whose mean is at least as far from 0: of all 2^n up to n = 14, otherwise of `resamples` random
    ones and the observed one.

    Args:
        first: metric of the first system on each image, float [n].
        second: metric of the second system on the same images, float [n]. Images where either is
            NaN are left out.
        seed: seed of the resampling.
        resamples: number of random sign patterns, and of bootstrap resamples.

    Returns:
        The difference with its interval and p; all NaN without an image.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    differences = differences[np.isfinite(differences)]
    num = len(differences)
    if not num:
        return Paired(math.nan, math.nan, math.nan, math.nan, 0)
    found = intervals(differences[:, None], seed=seed, resamples=resamples)[0]
    observed = abs(differences.sum())
    # Patterns that tie with the observed one count, whatever the order of summation rounds to.
    reach = observed - 1e-12 * np.abs(differences).sum()
    if num <= _ALL_FLIPS:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=num)))
        p = float((np.abs(signs @ differences) >= reach).mean())
    else:
        rng = np.random.default_rng(seed)
        hits, block = 0, max(1, _BLOCK // num)
        for start in range(0, resamples, block):
            size = min(block, resamples - start)
            signs = rng.integers(0, 2, size=(size, num), dtype=np.int8) * 2.0 - 1.0
            hits += int((np.abs(signs @ differences) >= reach).sum())
        p = (hits + 1) / (resamples + 1)
    return Paired(found.mean, found.low, found.high, p, num)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979) of the p of several tests; NaN stays and is not a test."""
    p = np.asarray(p_values, np.float64)
    result = np.full(len(p), math.nan)
    known = np.flatnonzero(np.isfinite(p))
    largest = 0.0
    for rank, index in enumerate(known[np.argsort(p[known], kind="stable")]):
        largest = max(largest, min(1.0, p[index] * (len(known) - rank)))
        result[index] = largest
    return result.tolist()


def verdict(result: Paired, p: float, names: tuple[str, str], better: str | None) -> str:
    """The name of the better system, or 'undecided'.

    Args:
        result: result of `paired`, first - second.
        p: the corrected p, which decides at .05.
        names: names of the first and second system.
        better: whether 'high' or 'low' values are better; if neither is, the system with the larger
            value is named.
    """
    if not p < 0.05 or result.difference == 0:
        return "undecided"
    first = (result.difference > 0) == (better != "low")
    return names[0] if first else names[1]
