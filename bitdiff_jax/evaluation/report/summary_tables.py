"""Rows of figures as a table for the terminal, JSON, and CSV per picture."""

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
from bitdiff_jax.evaluation.statistics.estimates import Estimate

Summary = dict[str, Estimate]  # by column
_HEADS = ("mean", "95 % interval", "best of n", "per person", "medoid", "people", "med.person")


def summarise(table: Table, *, seed: int = 0) -> Summary:
    """Mean over the pictures and its 95 % interval, of every column and every pooled figure."""
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
            summary[f"{name}@{view}"] = Estimate(value, float(low), float(high), count)
        regions_true = table.column(f"regions_true@{view}")
        others = dataset_ap.estimates(table.regions.get(view), regions_true, seed=seed)
        others |= ods_ois.estimates(table.sweeps.get(view), seed=seed)
        summary |= {f"{name}@{view}": each for name, each in others.items()}
    return summary


def _by_name(values: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(pooling.SUMS, values, strict=True))


def as_text(table: Table, summary: Summary, view: View) -> str:
    """The table of one view: figures of one sample, then those of the distributions."""
    if view.name in table.sweeps:
        return ods_ois.as_text(table.sweeps[view.name], table.about.get("levels"))
    several = bool((table.column("num_samples") > 1).any())
    annotators = bool((table.column("num_people") > 1).any())
    shown = [True, several, several, several, annotators, annotators]
    heads = [h for h, on in zip(_HEADS, [True, *shown], strict=True) if on]
    lines = ["  ".join([f"{'':<15}", f"{heads[0]:>8}", f"{heads[1]:<16}",
                        *(f"{h:>10}" for h in heads[2:])])]  # fmt: skip
    for name, metric in image_measures.METRICS.items():
        estimates = [summary[f"{name}{suffix}@{view.name}"] for suffix in image_measures.SUFFIXES]
        if not estimates[0].num_images:
            continue
        cells = [f"{e.mean:>10.4f}" for e, on in zip(estimates, shown, strict=True) if on][1:]
        arrow = " " if metric.better == "high" else "-"
        head = f"{name:<14}{arrow}"
        lines.append("  ".join([head, _mean(estimates[0], 4), *cells]))
    lines.append("  ".join([f"{'regions':<15}", _mean(summary[f"regions@{view.name}"], 1)]))
    lines.append(
        "  ".join([f"{'regions_true':<15}", _mean(summary[f"regions_true@{view.name}"], 1)])
    )
    pooled = {name: summary[f"{name}@{view.name}"] for name in pooling.TITLES}
    lines += ["", "added up over pictures"] if any(e.num_images for e in pooled.values()) else []
    lines += [f"{name:<17}{_mean(e, 4)}" for name, e in pooled.items() if e.num_images]
    lines += _of_distances(summary, view)
    return "\n".join(line.rstrip() for line in lines)


def _of_distances(summary: Summary, view: View) -> list[str]:
    kinds = distribution.DISTANCES
    forms = ("ged2_{}", "ged2_{}_counted", "diversity_{}", "diversity_{}_people", "coverage_{}",
             "matched_{}")  # fmt: skip
    lines = []
    for form in forms:
        estimates = [summary[f"{form.format(kind)}@{view.name}"] for kind in kinds]
        if any(e.num_images for e in estimates):
            cells = [f"{e.mean:>8.4f} [{e.low:.4f}, {e.high:.4f}]" for e in estimates]
            label = form.replace("_{}", "")
            lines.append(f"{label:<17}" + "  ".join(f"{cell:<25}" for cell in cells))
    if not lines:
        return []
    heads = ("1 - Rand", "1 - ARI", "1 - symmetric IoU")
    return ["", f"{'distance':<17}" + "  ".join(f"{h:>8}".ljust(25) for h in heads), *lines]


def _mean(estimate: Estimate, digits: int) -> str:
    interval = f"[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
    return f"{estimate.mean:>8.{digits}f}  {interval:<16}"


def differences(table: Table, first: View, second: View) -> dict[str, significance.Paired]:
    """What one view's rules are worth on the same maps: first - second, by figure."""
    result = {}
    for name in image_measures.METRICS:
        columns = [table.column(f"{name}@{view.name}") for view in (first, second)]
        result[name] = significance.paired(*columns)
    return result


def differences_text(table: Table, summary: Summary, first: View, second: View) -> str:
    """Both views' means and the difference, a line a figure."""
    lines = [f"{'':<15}{first.name:>9}{second.name:>9}{'difference':>12}  95 % interval"]
    for name, found in differences(table, first, second).items():
        if found.num_images:
            means = [summary[f"{name}@{view.name}"].mean for view in (first, second)]
            lines.append(
                f"{name:<15}{means[0]:>9.4f}{means[1]:>9.4f}{found.difference:>+12.4f}"
                f"  [{found.low:+.4f}, {found.high:+.4f}]"
            )
    return "\n".join(lines)


def as_json(summary: Summary, about: Mapping[str, Any]) -> bytes:
    """The summary by view and figure, and what it is of; what is not defined is null."""
    views: dict[str, dict[str, Any]] = {}
    for column, estimate in summary.items():
        name, at, view = column.rpartition("@")
        if at and name not in pooling.SUMS:
            views.setdefault(view, {})[name] = {
                key: number(value) for key, value in estimate._asdict().items()
            }
    return (json.dumps({**about, "views": views}, indent=2, allow_nan=False) + "\n").encode()


def csv_lines(table: Table, names: Sequence[str]) -> Iterator[str]:
    """A line for the heads and one for each of the pictures, with its error if it has no row."""
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
    """For JSON: NaN and infinities are null, numpy's numbers plain."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
