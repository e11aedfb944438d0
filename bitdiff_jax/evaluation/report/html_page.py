"""One HTML page that stands alone: tables, plots, and the best, median and worst images."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bitdiff_jax.evaluation import distribution, image_measures
from bitdiff_jax.evaluation.on_files import Task
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.report import page_images, plots, summary_tables
from bitdiff_jax.evaluation.report.summary_tables import Summary, estimate_of
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.evaluation.statistics import pooling
from bitdiff_jax.evaluation.statistics.estimates import Estimate
from bitdiff_jax.metrics import Measure, Metric, metrics_of

_NOTHING = Estimate(math.nan, math.nan, math.nan, 0)
_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 64em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .6em 0 1.4em } td, th { padding: .2em .7em;
text-align: right; border-bottom: 1px solid #ddd; vertical-align: top }
td:first-child, th:first-child, table.facts td { text-align: left } td { white-space: nowrap }
td:first-child, table.facts td { white-space: normal; overflow-wrap: anywhere }
small { color: #666; display: block; font-size: 80% } figure { margin: 1.2em 0 }
svg { max-width: 100%; height: auto; vertical-align: top; margin: 0 .4em .8em 0 }
figcaption { margin-bottom: .3em }
.maps { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: .3em }
.maps div { max-width: 150px }
.maps img { display: block; max-width: 100% }
"""


def page(
    task: Task, table: Table, summary: Summary, about: Mapping[str, Any], *, shown: int = 8
) -> bytes:
    """The text of the page, which loads no other file.

    Args:
        task: predictions and truths, from which the images that are shown are read again.
        table: rows of the images that have metrics.
        summary: summary of the table.
        about: settings of the evaluation.
        shown: greatest number of images in each of best, median and worst.
    """
    title = f"{_short(about['predictions'])} against {_short(about['ground_truth'])}"
    missing = about.get("missing", {})
    levels = task.predictions.levels
    facts = {
        "predictions": about["predictions"],
        "ground truth": about["ground_truth"],
        "kind": about.get("kind"),
        "masks made one map by": about.get("rule"),
        "levels": levels and ", ".join(levels),
        "score of a region": None if levels else about.get("score_per_region"),
        "protocol": about.get("protocol"),
        "pixels without a region": about.get("unlabelled"),
        "pictures scored": f"{len(table.names):,}",
        "samples of each": None if levels else _span(table.column("num_samples")),
        "people of each": _span(table.column("num_people")),
        "without a prediction": _listed(missing.get("without_prediction", ())),
        "without a truth": _listed(missing.get("without_truth", ())),
        "careful": about.get("caution"),
        "could not be scored": _listed([f"{n} ({e})" for n, e in table.errors.items()]),
    }
    parts = [f"<h1>{html.escape(title)}</h1>", _facts(facts)]
    for view in task.views:
        parts += [f"<h2>{html.escape(_heading(view))}</h2>", _metrics(summary, view, task.measures)]
        plotted = _plots(table, summary, view, task.measures)
        parts += [_distances(summary, view), "<p>", *plotted, "</p>"]
    if about.get("protocol") == "paper":
        first, second = task.views
        parts.append(_differences(table, first, second, task.measures))
    parts += page_images.as_html(task, table, task.views[-1], shown)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )
    return text.encode()


def _short(path: Any) -> str:
    """The end of a path or spec, which tells it from its neighbours."""
    text = str(path).rstrip("/").rpartition("/")[2] or str(path)
    return text if len(text) <= 60 else f"...{text[-57:]}"


def _span(values: np.ndarray) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def _listed(names: Sequence[str], shown: int = 12) -> str | None:
    if not names:
        return None
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{len(names):,}: {', '.join(names[:shown])}{more}"


def _heading(view: View) -> str:
    size = f"{view.size} px" if view.size else "the size of the truth"
    return f"{view.name}: compared at {size}"


def _facts(facts: Mapping[str, Any]) -> str:
    rows = (
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    return f'<table class="facts">{"".join(rows)}</table>'


def _cell(estimate: Estimate) -> str:
    if not estimate.num_images:
        return "<td></td>"
    digits = 3 if abs(estimate.mean) < 10 else 1
    interval = "no interval"
    if estimate.num_images > 1:
        interval = f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
    return f"<td>{estimate.mean:.{digits}f}<small>{interval}</small></td>"


def _table(heads: Sequence[str], rows: Mapping[str, tuple[str, Sequence[Estimate]]]) -> str:
    """A table of estimates with names and titles; empty columns and rows are left out."""
    kept = {name: row for name, row in rows.items() if any(e.num_images for e in row[1])}
    columns = [i for i in range(len(heads)) if any(row[1][i].num_images for row in kept.values())]
    head = "".join(f"<th>{html.escape(heads[i])}</th>" for i in columns)
    body = "".join(
        f"<tr><td>{html.escape(name)}<small>{html.escape(title)}</small></td>"
        f"{''.join(_cell(estimates[i]) for i in columns)}</tr>"
        for name, (title, estimates) in kept.items()
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>" if body else ""


def _said(metric: Metric) -> str:
    """The description of a metric in one line."""
    parts = [metric.label, metric.text, metric.direction]
    return "; ".join(part for part in parts if part)


def _metrics(summary: Summary, view: View, measures: Sequence[Measure]) -> str:
    heads = list(image_measures.SUFFIXES.values())
    rows = {
        name: (
            _said(metric),
            [estimate_of(summary, name + suffix, view) for suffix in image_measures.SUFFIXES],
        )
        for name, metric in metrics_of(measures).items()
    }
    rows |= {
        metric.name: (
            _said(metric),
            [estimate_of(summary, metric.name, view)] + [_NOTHING] * (len(heads) - 1),
        )
        for metric in image_measures.COUNTS
    }
    pooled = {
        name: (_said(metric), [estimate_of(summary, name, view)])
        for name, metric in pooling.METRICS.items()
    }
    return _table(heads, rows) + _table(("added up over images",), pooled)


def _distances(summary: Summary, view: View) -> str:
    rows = {}
    for each in distribution.SET_METRICS:
        named = [each.metric(distance) for distance in distribution.DISTANCES]
        title = "; ".join(part for part in (each.title, named[0].direction) if part)
        estimates = [estimate_of(summary, metric.name, view) for metric in named]
        rows[each.form.replace("_{}", "")] = (title, estimates)
    return _table(list(distribution.DISTANCES.values()), rows)


def _differences(table: Table, first: View, second: View, measures: Sequence[Measure]) -> str:
    known = metrics_of(measures)
    rows = {
        name: (_said(known[name]), [Estimate(d.difference, d.low, d.high, d.num_images)])
        for name, d in summary_tables.differences(table, first, second, measures).items()
    }
    title = html.escape(f"What the rules are worth: {first.name} - {second.name}")
    return f"<h2>{title}</h2>" + _table(("difference",), rows)


def _plots(table: Table, summary: Summary, view: View, measures: Sequence[Measure]) -> list[str]:
    column = lambda name: table.column(f"{name}@{view.name}")  # noqa: E731
    result = []
    for measure in measures[:2]:
        name = measure.name
        series = {"predictions": column(name), "annotators": column(f"{name}_people")}
        result.append(plots.histogram(f"{name} of the images", name, series))
    known = np.isfinite(column(measures[0].name))
    result.append(
        plots.scatter(
            "regions of the images",
            "regions of the truth",
            "regions predicted",
            column("regions_true")[known],
            column("regions")[known],
        )
    )
    high = {
        name: estimate_of(summary, name, view)
        for name, metric in metrics_of(measures).items()
        if metric.better == "high"
    }
    label = "mean over images, 95 % interval"
    result.append(plots.intervals("metrics of which higher is better", label, high))
    return [each for each in result if each]
