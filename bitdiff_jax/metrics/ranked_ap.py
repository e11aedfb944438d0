"""Entity AP of many images from a few bytes per region, where scores rank the regions.

All that the metric needs of a region is its score and at how many of the ten thresholds it was
matched: a region that is matched at one threshold is matched at every lower one, since regions are
disjoint.

Equal scores enter together, so that the order of images does not matter; if all scores are equal,
the result is that of `entity_ap(ranked=False)`. pycocotools ranks equal scores by image and id:
without equal scores the two agree, and with them the value here is the least that any order could
give there, that of the order with wrong regions first.
"""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.entity_ap import THRESHOLDS, EntityAP, EntityMatches

_RECALLS = np.linspace(0.0, 1.0, 101)
# For weights that do not add up exactly.
_SLACK = 1e-12


class RankedRegions(NamedTuple):
    """Predicted regions of a set of images, 13 bytes each, in any order."""

    image: np.ndarray  # int32 [N], in 0..images-1
    score: np.ndarray  # float32 [N], higher comes first
    found: np.ndarray  # int8 [N], at how many of the thresholds it was matched, 0 to 10
    weight: np.ndarray  # float32 [N]; 1, or 1 / annotators where an image has several


def found_by_row(matches: EntityMatches, num_rows: int) -> np.ndarray:
    """At how many thresholds each row of a table was matched, int [P]; -1 for a row without pixels.

    Raises:
        InputError: a region is ignored at some threshold, which this short form cannot express.
    """
    if matches.ignored.any():
        raise InputError("regions on ignored pixels have no short form; leave out ignored=")
    found = np.full(num_rows, -1)
    found[matches.rows] = matches.matched.sum(axis=1)
    return found


def ranked_ap(
    regions: RankedRegions,
    num_target: np.ndarray,
    times: np.ndarray | None = None,
    *,
    max_ranks: int | None = None,
) -> np.ndarray:
    """AP^e, AP^e_50 and AP^e_75 of a set of images, once or for resampled sets.

    Args:
        regions: predicted regions of all images.
        num_target: float [images], number of true regions of each (the mean over its annotators).
        times: float [..., images], how often each image is in a set; None takes each once.
        max_ranks: greatest number of different scores. Scores beyond it are taken as equal to their
            neighbours, which makes many resamples of many regions fast; None keeps all.

    Returns:
        float64 [..., 3]; NaN for a set without a true region.
    """
    targets = np.asarray(num_target, np.float64)
    sets = np.ones(len(targets)) if times is None else np.asarray(times, np.float64)
    # Ascending numbers for descending scores.
    rank = np.unique(-regions.score, return_inverse=True)[1]
    ranks = int(rank.max(initial=-1)) + 1
    if max_ranks is not None and ranks > max_ranks:
        rank, ranks = rank * max_ranks // ranks, max_ranks
    cell = regions.found.astype(np.int64) * ranks + rank
    # In float64: a third is 1 / 3 again, and whole numbers add up exactly.
    weight = 1 / np.rint(1 / regions.weight.astype(np.float64))
    slack = 0.0 if (weight == 1).all() else _SLACK
    result = np.empty((*sets.shape[:-1], 3))
    size = len(THRESHOLDS) + 1
    for index in np.ndindex(sets.shape[:-1]):
        weights = weight * sets[index][regions.image]
        counts = np.bincount(cell, weights, minlength=size * ranks).reshape(size, ranks)
        result[index] = _of_counts(counts, float(sets[index] @ targets), slack)
    return result


def _of_counts(counts: np.ndarray, num_target: float, slack: float) -> EntityAP:
    """AP from the weights of regions, by the thresholds at which they were matched and by rank."""
    if not num_target:
        return EntityAP(np.nan, np.nan, np.nan)
    entered = np.maximum(np.cumsum(counts.sum(axis=0)), _SLACK)
    above = np.zeros(counts.shape[1])
    values = np.empty(len(THRESHOLDS))
    for k in reversed(range(len(THRESHOLDS))):
        above = above + counts[k + 1]
        right = np.cumsum(above)
        precision = np.maximum.accumulate((right / entered)[::-1])[::-1]
        at = np.searchsorted(right / num_target, _RECALLS - slack, side="left")
        values[k] = np.append(precision, 0.0)[np.minimum(at, len(precision))].mean()
    return EntityAP(float(values.mean()), float(values[0]), float(values[5]))
