"""Several samples against several annotators: how alike two distributions over partitions are.

Every metric here is made of one distance between two partitions, and there are three of them:

* `rand`: 1 - Rand index, the share of pixel pairs that one map joins and the other parts.
* `ari`: 1 - adjusted Rand index; may exceed 1 a little.
* `iou`: 1 - the symmetric IoU (matched regions, mean over the larger number of them).

All three are symmetric, and 0 for equal partitions. Distances are taken over the pixels that all
annotators labelled, so that all distances of an image are over the same pixels.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.host_contingency import as_partition, contingency
from bitdiff_jax.metrics.measure import Better, Metric

SelfPairs = Literal["left_out", "counted"]
_similar: dict[str, Callable[[np.ndarray], float]] = {
    "rand": metrics.rand_index_from_table,
    "ari": metrics.adjusted_rand_index_from_table,
    "iou": functools.partial(metrics.hungarian_iou_from_table, penalise_extra=True),
}
# The distances by name, each with its formula.
DISTANCES: dict[str, str] = {"rand": "1 - Rand", "ari": "1 - ARI", "iou": "1 - symmetric IoU"}


class Distances(NamedTuple):
    """Distances of one kind between the maps of one image; float64, NaN where none is defined."""

    cross: np.ndarray  # [n, m], from sample to annotator
    samples: np.ndarray  # [n, n], between samples; symmetric, 0 on the diagonal
    annotators: np.ndarray  # [m, m], between annotators; symmetric, 0 on the diagonal


def distances(
    samples: Sequence[np.ndarray], annotators: Sequence[np.ndarray]
) -> dict[str, Distances]:
    """All distances between the maps of one image, by name.

    Args:
        samples: n >= 1 predictions, int [h, w]; the negative pixels of each form one region.
        annotators: m >= 0 truths of the same shape; negative = not labelled.

    Returns:
        A `Distances` for each of `DISTANCES`; NaN if there is no pixel that all annotators
        labelled.

    Raises:
        InputError: there is no sample, or shapes differ.
    """
    shapes = {np.shape(each) for each in (*samples, *annotators)}
    if not len(samples) or len(shapes) != 1:
        raise InputError(
            f"{len(samples)} samples and maps of shapes {sorted(shapes)}: "
            "bring one or more samples to the truth's shape"
        )
    common = np.logical_and.reduce([np.asarray(truth) >= 0 for truth in annotators], axis=0)
    keep = np.broadcast_to(common, shapes.pop())
    # Each map as a row of the common pixels, numbered anew without regions outside of them.
    maps = [_at(keep, as_partition(each)) for each in samples] + [_at(keep, t) for t in annotators]
    size, split = len(maps), len(samples)
    values = {name: np.full((size, size), math.nan) for name in DISTANCES}
    for matrix in values.values():
        if keep.any():
            np.fill_diagonal(matrix, 0.0)
    for i in range(size if keep.any() else 0):
        for j in range(i):
            table = contingency(maps[i], maps[j])
            for name, similar in _similar.items():
                values[name][i, j] = values[name][j, i] = 1 - similar(table)
    return {
        name: Distances(m[:split, split:], m[:split, :split], m[split:, split:])
        for name, m in values.items()
    }


def _at(keep: np.ndarray, ids: np.ndarray) -> np.ndarray:
    kept = np.asarray(ids)[keep][None]
    return as_partition(kept) if kept.size else kept


def ged2(d: Distances, *, self_pairs: SelfPairs = "left_out") -> float:
    """Squared generalised energy distance between samples S and annotators Y.

    GED^2 = 2 E d(S, Y) - E d(S, S') - E d(Y, Y')   (Szekely & Rizzo 2013, doi
    10.1016/j.jspi.2013.03.018; for segmentations Kohl et al. 2018, arXiv 1806.05034). With d `rand`
    it is exactly twice the mean over pixel pairs of (q - p)^2, where q and p are the probabilities
    that a sample and that an annotator joins the pair; so 0 says that they agree on every pair.

    Args:
        d: distances of one kind.
        self_pairs: which pairs the means are over. 'left_out' takes pairs of distinct samples and
            of distinct annotators, which is unbiased for any numbers of them and may be negative.
            'counted' takes all n^2 and m^2 pairs, as the literature does, which favours systems
            with more samples and is not below 0 with d `rand`.

    Returns:
        A float; NaN without annotators and, if self-pairs are left out, for a single sample or a
        single annotator.
    """
    if not d.cross.size:
        return math.nan
    within = spread(d.samples, self_pairs=self_pairs) + spread(d.annotators, self_pairs=self_pairs)
    return float(2 * d.cross.mean() - within)


def spread(square: np.ndarray, *, self_pairs: SelfPairs = "left_out") -> float:
    """Mean distance within a set of maps: its diversity, or how far annotators disagree.

    Args:
        square: distances between the maps, [n, n].
        self_pairs: which pairs the mean is over, see `ged2`.

    Returns:
        A float; NaN for no map, and for a single one if self-pairs are left out.
    """
    if self_pairs not in ("left_out", "counted"):
        raise InputError(f"self_pairs={self_pairs!r} is not known: use 'left_out' or 'counted'")
    count = len(square)
    pairs = count * (count - 1) if self_pairs == "left_out" else count**2
    return float(square.sum() / pairs) if pairs else math.nan


def best_of_n(values: np.ndarray, *, better: Literal["high", "low"] = "high") -> float:
    """The best sample's mean over annotators: the score of one well chosen sample.

    Args:
        values: a metric of each sample and annotator, [n, m].
        better: whether 'high' or 'low' values are better.
    """
    means = values.mean(axis=1)
    return float(means.max() if better == "high" else means.min())


def best_of_n_per_annotator(
    values: np.ndarray, *, better: Literal["high", "low"] = "high"
) -> float:
    """The mean over annotators of each one's best sample; at least as good as `best_of_n`."""
    best = values.max(axis=0) if better == "high" else values.min(axis=0)
    return float(best.mean())


def medoid(square: np.ndarray) -> int:
    """Index of the map with the least sum of distances to the others; the lowest of equals.

    With distances `rand` it is the map that `bitdiff segment` writes
    (`posterior.agreement.medoid`). It does not depend on a truth.
    """
    return int(np.argmin(square.sum(axis=1)))


def coverage(d: Distances) -> float:
    """Share of annotators for whom some sample is at least as near as the nearest other annotator.

    This is the coverage of Naeem et al. 2020 (arXiv 2002.09797) with k = 1: the ball around an
    annotator reaches to the nearest other annotator.

    Returns:
        A float in [0, 1]; NaN for fewer than two annotators.
    """
    if len(d.annotators) < 2 or np.isnan(d.cross).any():
        return math.nan
    others = np.where(np.eye(len(d.annotators), dtype=bool), np.inf, d.annotators)
    return float((d.cross.min(axis=0) <= others.min(axis=1)).mean())


def matched(d: Distances) -> float:
    """Mean similarity (1 - d) after the best one-to-one matching of samples to annotators.

    This is the Hungarian-matched IoU of Kohl et al. 2019 (arXiv 1905.13077) for any of the
    distances: both sets are repeated to the least common multiple of their sizes, so every
    annotator and every sample has the same weight. Samples that are all alike cannot reach 1 where
    annotators differ.

    Returns:
        A float; NaN without annotators.
    """
    # Imported here: as in `metrics`, reading the package must not cost the import of scipy.
    from scipy.optimize import linear_sum_assignment

    if not d.cross.size or np.isnan(d.cross).any():
        return math.nan
    count = math.lcm(*d.cross.shape)
    repeats = [count // size for size in d.cross.shape]
    cost = np.repeat(np.repeat(d.cross, repeats[0], axis=0), repeats[1], axis=1)
    return float(1 - cost[linear_sum_assignment(cost)].mean())


class SetMetric(NamedTuple):
    """A metric of all samples and annotators of an image together, made of one distance."""

    form: str  # form of its names, where {} is the name of the distance
    title: str
    better: Better | None
    function: Callable[[Distances], float]
    ranks: tuple[str, ...] = ()  # the distances with which it compares systems

    def metric(self, distance: str) -> Metric:
        """Makes the `Metric` of one of `DISTANCES`."""
        title = f"{self.title} ({DISTANCES[distance]})"
        name = self.form.format(distance)
        return Metric(name, title, self.better, main=name == "ged2_rand")


SET_METRICS = (
    SetMetric("ged2_{}", "squared energy distance", "low", ged2, tuple(DISTANCES)),
    SetMetric(
        "ged2_{}_counted", "the same, self-pairs counted", "low",
        functools.partial(ged2, self_pairs="counted"),
    ),
    SetMetric(
        "coverage_{}", "share of annotators with a sample as near as the nearest other annotator",
        "high", coverage, ("ari",),
    ),
    SetMetric(
        "matched_{}", "1 - distance, samples matched one to one to annotators", "high", matched,
        ("iou",),
    ),
    SetMetric(
        "diversity_{}", "mean distance between samples", None, lambda d: spread(d.samples)
    ),
    SetMetric(
        "diversity_{}_people", "mean distance between annotators", None,
        lambda d: spread(d.annotators),
    ),
)  # fmt: skip
