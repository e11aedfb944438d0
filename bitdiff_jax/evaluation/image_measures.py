"""All figures of one picture: its samples against its people, in one view.

A figure F of one sample and one person gives up to six of a picture:

* `F`: the mean over samples and people.
* `F_best`: of the sample whose mean over people is best.
* `F_best_per_person`: each person's best sample, then the mean over people.
* `F_medoid`: of the sample that is nearest to the others, chosen without looking at a truth.
* `F_people`: each person as the prediction and each other one as the truth: what people reach.
* `F_people_medoid`: the same of the one person who is nearest to the others, by the mean of 1 -
  Rand: what one well chosen person reaches. It is chosen by those it is held against.

Beside them stand the figures of the two distributions (`distribution`), such as `ged2_rand` and
`ged2_rand_counted`, `coverage_ari`, `matched_iou`, `diversity_rand` and `diversity_rand_people`,
and the counts (`pooling`) that are added up over pictures before they are divided.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import distribution
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.statistics import pooling


class Metric(NamedTuple):
    """What a figure of one prediction and one truth says."""

    better: Literal["high", "low"]
    title: str


class Measure(NamedTuple):
    """A function and the figures that it gives."""

    function: Callable[..., Any]  # a float, or one for each of the figures; picklable
    # What it takes: a contingency table int64 [P, T], or prediction and truth int32 [h, w].
    of: Literal["table", "maps"]
    metrics: tuple[str, ...]


METRICS: dict[str, Metric] = {
    "ari": Metric("high", "adjusted Rand index"),
    "iou": Metric("high", "matched IoU, mean over true regions"),
    "iou_symmetric": Metric("high", "matched IoU, mean over the larger number of regions"),
    "iou_16": Metric("high", "matched IoU without regions under 16 px"),
    "rand": Metric("high", "Rand index; its mean over people is the probabilistic Rand index"),
    "vi": Metric("low", "variation of information, bits"),
    "covering": Metric("high", "segmentation covering of the truth"),
    "pq": Metric("high", "panoptic quality of one class, per picture"),
    "sq": Metric("high", "mean IoU of matched regions, per picture"),
    "rq": Metric("high", "F1 of regions at IoU > 1/2, per picture"),
    "count_error": Metric("low", "predicted minus true regions, absolute"),
    "boundary_f": Metric("high", "F of boundaries, tolerance .0075 of the diagonal"),
    "boundary_p": Metric("high", "precision of boundaries"),
    "boundary_r": Metric("high", "recall of boundaries"),
    "trimap_iou": Metric("high", "matched IoU in a band along true boundaries"),
}


def _quality(table: np.ndarray) -> tuple[float, float, float]:
    counts = metrics.panoptic_counts(table)
    return counts.pq, counts.sq, counts.rq


def _boundary(pred: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    counts = metrics.boundary_counts(pred, truth)
    return counts.f, counts.precision, counts.recall


TABLE_MEASURES = (
    Measure(metrics.adjusted_rand_index_from_table, "table", ("ari",)),
    Measure(metrics.hungarian_iou_from_table, "table", ("iou",)),
    Measure(metrics.symmetric_iou_from_table, "table", ("iou_symmetric",)),
    Measure(
        functools.partial(metrics.hungarian_iou_from_table, min_pixels=16), "table", ("iou_16",)
    ),
    Measure(metrics.rand_index_from_table, "table", ("rand",)),
    Measure(metrics.variation_of_information_from_table, "table", ("vi",)),
    Measure(metrics.segmentation_covering_from_table, "table", ("covering",)),
    Measure(_quality, "table", ("pq", "sq", "rq")),
    Measure(metrics.region_count_error_from_table, "table", ("count_error",)),
)
MEASURES = (
    *TABLE_MEASURES,
    Measure(_boundary, "maps", ("boundary_f", "boundary_p", "boundary_r")),
    Measure(metrics.trimap_iou, "maps", ("trimap_iou",)),
)

SUFFIXES = ("", "_best", "_best_per_person", "_medoid", "_people", "_people_medoid")
_OF_DISTANCES = (
    "ged2_{}",
    "ged2_{}_counted",
    "coverage_{}",
    "matched_{}",
    "diversity_{}",
    "diversity_{}_people",
)
COUNTS = ("regions", "regions_true")


def names() -> list[str]:
    """All that `score` computes, in order."""
    paired = [name + suffix for name in METRICS for suffix in SUFFIXES]
    of_distances = [form.format(kind) for kind in distribution.DISTANCES for form in _OF_DISTANCES]
    return [*paired, *of_distances, *COUNTS, *pooling.SUMS]


def better(name: str) -> str | None:
    """Which end of a figure is better: 'high', 'low', or None if neither is."""
    for base, metric in METRICS.items():
        if name in {base + suffix for suffix in SUFFIXES}:
            return metric.better
    if name.startswith(("coverage_", "matched_")):
        return "high"
    return "low" if name.startswith("ged2") else None


def score(
    samples: Sequence[np.ndarray],
    annotators: Sequence[np.ndarray],
    view: View,
    measures: Sequence[Measure] = MEASURES,
) -> dict[str, float]:
    """All figures of one picture in one view.

    Args:
        samples: n >= 1 predictions, int [h, w] of any size; negative pixels form a region.
        annotators: m truths, int [H, W], all of one shape; ids >= 0, negative = not labelled. Those
            without a labelled pixel do not take part.
        view: size and rules of the comparison.
        measures: what is computed; figures of others are NaN.

    Returns:
        Float by name, in the order of `names`; NaN where a figure is not defined.

    Raises:
        InputError: no sample or no truth, truths of several shapes, a sample of other proportions,
            or more regions than can be compared.
    """
    shapes = {truth.shape for truth in annotators}
    if len(shapes) != 1 or not len(samples):
        raise InputError(
            f"{len(samples)} predictions and truths of shapes {sorted(shapes)}; "
            "there must be a prediction, and truths of one shape"
        )
    shape = shapes.pop()
    preds = [view.prediction(np.asarray(each), shape) for each in samples]
    truths = [truth for each in annotators if ((truth := view.truth(each)) >= 0).any()]

    values = {name: np.full((len(preds), max(1, len(truths))), math.nan) for name in METRICS}
    sums = []
    for i, pred in enumerate(preds):
        for j, truth in enumerate(truths):
            table = contingency(pred, truth)
            sums.append(pooling.of_table(table))
            for name, value in _pair(pred, truth, table, measures).items():
                values[name][i, j] = value
    of_distances = distribution.distances(preds, truths)
    among, of_medoid = _among(truths, measures, of_distances["rand"].annotators)
    chosen = _medoid(preds, truths, of_distances["rand"])

    row: dict[str, float] = {}
    for name, array in values.items():
        end = METRICS[name].better
        row[name] = float(array.mean())
        row[f"{name}_best"] = distribution.best_of_n(array, better=end)
        row[f"{name}_best_per_person"] = distribution.best_of_n_per_annotator(array, better=end)
        row[f"{name}_medoid"] = float(array[chosen].mean())
        row[f"{name}_people"] = among[name]
        row[f"{name}_people_medoid"] = of_medoid[name]
    for kind, d in of_distances.items():
        row[f"ged2_{kind}"] = distribution.ged2(d)
        row[f"ged2_{kind}_counted"] = distribution.ged2(d, self_pairs="counted")
        row[f"coverage_{kind}"] = distribution.coverage(d)
        row[f"matched_{kind}"] = distribution.matched(d)
        row[f"diversity_{kind}"] = distribution.spread(d.samples)
        row[f"diversity_{kind}_people"] = distribution.spread(d.annotators)
    row["regions"] = float(np.mean([pred.max() + 1 for pred in preds]))
    row["regions_true"] = float(np.mean([t.max() + 1 for t in truths])) if truths else math.nan
    boundaries = [
        metrics.boundary_counts(pred, truths)
        for pred in preds
        if truths and any(measure.of == "maps" for measure in measures)
    ]
    return row | pooling.means(sums, boundaries)


def _pair(
    pred: np.ndarray, truth: np.ndarray, table: np.ndarray, measures: Sequence[Measure]
) -> dict[str, float]:
    """Every figure of one prediction and one truth."""
    result: dict[str, float] = {}
    for measure in measures:
        maps = (table,) if measure.of == "table" else (pred, truth)
        found = np.atleast_1d(measure.function(*maps)).tolist()
        result |= zip(measure.metrics, found, strict=True)
    return result


def _among(
    truths: Sequence[np.ndarray], measures: Sequence[Measure], d: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Means over ordered pairs of people, each over the pixels that both labelled.

    Returns:
        Of all pairs, and of those in which the medoid person by distances `d` is the prediction:
        the first of equals, none of fewer than three people or without a pixel that all labelled.
    """
    central = distribution.medoid(d) if len(truths) > 2 and np.isfinite(d).all() else None
    pairs, of_medoid = [], []
    for i, one in enumerate(truths):
        for j, other in enumerate(truths):
            both = (one >= 0) & (other >= 0)
            if i != j and both.any():
                # What the one did not label is left out by the other's map.
                pred, truth = np.maximum(one, 0), np.where(both, other, -1)
                pairs.append(_pair(pred, truth, contingency(pred, truth), measures))
                if i == central:
                    of_medoid.append(pairs[-1])
    return _means(pairs), _means(of_medoid)


def _means(pairs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {
        name: float(np.mean([pair.get(name, math.nan) for pair in pairs])) if pairs else math.nan
        for name in METRICS
    }


def _medoid(
    preds: Sequence[np.ndarray], truths: Sequence[np.ndarray], d: distribution.Distances
) -> int:
    """The medoid over all pixels: which of them people labelled must not help to choose."""
    if len(preds) < 3:
        return 0
    whole = bool(truths) and all((truth >= 0).all() for truth in truths)
    square = d.samples if whole else distribution.distances(preds, [])["rand"].samples
    return distribution.medoid(square)
