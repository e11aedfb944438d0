"""One HTML page that stands alone: tables, plots, and the best, median and worst pictures."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bitdiff_jax.data.contact_sheet import contact_sheet, to_png
from bitdiff_jax.evaluation import distribution, figures, plots, pooling
from bitdiff_jax.evaluation.on_files import Task
from bitdiff_jax.evaluation.presentation import Summary
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.evaluation.tables import Estimate
from bitdiff_jax.evaluation.views import View

_RANKED_BY = "ari"
_MAX_SAMPLES = 4
_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .6em 0 1.4em } td, th { padding: .15em .7em;
text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left }
small { color: #666 } img { max-width: 100% } figure { margin: 1em 0 } svg { max-width: 100%;
height: auto; vertical-align: top }
"""
_HEADS = ("mean", "best of n", "best per person", "medoid", "people")
_SUFFIXES = ("", "_best", "_best_per_person", "_medoid", "_people")


def page(
    task: Task, table: Table, summary: Summary, about: Mapping[str, Any], *, shown: int = 8
) -> bytes:
    """The page as a file; it loads nothing.

    Args:
        task: reads the pictures to be shown again.
        table: rows of the pictures that have figures.
        summary: of the table.
        about: what was evaluated.
        shown: pictures at most in each of best, median and worst.
    """
    title = f"{about['predictions']} against {about['ground_truth']}"
    missing = about.get("missing", {})
    facts = {
        "kind": about["kind"],
        "masks made one map by": about["rule"],
        "protocol": about["protocol"],
        "without a region in the truth": about["unlabelled"],
        "pictures scored": len(table.names),
        "without a prediction": len(missing.get("without_prediction", ())),
        "without a truth": len(missing.get("without_truth", ())),
        "could not be scored": len(table.errors),
    }
    parts = [f"<h1>{html.escape(title)}</h1>", _facts(facts)]
    for view in task.views:
        parts += [f"<h2>{html.escape(_heading(view))}</h2>", _figures(summary, view)]
        parts += [_distances(summary, view), "<p>", *_plots(table, summary, view), "</p>"]
    parts += _pictures(task, table, task.views[-1], shown)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )
    return text.encode()


def _heading(view: View) -> str:
    size = f"{view.size} px" if view.size else "the size of the truth"
    return f"{view.name}: compared at {size}"


def _facts(facts: Mapping[str, Any]) -> str:
    rows = (
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, 0)
    )
    return f"<table>{''.join(rows)}</table>"


def _cell(estimate: Estimate) -> str:
    if not estimate.num_images:
        return "<td></td>"
    interval = f"{estimate.low:.3f} to {estimate.high:.3f}"
    return f"<td>{estimate.mean:.3f} <small>{interval}</small></td>"


def _table(heads: Sequence[str], rows: Mapping[str, Sequence[Estimate]]) -> str:
    head = "".join(f"<th>{html.escape(each)}</th>" for each in ("", *heads))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(map(_cell, estimates))}</tr>"
        for name, estimates in rows.items()
        if any(each.num_images for each in estimates)
    )
    return f"<table><tr>{head}</tr>{body}</table>" if body else ""


def _figures(summary: Summary, view: View) -> str:
    rows = {
        f"{name}: {figure.title}" + ("" if figure.better == "high" else " (lower is better)"): [
            summary[f"{name}{suffix}@{view.name}"] for suffix in _SUFFIXES
        ]
        for name, figure in figures.FIGURES.items()
    }
    pooled = {
        f"{name}: {each.title}": [summary[f"{name}@{view.name}"]]
        for name, each in pooling.POOLED.items()
    }
    return _table(_HEADS, rows) + _table(("added up over pictures",), pooled)


def _distances(summary: Summary, view: View) -> str:
    forms = {
        "GED², self-pairs left out": "ged2_{}",
        "GED², self-pairs counted": "ged2_{}_counted",
        "diversity of the samples": "diversity_{}",
        "diversity of the people": "diversity_{}_people",
        "coverage of people": "coverage_{}",
        "similarity, samples matched to people": "matched_{}",
    }
    rows = {
        title: [summary[f"{form.format(kind)}@{view.name}"] for kind in distribution.DISTANCES]
        for title, form in forms.items()
    }
    return _table(("1 - Rand", "1 - ARI", "1 - symmetric IoU"), rows)


def _plots(table: Table, summary: Summary, view: View) -> list[str]:
    column = lambda name: table.column(f"{name}@{view.name}")  # noqa: E731
    result = []
    for name in ("ari", "iou"):
        series = {"predictions": column(name), "people": column(f"{name}_people")}
        result.append(plots.histogram(f"{name}, share of pictures", series))
    result.append(
        plots.scatter(
            "regions", "of the truth", "predicted", column("regions_true"), column("regions")
        )
    )
    high = {
        name: summary[f"{name}@{view.name}"]
        for name, figure in figures.FIGURES.items()
        if figure.better == "high"
    }
    result.append(plots.intervals("means with 95 % intervals over pictures", high))
    return result


def _pictures(task: Task, table: Table, view: View, shown: int) -> list[str]:
    values = table.column(f"{_RANKED_BY}@{view.name}")
    order = [int(i) for i in np.argsort(values, kind="stable") if math.isfinite(values[i])]
    if not shown or not order:
        return []
    middle = max(0, len(order) // 2 - shown // 2)
    groups = {
        "Best": order[::-1][:shown],
        "Median": order[middle : middle + shown],
        "Worst": order[:shown],
    }
    parts = [f"<p>By {_RANKED_BY} at {html.escape(view.name)}. From the left: the picture, each "
             "person's map, then the predicted ones.</p>"]  # fmt: skip
    for title, indices in groups.items():
        parts.append(f"<h2>{title} pictures</h2>")
        for index in indices:
            name = table.names[index]
            png = base64.b64encode(to_png(contact_sheet([picture_row(task, name)]))).decode()
            caption = f"{html.escape(name)}: {values[index]:.3f}"
            parts.append(
                f'<figure><img alt="{caption}" src="data:image/png;base64,{png}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
    return parts


def picture_row(task: Task, name: str) -> list[np.ndarray]:
    """A picture, if there is one, its truths and its samples, up to four each."""
    truth = task.truths.read(name)
    samples = task.samples(name, truth.labels[0].shape)
    image = [] if truth.image is None else [truth.image]
    return [*image, *truth.labels[:_MAX_SAMPLES], *samples[:_MAX_SAMPLES]]
