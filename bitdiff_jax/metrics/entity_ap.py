"""Entity AP: COCO's average precision of masks with one class and no overlaps.

AP^e (Qi et al., "Open-world entity segmentation", 2022): the regions of all images are
ranked by score and matched to true regions at IoU 0.50, 0.55 ... 0.95; the precision, made
non-increasing, is read at 101 recalls and averaged (Lin et al. 2014, as pycocotools computes it).
AP_50 and AP_75 are those of one threshold. It is a metric of a set of images: `entity_matches`
gives what one image adds, `entity_ap` the metric of many (or of one).

A partition has no scores of its own, so the score is part of the metric and has to be stated:

* `region_scores`: the mean over a region's pixels of a map of certainty;
* whatever score a detector wrote for its region;
* no score at all: `entity_ap(matches, ranked=False)` takes one score for all regions. They enter
  together, so the precision P is the same at every recall up to R and AP = P x (recalls <= R).
  pycocotools, given equal scores, ranks by the order of images and ids instead, which is no
  property of the maps; `ranked=True` with equal scores does the same. `ranked_ap.ranked_ap` ranks
  by scores and lets equal ones enter together.

A rule that makes a partition of overlapping masks changes the masks. AP here is that of the
partition's regions, each with the score of the mask that it remains of; a mask that lies wholly
below others gives no region.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.host import check_table
from bitdiff_jax.metrics.panoptic import check_ignored

# Computed as pycocotools does, to stand on the same side of each threshold.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)


class EntityMatches(NamedTuple):
    """One image's regions, by descending score; small enough to keep for every image."""

    scores: np.ndarray  # float64 [D], of the D predicted regions
    matched: np.ndarray  # bool [D, 10], whether it is matched at each of THRESHOLDS
    ignored: np.ndarray  # bool [D, 10], whether it is neither right nor wrong there
    num_target: int
    rows: np.ndarray  # intp [D], the region's row in the table


class EntityAP(NamedTuple):
    """Entity AP of a set of images; NaN without a true region in any of them."""

    ap: float  # mean over THRESHOLDS
    ap50: float
    ap75: float


def region_scores(pred: ArrayLike, certainty: ArrayLike, num_regions: int) -> np.ndarray:
    """Mean certainty of each region's pixels, the score that this package gives a region.

    Args:
        pred: int [H, W] ids in [0, P - 1); negative pixels are row P - 1, as in
            `contingency_table`.
        certainty: float [H, W], higher is surer.
        num_regions: number P of rows of the contingency table of `pred`.

    Returns:
        float64 [P]; 0 for a region without a pixel.
    """
    ids, sure = np.asarray(pred).ravel(), np.asarray(certainty, np.float64).ravel()
    if ids.shape != sure.shape or ids.max(initial=-1) >= num_regions:
        raise InputError(
            f"pred has {ids.size} pixels and ids up to {ids.max(initial=-1)}, certainty "
            f"{sure.size} pixels, num_regions is {num_regions}: sizes must agree, ids be smaller"
        )
    rows = np.where(ids < 0, num_regions - 1, ids)
    pixels = np.bincount(rows, minlength=num_regions)
    return np.bincount(rows, sure, minlength=num_regions) / np.maximum(pixels, 1)


def entity_matches(
    table: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    ignored: ArrayLike | None = None,
    unassigned: int | None = None,
    max_regions: int | None = 100,
) -> EntityMatches:
    """What one image adds to entity AP.

    The matching is that of pycocotools: by descending score, each region takes the free true region
    with which its IoU is largest and at least the threshold. Equal scores keep the order of ids,
    and of equal IoUs the last true region is taken.

    Args:
        table: integers [P, T], pixels of each (predicted, target) pair without ignored pixels.
        scores: finite float [P], score of each predicted region; None gives all the same score.
        ignored: int [P], ignored pixels of each predicted region. If it is given, the ignored
            pixels are one COCO crowd: they belong to the region's area, and a region that finds no
            partner is neither right nor wrong if the share of it that is ignored reaches the
            threshold. With None, ignored pixels are in no region.
        unassigned: row of the pixels that no predicted region claims, which is then no region. With
            None every row is a region, which is this package's rule.
        max_regions: number of regions that are kept, those with the highest scores; 100 as
            published, and None keeps all.

    Returns:
        The matches; rows and columns without a pixel are no regions.

    Raises:
        InputError: the table is not of integers [P, T], or scores or `ignored` do not fit it.

    Example:
        >>> one = entity_matches(np.array([[4, 0], [1, 3]]), scores=[0.9, 0.6])
        >>> round(entity_ap([one]).ap75, 3), round(entity_ap([one], ranked=False).ap75, 3)
        (1.0, 1.0)
    """
    counts = check_table(table)
    crowd = check_ignored(ignored, counts)
    area, in_target = counts.sum(1) + crowd, counts.sum(0)
    rank = np.zeros(len(counts)) if scores is None else np.asarray(scores, np.float64)
    if rank.shape != (len(counts),) or not np.isfinite(rank).all():
        raise InputError(
            f"scores must be finite numbers [{len(counts)}], one for each row of the table, got "
            f"shape {rank.shape}"
        )
    regions = area > 0
    if unassigned is not None:
        regions[unassigned] = False
    rows = np.flatnonzero(regions)
    rows = rows[np.argsort(-rank[rows], kind="stable")][:max_regions]
    columns = np.flatnonzero(in_target)
    shared = counts[np.ix_(rows, columns)]
    iou = shared / np.maximum(area[rows, None] + in_target[columns] - shared, 1)
    in_crowd = crowd[rows] / np.maximum(area[rows], 1)
    matched = _match(iou)
    skipped = ~matched & (in_crowd[:, None] >= THRESHOLDS) & (crowd[rows, None] > 0)
    return EntityMatches(rank[rows], matched, skipped, len(columns), rows)


def _match(iou: np.ndarray) -> np.ndarray:
    """Matches greedily in the order of rows: bool [D, 10], whether a free column was found."""
    matched = np.zeros((len(iou), len(THRESHOLDS)), bool)
    # Regions are disjoint: only at IoU = 1/2 can a region have two to choose from.
    candidates = [np.flatnonzero(row >= THRESHOLDS[0]) for row in iou]
    for k, threshold in enumerate(THRESHOLDS):
        taken: set[int] = set()
        for d, columns in enumerate(candidates):
            free = [(iou[d, j], j) for j in columns if j not in taken and iou[d, j] >= threshold]
            if free:
                taken.add(int(max(free)[1]))
                matched[d, k] = True
    return matched


def entity_ap(matches: Sequence[EntityMatches], *, ranked: bool = True) -> EntityAP:
    """Entity AP of a set of images, float64 in [0, 1].

    Args:
        matches: `entity_matches` of each image. Equal scores of different images keep the order of
            images.
        ranked: whether scores rank the regions. False takes all scores as equal and all regions at
            once, as the module's docstring describes.

    Returns:
        AP^e, AP^e_50 and AP^e_75.
    """
    num_target = sum(each.num_target for each in matches)
    if not num_target:
        return EntityAP(np.nan, np.nan, np.nan)
    scores = np.concatenate([each.scores for each in matches])
    order = np.argsort(-scores, kind="stable")
    matched = np.concatenate([each.matched for each in matches])[order]
    wrong = ~matched & ~np.concatenate([each.ignored for each in matches])[order]
    values = [
        _average_precision(matched[:, k], wrong[:, k], num_target, ranked)
        for k in range(len(THRESHOLDS))
    ]
    return EntityAP(float(np.mean(values)), values[0], values[5])


def _average_precision(
    matched: np.ndarray, wrong: np.ndarray, num_target: int, ranked: bool
) -> float:
    right, all_wrong = np.cumsum(matched), np.cumsum(wrong)
    if not ranked:
        right, all_wrong = right[-1:], all_wrong[-1:]
    # Before the first region that is right or wrong there is no precision yet.
    precision: Any = right / np.maximum(right + all_wrong, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / num_target, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())
