"""Several systems on the same images: metrics side by side, paired tests, one sheet."""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import distribution, image_measures
from bitdiff_jax.evaluation.on_files import Task
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.report import labelled_sheet, summary_tables
from bitdiff_jax.evaluation.report.summary_tables import Summary, cut, estimate_of, number
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.evaluation.statistics import pooling, significance
from bitdiff_jax.evaluation.statistics.estimates import interval_text
from bitdiff_jax.metrics import MEASURES, Measure, Metric, metrics_of

_ABREAST = 2  # systems side by side, in 100 columns of text
_LABEL = 34  # width of a metric's title in characters


class Difference(NamedTuple):
    """The difference of two systems in one metric."""

    first: str
    second: str
    result: significance.Paired
    p: float  # p after Holm's correction over all pairs of systems for this metric
    verdict: str  # a system's name, or 'undecided'


def common(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The rows of the images that every system has, in the same order for all.

    Raises:
        InputError: no image is common to all systems.
    """
    sets = [set(table.names) for table in tables.values()]
    shared = sets[0].intersection(*sets[1:])
    names = [name for name in next(iter(tables.values())).names if name in shared]
    if not names:
        raise InputError("no picture was scored for every tool; look at what is missing")
    return {tool: table.of(names) for tool, table in tables.items()}


def shown_metrics(
    summaries: Mapping[str, Summary], view: View, measures: Sequence[Measure]
) -> list[str]:
    """The metrics of a view that some system has and that say which system is better."""
    of_sets = [
        each.form.format(distance) for each in distribution.SET_METRICS for distance in each.ranks
    ]
    return [
        name
        for name in (*metrics_of(measures), *of_sets)
        if any(estimate_of(summary, name, view).num_images for summary in summaries.values())
    ]


def shown_pooled(summaries: Mapping[str, Summary], view: View) -> list[str]:
    """The metrics of whole sets that some system has; a test over images cannot compare them."""
    return [
        name
        for name in pooling.METRICS
        if any(estimate_of(summary, name, view).num_images for summary in summaries.values())
    ]


def differences(
    tables: Mapping[str, Table], name: str, view: View, better: str | None
) -> list[Difference]:
    """The differences of every pair of systems in one metric, on the images where both have it.

    Args:
        tables: the rows of each system by its name.
        name: name of the metric.
        view: the view that the metric is of.
        better: whether 'high' or 'low' values are better.
    """
    pairs = list(itertools.combinations(tables, 2))
    column = f"{name}@{view.name}"
    results = [
        significance.paired(tables[first].column(column), tables[second].column(column))
        for first, second in pairs
    ]
    corrected = significance.holm([result.p for result in results])
    return [
        Difference(*pair, result, p, significance.verdict(result, p, pair, better))
        for pair, result, p in zip(pairs, results, corrected, strict=True)
    ]


def as_text(
    summaries: Mapping[str, Summary],
    found: Mapping[str, Sequence[Difference]],
    view: View,
    measures: Sequence[Measure] = MEASURES,
    *,
    every: bool = False,
) -> str:
    """A text with the metrics side by side, two systems per block, and a block of tests per pair.

    Args:
        summaries: the summary of each system by its name.
        found: the differences by metric.
        view: the view that is shown.
        measures: the measures that were computed.
        every: whether to show all metrics, by name, rather than the main ones, by title.
    """
    tools = list(summaries)
    known = image_measures.described(measures)
    listed = [*found, *shown_pooled(summaries, view)]
    shown = {name: known[name] for name in listed if every or known[name].main}
    label = {
        name: cut(metric.name if every else metric.label, _LABEL) for name, metric in shown.items()
    }
    blocks = []
    for start in range(0, len(tools), _ABREAST):
        some = tools[start : start + _ABREAST]
        lines = [f"{'':<{_LABEL + 1}}{'better':<8}" + "".join(f"{cut(t, 24):<26}" for t in some)]
        for name, metric in shown.items():
            better = metric.direction.partition(" ")[0]
            cells = _cells(summaries, some, f"{name}@{view.name}")
            lines.append(f"{label[name]:<{_LABEL + 1}}{better:<8}{cells}")
        blocks.append(lines)
    for place, (first, second) in enumerate(itertools.combinations(tools, 2)):
        lines = [f"{cut(first, 40)} - {cut(second, 40)}"]
        lines.append(f"{'':<{_LABEL + 1}}{'difference':>10}  {'95 % interval':<20}{'p':>7}  better")
        for name, rows in found.items():
            r = rows[place].result
            if r.num_images and name in shown:
                interval = interval_text(r.low, r.high, sign="+")
                lines.append(
                    f"{label[name]:<{_LABEL + 1}}{r.difference:>+10.4f}  {interval:<20}"
                    f"{rows[place].p:>7.4f}  {cut(rows[place].verdict, 21)}"
                )
        blocks.append(lines if len(lines) > 2 else [lines[0], "no metric that both have"])
    return "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in blocks)


def _cells(summaries: Mapping[str, Summary], tools: Sequence[str], column: str) -> str:
    estimates = [summaries[tool][column] for tool in tools]
    cells = [
        f"{e.mean:.4f} {interval_text(e.low, e.high)}" if e.num_images else "" for e in estimates
    ]
    return "".join(f"{cell:<26}" for cell in cells)


def as_csv(found: Mapping[str, Mapping[str, Sequence[Difference]]]) -> str:
    """CSV with a line for each test, by view and metric."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    fields = Difference._fields
    lines.writerow(
        ["view", "figure", *fields[:2], *significance.Paired._fields, "p_corrected", "verdict"]
    )
    for view, by_name in found.items():
        for name, rows in by_name.items():
            for row in rows:
                numbers = [number(v) for v in (*row.result, row.p)]
                texts = ["" if v is None else f"{v:.8g}" for v in numbers]
                lines.writerow([view, name, row.first, row.second, *texts, row.verdict])
    return file.getvalue()


def per_image_lines(tables: Mapping[str, Table]) -> Iterator[str]:
    """CSV with a line for each image and system."""
    for place, (tool, table) in enumerate(tables.items()):
        lines = summary_tables.csv_lines(table, table.names)
        heads = next(lines)
        if not place:
            yield f"system,{heads}"
        file = io.StringIO()
        csv.writer(file, lineterminator="").writerow([tool])
        yield from (f"{file.getvalue()},{line}" for line in lines)


def as_dict(
    summaries: Mapping[str, Summary], found: Mapping[str, Sequence[Difference]], view: View
) -> dict[str, Any]:
    """The comparison as values for JSON."""
    numbers = lambda named: {key: number(v) for key, v in named._asdict().items()}  # noqa: E731
    pooled = {
        name: {
            "systems": {
                tool: numbers(summary[f"{name}@{view.name}"]) for tool, summary in summaries.items()
            }
        }
        for name in shown_pooled(summaries, view)
    }
    return pooled | {
        name: {
            "systems": {
                tool: numbers(summary[f"{name}@{view.name}"]) for tool, summary in summaries.items()
            },
            "differences": [
                {
                    "first": row.first,
                    "second": row.second,
                    **numbers(row.result),
                    "p_corrected": number(row.p),
                    "verdict": row.verdict,
                }
                for row in rows
            ],
        }
        for name, rows in found.items()
    }


def spread_names(tables: Mapping[str, Table], view: View, count: int, metric: Metric) -> list[str]:
    """Names of images spread evenly over the difference of the first two systems, ends included.

    They go from the image where the first one is better by most to the one where it is worse by
    most.
    """
    first, second = (
        each.column(f"{metric.name}@{view.name}") for each in list(tables.values())[:2]
    )
    differences = np.nan_to_num(first - second)
    order = np.argsort(differences if metric.better == "low" else -differences, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    names = next(iter(tables.values())).names
    return [names[order[place]] for place in places]


def sheet(
    tasks: Mapping[str, Task], names: Sequence[str], view: View, *, cell: int = 200
) -> np.ndarray:
    """A sheet with a row for each image: the image, the first annotator's map, each system's map.

    A system's map is its first one. Below each map stands its own score, not the mean of its
    system, see `labelled_sheet.sheet`.

    Args:
        tasks: the task of each system by its name.
        names: names of the images that are shown.
        view: the view in which maps are scored.
        cell: longest side, in pixels, of each image and map.
    """
    first = next(iter(tasks.values()))
    rows = []
    for name in names:
        truth = first.truths.read(name)
        shape = truth.labels[0].shape
        maps = [task.samples(name, shape)[0] for task in tasks.values()]
        rows.append(labelled_sheet.SheetRow(name, truth.image, truth.labels, maps))
    heads = [
        tool if (count := _samples(task, names[0])) == 1 else f"{tool}, sample 1 of {count}"
        for tool, task in tasks.items()
    ]
    return labelled_sheet.sheet(rows, heads, view, first.measures[0], cell=cell)


def _samples(task: Task, name: str) -> int:
    return len(task.samples(name, task.truths.read(name).labels[0].shape))
