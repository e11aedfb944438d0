"""Rows of metrics as a table for the terminal, JSON, and CSV per image."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bitdiff_jax.evaluation import distribution, image_measures
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.evaluation.statistics import dataset_ap, ods_ois, pooling, significance
from bitdiff_jax.evaluation.statistics import estimates as estimates_lib
from bitdiff_jax.evaluation.statistics.estimates import Estimate, interval_text
from bitdiff_jax.metrics import MEASURES, Measure, Metric, metrics_of

Summary = dict[str, Estimate]  # by column
_HEADS = ("mean", "95 % interval", "best of n", "per annot.", "medoid", "annot.", "med.annot.")
_NOTHING = Estimate(math.nan, math.nan, math.nan, 0)
_LABEL = 35  # characters of a metric's title


def summarise(table: Table, *, seed: int = 0) -> Summary:
    """Mean over the images and its 95 % interval, of every column and every pooled metric."""
    estimates = significance.intervals(table.values, seed=seed)
    summary = dict(zip(table.columns, estimates, strict=True))
    for view in dict.fromkeys(
        column.partition("@")[2] for column in table.columns if "@" in column
    ):
        columns = [table.columns.index(f"{name}@{view}") for name in pooling.SUMS]
        sums = table.values[:, columns]
        means = _by_name(np.array([estimates[column].mean for column in columns]))
        resampled = _by_name(significance.resampled_means(sums, seed=seed).T)
        for name, pooled in pooling.POOLED.items():
            value, values = float(pooled.function(means)), pooled.function(resampled)
            values = values[np.isfinite(values)]
            known = math.isfinite(value) and len(values)
            low, high = np.quantile(values, [0.025, 0.975]) if known else (math.nan, math.nan)
            count = int(np.isfinite(sums[:, 0]).sum()) if known else 0
            summary[f"{name}@{view}"] = estimates_lib.estimate(value, low, high, count)
        regions_true = table.column(f"regions_true@{view}")
        others = dataset_ap.estimates(table.regions.get(view), regions_true, seed=seed)
        others |= ods_ois.estimates(table.sweeps.get(view), seed=seed)
        summary |= {f"{name}@{view}": each for name, each in others.items()}
    return summary


def _by_name(values: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(pooling.SUMS, values, strict=True))


def estimate_of(summary: Summary, name: str, view: View) -> Estimate:
    """The estimate of a metric in a view; one of no image if it was not computed."""
    return summary.get(f"{name}@{view.name}", _NOTHING)


def as_text(
    table: Table, summary: Summary, view: View, measures: Sequence[Measure] = MEASURES
) -> str:
    """A text with the main metrics of one view in words, and whether high or low is better.

    Args:
        table: rows of the evaluation.
        summary: summary of the table.
        view: the view that is shown.
        measures: the measures that were computed.
    """
    if view.name in table.sweeps:
        return ods_ois.as_text(table.sweeps[view.name], table.about.get("levels"))
    known = image_measures.described(measures)
    shown = {
        name: metric
        for name, metric in known.items()
        if metric.main and estimate_of(summary, name, view).num_images
    }
    paired = set(metrics_of(measures))
    columns = _columns(table, {"_best": "best of n", "_medoid": "medoid", "_people": "annotators"})
    head = f"{'':<{_LABEL + 1}}{'better':<8}{'mean':>8}  {'95 % interval':<18}"
    lines = [head + "".join(f"{title:>11}" for title in columns.values())]
    for name, metric in shown.items():
        digits = 1 if metric in image_measures.COUNTS else 4
        better = metric.direction.partition(" ")[0]
        line = f"{cut(metric.label, _LABEL):<{_LABEL + 1}}{better:<8}"
        line += _mean(estimate_of(summary, name, view), digits) + "  "
        if name in paired:
            found = (estimate_of(summary, name + suffix, view).mean for suffix in columns)
            line += "".join(f"{value:>11.4f}" for value in found)
        lines.append(line.rstrip())
    return "\n".join(lines)


def _columns(table: Table, titles: Mapping[str, str]) -> dict[str, str]:
    """The suffixes that give another value than the mean, by the table's numbers of maps."""
    several = bool((table.column("num_samples") > 1).any())
    annotators = bool((table.column("num_people") > 1).any())
    return {
        suffix: title
        for suffix, title in titles.items()
        if (annotators if "_people" in suffix else several or not suffix)
    }


def as_full_text(
    table: Table, summary: Summary, view: View, measures: Sequence[Measure] = MEASURES
) -> str:
    """Every metric of one view by its name: of one sample, of the set, of the distributions."""
    if view.name in table.sweeps:
        return ods_ois.as_text(table.sweeps[view.name], table.about.get("levels"))
    columns = _columns(
        table, dict(zip(image_measures.SUFFIXES, _HEADS[:1] + _HEADS[2:], strict=True))
    )
    del columns[""]
    lines = [f"{'':<18}{'better':<7}{_HEADS[0]:>8}  {_HEADS[1]:<16}"
             + "".join(f"{h:>11}" for h in columns.values())]  # fmt: skip
    for name, metric in metrics_of(measures).items():
        if estimate_of(summary, name, view).num_images:
            cells = [
                f"{estimate_of(summary, name + suffix, view).mean:>11.4f}" for suffix in columns
            ]
            lines.append(
                _head(metric) + _mean(estimate_of(summary, name, view), 4) + "".join(cells)
            )
    for metric in image_measures.COUNTS:
        lines.append(_head(metric) + _mean(estimate_of(summary, metric.name, view), 1))
    pooled = {
        metric: estimate
        for name, metric in pooling.METRICS.items()
        if (estimate := estimate_of(summary, name, view)).num_images
    }
    lines += ["", "added up over images"] if pooled else []
    lines += [_head(metric) + _mean(estimate, 4) for metric, estimate in pooled.items()]
    lines += _of_distances(summary, view)
    return "\n".join(line.rstrip() for line in lines)


def _head(metric: Metric) -> str:
    return f"{metric.name:<17} {metric.direction.partition(' ')[0]:<7}"


def cut(text: str, width: int) -> str:
    """The text, or its begin and end where it is too long: names differ at either."""
    if len(text) <= width:
        return text
    end = (width - 2) // 2
    return f"{text[: width - 2 - end]}..{text[-end:]}"


def _of_distances(summary: Summary, view: View) -> list[str]:
    lines = []
    for each in distribution.SET_METRICS:
        named = [each.metric(distance) for distance in distribution.DISTANCES]
        estimates = [estimate_of(summary, metric.name, view) for metric in named]
        if any(e.num_images for e in estimates):
            cells = [f"{e.mean:>8.4f} {interval_text(e.low, e.high)}" for e in estimates]
            name = each.form.replace("_{}", "")
            better = named[0].direction.partition(" ")[0]
            lines.append(f"{name:<17} {better:<7}" + "".join(f"{cell:<26}" for cell in cells))
    if not lines:
        return []
    heads = "".join(f"{title:>8}".ljust(26) for title in distribution.DISTANCES.values())
    return ["", f"{'distance':<25}{heads}", *lines]


def _mean(found: Estimate, digits: int) -> str:
    return f"{found.mean:>8.{digits}f}  {interval_text(found.low, found.high, digits):<16}"


def differences(
    table: Table, first: View, second: View, measures: Sequence[Measure] = MEASURES
) -> dict[str, significance.Paired]:
    """The difference of two views on the same maps, first - second, by metric."""
    return {
        name: significance.paired(
            *(table.column(f"{name}@{view.name}") for view in (first, second))
        )
        for name in metrics_of(measures)
    }


def differences_text(
    table: Table,
    summary: Summary,
    first: View,
    second: View,
    measures: Sequence[Measure] = MEASURES,
) -> str:
    """A text with both views' means and their difference, one line per metric."""
    lines = [f"{'':<15}{first.name:>9}{second.name:>9}{'difference':>12}  95 % interval"]
    for name, found in differences(table, first, second, measures).items():
        if found.num_images:
            means = [estimate_of(summary, name, view).mean for view in (first, second)]
            lines.append(
                f"{name:<15}{means[0]:>9.4f}{means[1]:>9.4f}{found.difference:>+12.4f}"
                f"  {interval_text(found.low, found.high, sign='+')}"
            )
    return "\n".join(lines)


def as_json(
    summary: Summary, about: Mapping[str, Any], measures: Sequence[Measure] = MEASURES
) -> bytes:
    """The summary by view and metric, and its settings, for JSON; undefined values are null."""
    known = image_measures.described(measures)
    views: dict[str, dict[str, Any]] = {}
    for column, estimate in summary.items():
        name, at, view = column.rpartition("@")
        if at and name not in pooling.SUMS:
            views.setdefault(view, {})[name] = {
                key: number(value) for key, value in estimate._asdict().items()
            }
    told = {
        name: {"title": metric.title, "better": metric.better, "unit": metric.unit}
        for name, metric in known.items()
        if any(name in each for each in views.values())
    }
    whole = {**about, "metrics": told, "views": views}
    return (json.dumps(whole, indent=2, allow_nan=False) + "\n").encode()


def csv_lines(table: Table, names: Sequence[str]) -> Iterator[str]:
    """A line for the heads and one for each of the images, with its error if it has no row."""
    place = {name: index for index, name in enumerate(table.names)}
    yield _csv_line(["name", "error", *table.columns])
    for name in names:
        index = place.get(name)
        if index is None:
            values: list[Any] = [""] * len(table.columns)
        else:
            values = [f"{v:.8g}" if math.isfinite(v) else "" for v in table.values[index]]
        yield _csv_line([name, table.errors.get(name, ""), *values])


def _csv_line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def number(value: Any) -> Any:
    """A value for JSON: NaN and infinities become None, and numpy's numbers plain ones."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
