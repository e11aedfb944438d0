"""The measures that an evaluation computes by default."""

import functools

import numpy as np

from bitdiff_jax.metrics.boundary import boundary_counts
from bitdiff_jax.metrics.counts import region_count_error_from_table
from bitdiff_jax.metrics.covering import segmentation_covering_from_table
from bitdiff_jax.metrics.information import variation_of_information_from_table
from bitdiff_jax.metrics.matching import hungarian_iou_from_table, symmetric_iou_from_table
from bitdiff_jax.metrics.measure import Measure, Metric
from bitdiff_jax.metrics.panoptic import panoptic_counts
from bitdiff_jax.metrics.rand import adjusted_rand_index_from_table, rand_index_from_table
from bitdiff_jax.metrics.trimap import trimap_iou


def _quality(table: np.ndarray) -> tuple[float, float, float]:
    counts = panoptic_counts(table)
    return counts.pq, counts.sq, counts.rq


def _boundary(pred: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    counts = boundary_counts(pred, truth)
    return counts.f, counts.precision, counts.recall


TABLE_MEASURES = (
    Measure(
        (
            Metric(
                "ari", "adjusted Rand index (ARI)", "high",
                text="1 for equal maps, 0 for chance",
            ),
        ),
        adjusted_rand_index_from_table,
    ),
    Measure(
        (Metric("iou", "matched IoU", "high", text="mean over true regions"),),
        hungarian_iou_from_table,
    ),
    Measure(
        (
            Metric(
                "iou_symmetric", "symmetric matched IoU", "high",
                text="mean over the larger number of regions", main=False,
            ),
        ),
        symmetric_iou_from_table,
    ),
    Measure(
        (
            Metric(
                "iou_16", "matched IoU from 16 px on", "high",
                text="without regions under 16 px", main=False,
            ),
        ),
        functools.partial(hungarian_iou_from_table, min_pixels=16),
    ),
    Measure(
        (
            Metric(
                "rand", "Rand index", "high",
                text="its mean over annotators is the probabilistic Rand index", main=False,
            ),
        ),
        rand_index_from_table,
    ),
    Measure(
        (Metric("vi", "variation of information", "low", unit="bits"),),
        variation_of_information_from_table,
    ),
    Measure(
        (Metric("covering", "segmentation covering", "high", text="of the truth", main=False),),
        segmentation_covering_from_table,
    ),
    Measure(
        (
            Metric("pq", "panoptic quality (PQ)", "high", text="of one class, per image"),
            Metric("sq", "mean IoU of matched regions", "high", text="per image", main=False),
            Metric("rq", "F1 of regions at IoU > 1/2", "high", text="per image", main=False),
        ),
        _quality,
    ),
    Measure(
        (
            Metric(
                "count_error", "error of the number of regions", "low",
                text="predicted minus true, absolute", main=False,
            ),
        ),
        region_count_error_from_table,
    ),
)  # fmt: skip
# A metric whose counts are added up over images is pooled in `evaluation.statistics.pooling`, too.
BOUNDARY_MEASURE = Measure(
    (
        Metric(
            "boundary_f", "F of boundaries", "high",
            text="tolerance .0075 of the diagonal", main=False,
        ),
        Metric("boundary_p", "precision of boundaries", "high", main=False),
        Metric("boundary_r", "recall of boundaries", "high", main=False),
    ),
    _boundary,
    of="maps",
)  # fmt: skip
MEASURES = (
    *TABLE_MEASURES,
    BOUNDARY_MEASURE,
    Measure(
        (
            Metric(
                "trimap_iou", "matched IoU along boundaries", "high",
                text="in a band along true boundaries", main=False,
            ),
        ),
        trimap_iou,
        of="maps",
    ),
)  # fmt: skip
