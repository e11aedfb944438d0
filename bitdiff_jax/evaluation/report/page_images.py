"""The images of a report: best, median and worst, each map under its title."""

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from bitdiff_jax.evaluation.on_files import Task
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.report import labelled_sheet, matched_colours
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.metrics import MEASURES, Metric

_COUNTS = ("regions", "regions_true")
_MAX_ANNOTATORS, _MAX_SAMPLES = 4, 5
_ON_A_LINE = 6
CELL = 150  # longest side of each image and map, in pixels


def shown_names(
    table: Table, view: View, shown: int, metric: Metric = MEASURES[0].metrics[0]
) -> dict[str, list[str]]:
    """The names of the images that the page shows, by title; each image once.

    Args:
        table: rows of the evaluation.
        view: the view that is shown.
        shown: greatest number of images in each group.
        metric: name of the metric by which images are ranked.
    """
    values = table.column(f"{metric.name}@{view.name}")
    values = -values if metric.better == "low" else values
    order = [int(i) for i in np.argsort(-values, kind="stable") if math.isfinite(values[i])]
    if not shown:
        return {}
    if not order:  # nothing to rank by
        places = np.linspace(0, len(table.names) - 1, min(shown, len(table.names)))
        return {"Some": [table.names[round(place)] for place in places.tolist()]}
    # Few images are shared out, from both ends to the middle.
    ends = min(shown, -(-len(order) // 3))
    middle = order[ends : len(order) - ends]
    start = max(0, (len(middle) - shown) // 2)
    groups = {
        "Best": order[:ends],
        "Median": middle[start : start + shown],
        "Worst": order[max(ends, len(order) - ends) :][::-1],
    }
    return {title: [table.names[i] for i in each] for title, each in groups.items() if each}


def as_html(task: Task, table: Table, view: View, shown: int) -> list[str]:
    """Parts of the page with at most `shown` images in each group."""
    metric = task.measures[0].metrics[0]
    names = (*(measure.name for measure in task.measures[:2]), *_COUNTS)
    columns = {name: table.column(f"{name}@{view.name}") for name in names}
    place = {name: index for index, name in enumerate(table.names)}
    parts = []
    for title, group in shown_names(table, view, shown, metric).items():
        parts.append(f"<h2>{title} pictures</h2>")
        if not parts[1:]:
            by = f"Ranked by {metric.name}, {view.name}. " if title != "Some" else ""
            parts.append(
                f"<p>{html.escape(by)}Regions have the colour of the region of the first "
                "annotator's map that they share most pixels with, one to one. Black: of no "
                f"region. Under a prediction: {metric.name} of this very map.</p>"
            )
        for name in group:
            found = {key: float(values[place[name]]) for key, values in columns.items()}
            parts.append(_figure_block(task, name, found, view))
    return parts


def _figure_block(task: Task, name: str, found: Mapping[str, float], view: View) -> str:
    """One image with its maps, each under its title."""
    texts = [
        f"{key} {value:.3f}"
        for key, value in found.items()
        if key not in _COUNTS and math.isfinite(value)
    ]
    if texts:
        texts.append(f"{found['regions']:.3g} regions predicted, {found['regions_true']:.3g} true")
    caption = f"<b>{html.escape(name)}</b> {', '.join(texts)}"
    lines = image_row(task, name, view)
    if sum(map(len, lines)) <= _ON_A_LINE:
        lines = [[cell for line in lines for cell in line]]
    maps = "".join(f'<div class="maps">{"".join(_cell(name, *c) for c in line)}</div>'
                   for line in lines)  # fmt: skip
    return f"<figure><figcaption>{caption}</figcaption>{maps}</figure>"


def _cell(name: str, head: str, source: str) -> str:
    text = html.escape(f"{name}: {head}")
    return f'<div><img alt="{text}" src="{source}"><small>{head}</small></div>'


def image_row(task: Task, name: str, view: View) -> list[list[tuple[str, str]]]:
    """Two lists of (title, data URI): of an image, if there is one, and its truths; of samples."""
    truth = task.truths.read(name)
    samples = task.samples(name, truth.labels[0].shape)
    annotators, drawn = truth.labels[:_MAX_ANNOTATORS], samples[:_MAX_SAMPLES]
    sources = [_uri(each, "png") for each in matched_colours.painted([*annotators, *drawn], CELL)]
    true = list(zip(_heads("truth", "annotator", annotators, truth.labels), sources, strict=False))
    if truth.image is not None:
        true.insert(0, ("image", _uri(matched_colours.photo(truth.image, CELL), "jpeg")))
    heads = _heads("predicted", "sample", drawn, samples)
    if task.predictions.levels:
        heads = [f"level {html.escape(name)}" for name in task.predictions.levels[: len(drawn)]]
    scores = [
        labelled_sheet.score_text(each, truth.labels, view, task.measures[0]) for each in drawn
    ]
    heads = [
        f"{head}, {score}" if score else head for head, score in zip(heads, scores, strict=True)
    ]
    found = zip(heads, sources[len(annotators) :], strict=True)
    return [true, list(found)]


def _heads(
    alone: str, one: str, shown: Sequence[np.ndarray], every: Sequence[np.ndarray]
) -> list[str]:
    if len(every) == 1:
        return [alone]
    of = f" of {len(every)}" if len(shown) < len(every) else ""
    return [f"{one} {number}{of}" for number in range(1, len(shown) + 1)]


def _uri(pixels: np.ndarray, kind: str) -> str:
    file = io.BytesIO()
    options: dict[str, Any] = {"quality": 88} if kind == "jpeg" else {"optimize": True}
    Image.fromarray(pixels).save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
