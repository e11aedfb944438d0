"""ODS and OIS of predictions at several levels of a parameter: the BSDS500 protocol.

Optimal dataset scale (ODS) takes one level for all images, the best for the set; optimal image
scale (OIS) the best level of each image (Arbelaez et al. 2011). Both look at the truth. Metrics:

* covering: numerators and pixels added up over annotators and images before they are divided;
  `covering_any` takes for each true region the best region of any level, the benchmark's "best";
* rand (the probabilistic Rand index) and vi: means over annotators, then over images;
* boundary_f: the benchmark's counts added up over images, then F; each image's own F chooses
  its level for OIS (see `metrics.scale` for what differs from the benchmark).

A row keeps for each view the numbers of `FIELDS` of every level, and the best covered pixels:

    {"native": {"levels": [[310.2, 400, 0.8, 1.2, 30, 41, 28, 39], ...], "any": 350.1}}
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.statistics import significance
from bitdiff_jax.evaluation.statistics.estimates import Estimate, estimate, interval_text
from bitdiff_jax.metrics import Metric

KEY = "levels"
FIELDS = ("covered", "pixels", "rand", "vi", "right_pred", "pred", "right_target", "target")
_OF_LEVEL = (
    Metric("covering", "segmentation covering of the truth", "high"),
    Metric("rand", "probabilistic Rand index", "high"),
    Metric("vi", "variation of information", "low", unit="bits"),
    Metric("boundary_f", "F of boundaries, against all annotators at once", "high"),
)
METRICS = {
    f"{each.name}_{scale}": dataclasses.replace(
        each, name=f"{each.name}_{scale}", title=f"{each.title}, {text}"
    )
    for each in _OF_LEVEL
    for scale, text in (("ods", "one level for all images"), ("ois", "each image's best level"))
} | {
    "covering_any": Metric(
        "covering_any", "segmentation covering, each true region by the best of any level", "high"
    )
}


def kept(
    maps: Sequence[np.ndarray],
    annotators: Sequence[np.ndarray],
    views: Sequence[View],
    boundaries: bool = True,
) -> dict[str, Any]:
    """The part of a row for ODS and OIS, by `KEY`.

    Args:
        maps: maps int [h, w], one per level.
        annotators: truths, as for `image_measures.score`.
        views: sizes and rules of the comparisons.
        boundaries: whether boundaries are compared, which takes most of the time.
    """
    return {KEY: {view.name: _of_view(maps, annotators, view, boundaries) for view in views}}


def _of_view(
    maps: Sequence[np.ndarray], annotators: Sequence[np.ndarray], view: View, boundaries: bool
) -> dict[str, Any] | None:
    truths = [truth for each in annotators if ((truth := view.truth(each)) >= 0).any()]
    if not truths:
        return None
    levels: list[list[float | None]] = []
    best: list[np.ndarray] = [np.zeros(int(truth.max()) + 1) for truth in truths]
    sizes = [np.bincount(truth[truth >= 0]) for truth in truths]
    for ids in maps:
        pred = view.prediction(ids, annotators[0].shape)
        tables = [contingency(pred, truth) for truth in truths]
        covering = metrics.covering_counts(tables)
        rand = metrics.probabilistic_rand_index_from_tables(tables)
        vi = float(np.mean([metrics.variation_of_information_from_table(t) for t in tables]))
        lines = list(metrics.boundary_counts(pred, truths)) if boundaries else [None] * 4
        best = [
            np.maximum(b, metrics.best_overlaps(t)[1]) for b, t in zip(best, tables, strict=True)
        ]
        numbers = (float(f"{each:.10g}") for each in (covering.covered, covering.pixels, rand, vi))
        levels.append([*numbers, *lines])
    covered = sum(float(size @ b) for size, b in zip(sizes, best, strict=True))
    return {"levels": levels, "any": float(f"{covered:.10g}")}


class Sweep(NamedTuple):
    """The levels of a set of images in one view; NaN for an image without a labelled pixel."""

    values: np.ndarray  # float64 [images, levels, FIELDS]
    covered: np.ndarray  # float64 [images], pixels covered by the best region of any level

    def of(self, index: np.ndarray) -> "Sweep":
        """The levels of some of the images."""
        return Sweep(self.values[index], self.covered[index])


class Collector:
    """Collects the levels of all rows."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, tuple[np.ndarray, float]]] = {}

    def add(self, image: int, kept: Mapping[str, Any]) -> None:
        """Adds the levels of one image."""
        for view, each in kept.items():
            found = self._found.setdefault(view, {})
            if each is not None:
                found[image] = np.array(each["levels"], np.float64), each["any"]

    def sweeps(self, num_images: int) -> dict[str, Sweep]:
        """The levels of images 0..n-1, by view.

        Raises:
            InputError: images differ in their number of levels.
        """
        result = {}
        for view, found in self._found.items():
            counts = {len(values) for values, _ in found.values()}
            if len(counts) > 1:
                raise InputError(f"pictures have {sorted(counts)} levels; all must have the same")
            shape = num_images, counts.pop() if counts else 1, len(FIELDS)
            sweep = Sweep(np.full(shape, math.nan), np.full(num_images, math.nan))
            for image, (values, covered) in found.items():
                sweep.values[image], sweep.covered[image] = values, covered
            result[view] = sweep
        return result


class Optimum(NamedTuple):
    """ODS and OIS of one metric."""

    ods: Estimate
    level: int  # index of the level of the ODS; -1 if there is none
    ois: Estimate


def optima(sweep: Sweep, *, seed: int = 0) -> dict[str, Optimum]:
    """ODS and OIS of each metric; in each resample of images the level is chosen anew."""
    field = {name: sweep.values[..., i] for i, name in enumerate(FIELDS)}
    boundary = np.stack([field[name] for name in FIELDS[4:]], axis=-1)
    return {
        "covering": _optimum([field["covered"], field["pixels"]], _share, _share, 1, seed),
        "rand": _optimum([field["rand"]], _itself, _itself, 1, seed),
        "vi": _optimum([field["vi"]], _itself, _itself, -1, seed),
        "boundary_f": _optimum(list(np.moveaxis(boundary, -1, 0)), _f, _f, 1, seed),
    }


def estimates(sweep: Sweep | None, *, seed: int = 0) -> dict[str, Estimate]:
    """The metrics of `METRICS` with 95 % bootstrap intervals over images."""
    if sweep is None or not len(sweep.values):
        return dict.fromkeys(METRICS, Estimate(math.nan, math.nan, math.nan, 0))
    result: dict[str, Estimate] = {}
    for name, optimum in optima(sweep, seed=seed).items():
        result |= {f"{name}_ods": optimum.ods, f"{name}_ois": optimum.ois}
    parts = np.stack([sweep.covered, sweep.values[:, 0, 1]], axis=-1)
    means = significance.resampled_means(parts, seed=seed)
    with np.errstate(invalid="ignore"):
        drawn, value = means[:, 0] / means[:, 1], np.nansum(parts[:, 0]) / np.nansum(parts[:, 1])
    result["covering_any"] = _estimate(value, drawn, int(np.isfinite(parts[:, 0]).sum()))
    return result


_Combine = Callable[[Sequence[np.ndarray]], np.ndarray]


def _optimum(
    parts: Sequence[np.ndarray], combine: _Combine, own: _Combine, sign: int, seed: int
) -> Optimum:
    """ODS and OIS of sums [images, levels]; `combine` makes the metric, `own` that of an image."""
    known = np.isfinite(parts).all(axis=(0, 2))
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    if not known.any():
        return Optimum(nothing, -1, nothing)
    parts = [part[known] for part in parts]
    best = np.argmax(sign * own(parts), axis=1)[:, None]
    # The last column is each image's best level.
    table = [np.concatenate([p, np.take_along_axis(p, best, axis=1)], axis=1) for p in parts]
    values = combine([each.mean(axis=0) for each in table])
    width = len(values)
    means = significance.resampled_means(np.concatenate(table, axis=1), seed=seed)
    drawn = combine([means[:, i * width : (i + 1) * width] for i in range(len(table))])
    level = int(np.argmax(sign * values[:-1]))
    ods = sign * (sign * drawn[:, :-1]).max(axis=1)
    count = int(known.sum())
    return Optimum(
        _estimate(values[level], ods, count), level, _estimate(values[-1], drawn[:, -1], count)
    )


def _estimate(value: float, drawn: np.ndarray, count: int) -> Estimate:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return estimate(value, low, high, count)


def _itself(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0]


def _share(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] / parts[1]


def _f(parts: Sequence[np.ndarray]) -> np.ndarray:
    """F as in `metrics.BoundaryCounts`, where precision is 1 without a predicted boundary."""
    right_pred, pred, right_target, target = parts
    precision = np.where(pred > 0, right_pred / np.maximum(pred, 1e-300), 1.0)
    recall = np.where(target > 0, right_target / np.maximum(target, 1e-300), 1.0)
    total = precision + recall
    return np.where(total > 0, 2 * precision * recall / np.maximum(total, 1e-300), 0.0)


def as_text(sweep: Sweep, names: Sequence[str] | None = None) -> str:
    """A text with a line for each metric: its ODS, the level of the ODS, and its OIS.

    Args:
        sweep: the levels in one view.
        names: names of the levels; None for their numbers from 0.
    """
    found = estimates(sweep)
    rows = {name: optimum for name, optimum in optima(sweep).items() if optimum.ods.num_images}
    names = names or [str(i) for i in range(sweep.values.shape[1])]
    lines = [f"{'':<15}{'ODS':>8}  {'95 % interval':<18}{'level':<10}{'OIS':>8}  95 % interval"]
    for name, each in rows.items():
        sign = "-" if METRICS[f"{name}_ods"].better == "low" else " "
        head, tail = _cell(each.ods), _cell(each.ois)
        lines.append(f"{name:<14}{sign}{head}  {names[each.level]:<10}{tail}")
    lines += [f"{'covering_any':<15}{_cell(found['covering_any'])}"] if rows else []
    return "\n".join(line.rstrip() for line in lines)


def _cell(found: Estimate) -> str:
    return f"{found.mean:>8.4f}  {interval_text(found.low, found.high):<16}"
