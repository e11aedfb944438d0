"""Entity AP of a set of images whose regions have scores, from what each image's row keeps.

A row keeps for each view the score of every region and, as one character per annotator, at how many
of the ten thresholds it was matched ('a' is 10, '-' is a region wholly on pixels that the annotator
did not label):

    {"native": {"scores": [0.93, 0.4], "found": ["a3", "70"]}}

Regions are those of the partition, each with the score of its mask. Pixels of no mask, which are
one more region for other metrics, are no region here, because they have no score. Scores are kept
as float32.
"""

import array
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.statistics.estimates import Estimate, estimate
from bitdiff_jax.metrics import Metric

KEY = "regions"
METRICS = {
    each.name: each
    for each in (
        Metric("ap_ranked", "entity AP, regions ranked by their score", "high"),
        Metric("ap50_ranked", "the same at IoU .50", "high", main=False),
        Metric("ap75_ranked", "the same at IoU .75", "high", main=False),
    )
}
_DIGITS = "0123456789a"
_NONE = "-"
# Greatest number of regions times resamples of an interval, and of different scores in it.
_BUDGET = 100_000_000
_RANKS = 100_000


def kept(
    ids: np.ndarray,
    scores: np.ndarray | None,
    annotators: Sequence[np.ndarray],
    views: Sequence[View],
) -> dict[str, Any]:
    """The part of a row for entity AP, by `KEY`; {} for a map whose regions have no scores.

    Args:
        ids: the one sample, int [h, w]; negative pixels are of no region.
        scores: scores of ids 0..n-1, float [n]; None if there are none.
        annotators: truths, as for `image_measures.score`.
        views: sizes and rules of the comparisons.

    Raises:
        InputError: an id has no score.
    """
    if scores is None:
        if (ids >= 0).any():
            return {}
        scores = np.zeros(0)
    if ids.max(initial=-1) >= len(scores):
        raise InputError(f"region {ids.max()} has no score; there are {len(scores)}")
    return {KEY: {view.name: _of_view(ids, scores, annotators, view) for view in views}}


def _of_view(
    ids: np.ndarray, scores: np.ndarray, annotators: Sequence[np.ndarray], view: View
) -> dict[str, Any]:
    shape = annotators[0].shape
    left = np.asarray(scores, np.float32)[view.regions(ids, shape)]
    pred = view.prediction(ids, shape)
    found = []
    for truth in map(view.truth, annotators):
        if not (truth >= 0).any():
            continue
        table = contingency(pred, truth)
        # Unassigned pixels are the last row, if there are any.
        rank = np.append(left, np.zeros(len(table) - len(left), np.float32))
        unassigned = len(left) if len(table) > len(left) else None
        matches = metrics.entity_matches(table, rank, unassigned=unassigned, max_regions=None)
        rows = metrics.found_by_row(matches, len(table))[: len(left)]
        found.append("".join(_NONE if row < 0 else _DIGITS[row] for row in rows))
    return {"scores": [float(f"{score:.9g}") for score in left], "found": found}


class Ranked(NamedTuple):
    """The regions of a set of images in one view."""

    regions: metrics.RankedRegions
    scored: np.ndarray  # bool [images], whether an image's regions have scores

    def of(self, index: np.ndarray) -> "Ranked":
        """The regions of some of the images, each at most once, in this order."""
        place = np.full(len(self.scored), -1, np.int32)
        place[index] = np.arange(len(index))
        image = place[self.regions.image]
        chosen = image >= 0
        _, *others = (each[chosen] for each in self.regions)
        return Ranked(metrics.RankedRegions(image[chosen], *others), self.scored[index])


class Collector:
    """Collects the regions of all rows, 13 bytes per region and annotator."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[array.array, ...]] = {}
        self._scored: dict[str, list[int]] = {}

    def add(self, image: int, kept: Mapping[str, Any]) -> None:
        """Adds the regions of one image."""
        for view, each in kept.items():
            columns = self._columns.setdefault(
                view, tuple(array.array(code) for code in ("i", "f", "b", "f"))
            )
            self._scored.setdefault(view, []).append(image)
            for text in each["found"]:
                for score, digit in zip(each["scores"], text, strict=True):
                    if digit != _NONE:
                        row = image, score, _DIGITS.index(digit), 1 / len(each["found"])
                        for column, value in zip(columns, row, strict=True):
                            column.append(value)

    def ranked(self, num_images: int) -> dict[str, Ranked]:
        """The regions of images 0..n-1, by view."""
        types = (np.int32, np.float32, np.int8, np.float32)
        result = {}
        for view, columns in self._columns.items():
            arrays = (np.array(each, t) for each, t in zip(columns, types, strict=True))
            scored = np.zeros(num_images, bool)
            scored[self._scored[view]] = True
            result[view] = Ranked(metrics.RankedRegions(*arrays), scored)
        return result


def estimates(
    ranked: Ranked | None, num_target: np.ndarray, *, seed: int = 0
) -> dict[str, Estimate]:
    """The metrics of `METRICS` with 95 % bootstrap intervals over images.

    The interval is from a hundred resamples for large sets (a million regions), and from two
    thousand for small ones.

    Args:
        ranked: the regions in one view; None if there are none.
        num_target: number of true regions of each image, float [images]; NaN for images that do not
            take part.
        seed: seed of the resampling.

    Returns:
        The estimates by name; all are NaN unless every image that takes part has scores.
    """
    known = np.isfinite(num_target)
    if ranked is None or not known.any() or not ranked.scored[known].all():
        nothing = Estimate(math.nan, math.nan, math.nan, 0)
        return dict.fromkeys(METRICS, nothing)
    ranked = ranked.of(np.flatnonzero(known))
    targets = num_target[known]
    count = len(targets)
    value = metrics.ranked_ap(ranked.regions, targets)
    resamples = int(np.clip(_BUDGET // max(1, len(ranked.regions.score)), 100, 2000))
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, 3))
    for block in np.array_split(np.arange(resamples), max(1, resamples // 50)):
        times = [np.bincount(rng.integers(count, size=count), minlength=count) for _ in block]
        drawn[block] = metrics.ranked_ap(ranked.regions, targets, np.array(times), max_ranks=_RANKS)
    # Joining ranks lowers the metric a little, in the resamples and on the whole set alike.
    lowered = value - metrics.ranked_ap(ranked.regions, targets, max_ranks=_RANKS)
    low, high = np.nanquantile(drawn + lowered, [0.025, 0.975], axis=0)
    return {name: estimate(value[i], low[i], high[i], count) for i, name in enumerate(METRICS)}
