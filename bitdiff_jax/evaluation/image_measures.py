"""All metrics of one image: its samples against its annotators, in one view.

A metric F of one sample and one annotator gives up to six metrics of an image:

* `F`: the mean over samples and annotators.
* `F_best`: that of the sample whose mean over annotators is best.
* `F_best_per_person`: the mean over annotators of each one's best sample.
* `F_medoid`: that of the sample that is nearest to the others, which does not depend on a truth.
* `F_people`: the mean over pairs of annotators, one as the prediction and the other as the truth.
* `F_people_medoid`: the same with the one annotator as prediction who is nearest to the others, by
  the mean of 1 - Rand. This annotator is chosen by the same maps that are then the truth.

There are also the metrics of the two distributions (`distribution`), such as `ged2_rand` and
`ged2_rand_counted`, `coverage_ari`, `matched_iou`, `diversity_rand` and `diversity_rand_people`,
and the counts (`pooling`) that are added up over images before they are divided.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import distribution
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.statistics import pooling
from bitdiff_jax.metrics import MEASURES, TABLE_MEASURES, Measure, Metric

__all__ = [
    "COUNTS",
    "MEASURES",
    "SUFFIXES",
    "TABLE_MEASURES",
    "described",
    "names",
    "of_sample",
    "score",
]

# The suffixes of a metric of pairs, each with its meaning.
SUFFIXES = {
    "": "mean",
    "_best": "best of n",
    "_best_per_person": "best per annotator",
    "_medoid": "medoid",
    "_people": "annotators",
    "_people_medoid": "medoid of annotators",
}
COUNTS = (
    Metric("regions", "regions drawn", None),
    Metric("regions_true", "regions in the truth", None),
)


def names(measures: Sequence[Measure] = MEASURES) -> list[str]:
    """The names of all metrics that `score` computes, in their order.

    Raises:
        InputError: two of the names are the same.
    """
    paired = [name + suffix for name in metrics.metrics_of(measures) for suffix in SUFFIXES]
    own = [*_unpaired(), *pooling.SUMS]
    if taken := sorted({*own, *pooling.METRICS}.intersection(paired)):
        raise InputError(f"measures: {taken[0]} is the name of another metric; rename it")
    if len(set(paired)) < len(paired):
        twice = next(name for name in paired if paired.count(name) > 1)
        raise InputError(f"measures: two metrics give a column {twice}; rename one")
    return [*paired, *own]


def _unpaired() -> dict[str, Metric]:
    """Metrics of an image that are not of one sample and one annotator, by name."""
    of_sets = [
        each.metric(distance)
        for distance in distribution.DISTANCES
        for each in distribution.SET_METRICS
    ]
    return {metric.name: metric for metric in (*of_sets, *COUNTS)}


def described(measures: Sequence[Measure] = MEASURES) -> dict[str, Metric]:
    """Every metric of a table by its name; metrics of pairs are listed without their suffixes."""
    return {**metrics.metrics_of(measures), **_unpaired(), **pooling.METRICS}


def score(
    samples: Sequence[np.ndarray],
    annotators: Sequence[np.ndarray],
    view: View,
    measures: Sequence[Measure] = MEASURES,
) -> dict[str, float]:
    """All metrics of one image in one view.

    Args:
        samples: n >= 1 predictions, int [h, w] of any size; negative pixels form a region.
        annotators: m truths, int [H, W], all of one shape; ids >= 0, negative = not labelled. Those
            without a labelled pixel do not take part.
        view: size and rules of the comparison.
        measures: the measures that are computed.

    Returns:
        A float for each name, in the order of `names`; NaN where a metric is not defined.

    Raises:
        InputError: there is no sample or no truth, truths differ in shape, a sample has other
            proportions, there are more regions than can be compared, or a measure fails.
    """
    preds, truths = _in_view(samples, annotators, view)
    known = metrics.metrics_of(measures)
    values = {name: np.full((len(preds), max(1, len(truths))), math.nan) for name in known}
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
        end = known[name].better or "high"
        row[name] = float(array.mean())
        row[f"{name}_best"] = distribution.best_of_n(array, better=end)
        row[f"{name}_best_per_person"] = distribution.best_of_n_per_annotator(array, better=end)
        row[f"{name}_medoid"] = float(array[chosen].mean())
        row[f"{name}_people"] = among[name]
        row[f"{name}_people_medoid"] = of_medoid[name]
    for kind, d in of_distances.items():
        row |= {each.form.format(kind): each.function(d) for each in distribution.SET_METRICS}
    row["regions"] = float(np.mean([pred.max() + 1 for pred in preds]))
    row["regions_true"] = float(np.mean([t.max() + 1 for t in truths])) if truths else math.nan
    boundaries = [
        metrics.boundary_counts(pred, truths)
        for pred in preds
        if truths and metrics.BOUNDARY_MEASURE in measures
    ]
    return row | pooling.means(sums, boundaries)


def of_sample(
    sample: np.ndarray, annotators: Sequence[np.ndarray], view: View, measure: Measure
) -> float:
    """The mean over annotators of the first metric of a measure, for one sample.

    Args:
        sample: a prediction, int [h, w] of any size; negative pixels form a region.
        annotators: truths, int [H, W], as for `score`.
        view: size and rules of the comparison.
        measure: the measure that is computed.

    Returns:
        A float; NaN without an annotator who labelled a pixel.

    Raises:
        InputError: `score` would raise it, too.
    """
    (pred,), truths = _in_view([sample], annotators, view)
    values = [measure.values(pred, t, contingency(pred, t))[measure.name] for t in truths]
    return float(np.mean(values)) if values else math.nan


def _in_view(
    samples: Sequence[np.ndarray], annotators: Sequence[np.ndarray], view: View
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Predictions, and the truths that have a labelled pixel, as the view sees them."""
    shapes = {truth.shape for truth in annotators}
    if len(shapes) != 1 or not len(samples):
        raise InputError(
            f"{len(samples)} predictions and truths of shapes {sorted(shapes)}; "
            "there must be a prediction, and truths of one shape"
        )
    shape = shapes.pop()
    preds = [view.prediction(np.asarray(each), shape) for each in samples]
    return preds, [truth for each in annotators if ((truth := view.truth(each)) >= 0).any()]


def _pair(
    pred: np.ndarray, truth: np.ndarray, table: np.ndarray, measures: Sequence[Measure]
) -> dict[str, float]:
    """Every metric of one prediction and one truth by its name."""
    result: dict[str, float] = {}
    for measure in measures:
        result |= measure.values(pred, truth, table)
    return result


def _among(
    truths: Sequence[np.ndarray], measures: Sequence[Measure], d: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Means over ordered pairs of annotators, each over the pixels that both labelled.

    Returns:
        The means over all pairs, and over those in which the medoid of the annotators by distances
        `d` is the prediction. The medoid is the first of equals; there is none of fewer than three
        annotators or without a pixel that all labelled.
    """
    central = distribution.medoid(d) if len(truths) > 2 and np.isfinite(d).all() else None
    pairs, of_medoid = [], []
    for i, one in enumerate(truths):
        for j, other in enumerate(truths):
            both = (one >= 0) & (other >= 0)
            if i != j and both.any():
                # Pixels that the first did not label are left out of the other's map.
                pred, truth = np.maximum(one, 0), np.where(both, other, -1)
                pairs.append(_pair(pred, truth, contingency(pred, truth), measures))
                if i == central:
                    of_medoid.append(pairs[-1])
    known = metrics.metrics_of(measures)
    return _means(pairs, known), _means(of_medoid, known)


def _means(pairs: Sequence[dict[str, float]], known: Iterable[str]) -> dict[str, float]:
    return {
        name: float(np.mean([pair[name] for pair in pairs])) if pairs else math.nan
        for name in known
    }


def _medoid(
    preds: Sequence[np.ndarray], truths: Sequence[np.ndarray], d: distribution.Distances
) -> int:
    """The medoid over all pixels: which pixels annotators labelled must not help to choose it."""
    if len(preds) < 3:
        return 0
    whole = bool(truths) and all((truth >= 0).all() for truth in truths)
    square = d.samples if whole else distribution.distances(preds, [])["rand"].samples
    return distribution.medoid(square)
