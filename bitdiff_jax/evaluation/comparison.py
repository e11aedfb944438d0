"""Several systems on the same pictures: figures side by side, paired tests, one sheet."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from bitdiff_jax.data.contact_sheet import contact_sheet
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import figures, significance
from bitdiff_jax.evaluation.on_files import Task
from bitdiff_jax.evaluation.presentation import Summary, number
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.evaluation.views import View

# Of the figures of distributions, those that rank systems.
_OF_DISTANCES = ("ged2_rand", "ged2_ari", "ged2_iou", "coverage_ari", "matched_iou")


class Difference(NamedTuple):
    """One figure of two systems."""

    first: str
    second: str
    result: significance.Paired
    p: float  # Holm's, over all pairs of systems for this figure
    verdict: str  # a system's name, or 'undecided'


def common(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The rows of the pictures that every system has, in one order.

    Raises:
        InputError: there is no such picture.
    """
    sets = [set(table.names) for table in tables.values()]
    shared = sets[0].intersection(*sets[1:])
    names = [name for name in next(iter(tables.values())).names if name in shared]
    if not names:
        raise InputError("no picture was scored for every tool; look at what is missing")
    return {tool: table.of(names) for tool, table in tables.items()}


def shown_figures(summaries: Mapping[str, Summary], view: View) -> list[str]:
    """The figures of a view that some system has, without repeats for single samples."""
    result = []
    for name in (*figures.FIGURES, *_OF_DISTANCES):
        if any(summary[f"{name}@{view.name}"].num_images for summary in summaries.values()):
            result.append(name)
    return result


def differences(tables: Mapping[str, Table], name: str, view: View) -> list[Difference]:
    """Every pair of systems in one figure, on the pictures that both have it for."""
    pairs = list(itertools.combinations(tables, 2))
    column = f"{name}@{view.name}"
    results = [
        significance.paired(tables[first].column(column), tables[second].column(column))
        for first, second in pairs
    ]
    corrected = significance.holm([result.p for result in results])
    return [
        Difference(*pair, result, p, significance.verdict(result, p, pair, figures.better(name)))
        for pair, result, p in zip(pairs, results, corrected, strict=True)
    ]


def as_text(
    tables: Mapping[str, Table],
    summaries: Mapping[str, Summary],
    found: Mapping[str, Sequence[Difference]],
    view: View,
) -> str:
    """Figures side by side, then a line for each test."""
    width = max(26, *(len(tool) + 2 for tool in tables))
    lines = [f"{'':<17}" + "".join(f"{tool:<{width}}" for tool in tables)]
    for name in found:
        estimates = [summaries[tool][f"{name}@{view.name}"] for tool in tables]
        cells = [f"{e.mean:.4f} [{e.low:.4f}, {e.high:.4f}]" for e in estimates]
        sign = "-" if figures.better(name) == "low" else " "
        lines.append(f"{name:<15}{sign} " + "".join(f"{cell:<{width}}" for cell in cells))
    lines += ["", f"{'':<17}{'difference':>10}  {'95 % interval':<20}{'p':>7}  better"]
    for name, rows in found.items():
        for row in rows:
            r = row.result
            interval = f"[{r.low:+.4f}, {r.high:+.4f}]"
            lines.append(
                f"{name:<17}{r.difference:>+10.4f}  {interval:<20}{row.p:>7.4f}  {row.verdict}"
                f" ({row.first} - {row.second})"
            )
    return "\n".join(line.rstrip() for line in lines)


def as_dict(
    summaries: Mapping[str, Summary], found: Mapping[str, Sequence[Difference]], view: View
) -> dict[str, Any]:
    """The same as JSON."""
    numbers = lambda named: {key: number(v) for key, v in named._asdict().items()}  # noqa: E731
    return {
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


def spread_names(tables: Mapping[str, Table], view: View, count: int) -> list[str]:
    """Pictures spread evenly over the difference in ARI of the first two systems, ends included."""
    first, second = (each.column(f"ari@{view.name}") for each in list(tables.values())[:2])
    differences = np.nan_to_num(first - second)
    order = np.argsort(-differences, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    names = next(iter(tables.values())).names
    return [names[order[place]] for place in places]


def sheet(tasks: Mapping[str, Task], names: Sequence[str], *, cell: int = 160) -> np.ndarray:
    """One row a picture: the picture, the first person's map, and each system's first map.

    Args:
        tasks: of the systems, by name.
        names: of the pictures.
        cell: longest side of each.

    Returns:
        uint8 [H, W, 3], with a line of heads.
    """
    rows = []
    any_task = next(iter(tasks.values()))
    has_images = any_task.truths.read(names[0]).image is not None
    for name in names:
        truth = any_task.truths.read(name)
        shape = truth.labels[0].shape
        maps = [task.samples(name, shape)[0] for task in tasks.values()]
        image = truth.image if truth.image is not None else np.zeros((*shape, 3), np.uint8)
        rows.append([*([image] if has_images else []), truth.labels[0], *maps])
    gap = 6
    body = contact_sheet(rows, cell=cell, gap=gap)
    head = Image.new("RGB", (body.shape[1], 18), "white")
    draw = ImageDraw.Draw(head)
    for column, text in enumerate([*(["picture"] if has_images else []), "truth", *tasks]):
        draw.text((gap + column * (cell + gap), 3), text[: cell // 6], fill="black")
    return np.concatenate([np.asarray(head), body])
