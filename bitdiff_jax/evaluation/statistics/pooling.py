"""Metrics of a set of images: counts are added up over all of them before they are divided.

PQ, entity AP, covering and boundary F are published in this form. An image gives the mean of its
counts over its samples and annotators, so that each image has the same weight, however many
annotated it. Boundaries are compared with all annotators at once, as in the BSDS500 benchmark.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.evaluation.statistics import dataset_ap, ods_ois
from bitdiff_jax.metrics import Metric
from bitdiff_jax.metrics.entity_ap import THRESHOLDS

_THRESHOLDS = [f"{threshold:.2f}" for threshold in THRESHOLDS]
_OF_TABLE = (
    "sum_pq_iou",
    "sum_pq_tp",
    "sum_pq_fp",
    "sum_pq_fn",
    "sum_covered",
    "sum_pixels",
    *(f"sum_found_{threshold}" for threshold in _THRESHOLDS),
    "sum_regions",
    "sum_regions_true",
)
_OF_BOUNDARIES = tuple(f"sum_boundary_{name}" for name in metrics.BoundaryCounts._fields)
SUMS = (*_OF_TABLE, *_OF_BOUNDARIES)


class Pooled(NamedTuple):
    """A metric of a set of images."""

    metric: Metric
    function: Callable[[dict[str, np.ndarray]], np.ndarray]  # of sums or means of `SUMS`


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, math.nan)


def _regions(s: dict[str, np.ndarray]) -> np.ndarray:
    return s["sum_pq_tp"] + 0.5 * s["sum_pq_fp"] + 0.5 * s["sum_pq_fn"]


def _boundary(s: dict[str, np.ndarray]) -> np.ndarray:
    precision = _share(s["sum_boundary_right_pred"], s["sum_boundary_pred"])
    recall = _share(s["sum_boundary_right_target"], s["sum_boundary_target"])
    return _share(2 * precision * recall, precision + recall)


def _constant_ap(s: dict[str, np.ndarray], threshold: str) -> np.ndarray:
    """AP with one score for all regions: precision is the same at every recall that is reached."""
    precision = _share(s[f"sum_found_{threshold}"], s["sum_regions"])
    recall = _share(s[f"sum_found_{threshold}"], s["sum_regions_true"])
    reached = np.linspace(0.0, 1.0, 101) <= np.asarray(recall)[..., None] + 1e-12
    return np.where(np.isnan(recall), math.nan, precision * reached.mean(axis=-1))


_POOLED = (
    Pooled(
        Metric("pq_pooled", "panoptic quality of one class", "high", main=False),
        lambda s: _share(s["sum_pq_iou"], _regions(s)),
    ),
    Pooled(
        Metric("sq_pooled", "mean IoU of matched regions", "high", main=False),
        lambda s: _share(s["sum_pq_iou"], s["sum_pq_tp"]),
    ),
    Pooled(
        Metric("rq_pooled", "F1 of regions at IoU > 1/2", "high", main=False),
        lambda s: _share(s["sum_pq_tp"], _regions(s)),
    ),
    Pooled(
        Metric("covering_pooled", "segmentation covering", "high", main=False),
        lambda s: _share(s["sum_covered"], s["sum_pixels"]),
    ),
    Pooled(
        Metric(
            "boundary_f_pooled", "F of boundaries, against all annotators at once", "high",
            main=False,
        ),
        _boundary,
    ),
    Pooled(
        Metric("ap_constant", "entity AP, one score for all regions", "high", main=False),
        lambda s: np.mean([_constant_ap(s, each) for each in _THRESHOLDS], axis=0),
    ),
    Pooled(
        Metric("ap50_constant", "the same at IoU .50", "high", main=False),
        lambda s: _constant_ap(s, "0.50"),
    ),
    Pooled(
        Metric("ap75_constant", "the same at IoU .75", "high", main=False),
        lambda s: _constant_ap(s, "0.75"),
    ),
)  # fmt: skip
POOLED: dict[str, Pooled] = {each.metric.name: each for each in _POOLED}

# All metrics of a set of images.
METRICS: dict[str, Metric] = (
    {name: each.metric for name, each in POOLED.items()} | dataset_ap.METRICS | ods_ois.METRICS
)


def of_table(table: np.ndarray) -> list[float]:
    """The counts of one prediction and one truth, in the order of the first of `SUMS`."""
    panoptic = metrics.panoptic_counts(table)
    covering = metrics.covering_counts([table])
    matches = metrics.entity_matches(table, max_regions=None)
    found = matches.matched.sum(axis=0)
    return [*panoptic, *covering, *found, len(matches.matched), matches.num_target]


def means(
    sums: Sequence[Sequence[float]], boundaries: Sequence[metrics.BoundaryCounts]
) -> dict[str, float]:
    """One image's means over its pairs of maps; NaN where there are none."""
    result = dict.fromkeys(SUMS, math.nan)
    if sums:
        result |= zip(_OF_TABLE, np.mean(sums, axis=0).tolist(), strict=True)
    if boundaries:
        result |= zip(_OF_BOUNDARIES, np.mean(boundaries, axis=0).tolist(), strict=True)
    return result
