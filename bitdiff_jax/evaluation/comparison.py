"""Several systems on the same pictures: figures side by side, paired tests, one sheet."""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import image_measures
from bitdiff_jax.evaluation.on_files import Task
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.report import matched_colours, summary_tables
from bitdiff_jax.evaluation.report.summary_tables import Summary, number
from bitdiff_jax.evaluation.rows import Table
from bitdiff_jax.evaluation.statistics import pooling, significance

# Of the figures of distributions, those that rank systems.
_OF_DISTANCES = ("ged2_rand", "ged2_ari", "ged2_iou", "coverage_ari", "matched_iou")
_ABREAST = 3  # systems, in 100 columns
_GAP = 8  # pixels


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


def shown_metrics(summaries: Mapping[str, Summary], view: View) -> list[str]:
    """The figures of a view that some system has, without repeats for single samples."""
    result = []
    for name in (*image_measures.METRICS, *_OF_DISTANCES):
        if any(summary[f"{name}@{view.name}"].num_images for summary in summaries.values()):
            result.append(name)
    return result


def shown_pooled(summaries: Mapping[str, Summary], view: View) -> list[str]:
    """The figures of whole sets that some system has; pictures alone cannot test them."""
    return [
        name
        for name in pooling.TITLES
        if any(summary[f"{name}@{view.name}"].num_images for summary in summaries.values())
    ]


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
        Difference(
            *pair, result, p, significance.verdict(result, p, pair, image_measures.better(name))
        )
        for pair, result, p in zip(pairs, results, corrected, strict=True)
    ]


def as_text(
    summaries: Mapping[str, Summary], found: Mapping[str, Sequence[Difference]], view: View
) -> str:
    """Figures side by side, three systems a block, then a block of tests for every two."""
    tools = list(summaries)
    blocks = []
    for start in range(0, len(tools), _ABREAST):
        some = tools[start : start + _ABREAST]
        lines = [f"{'':<19}" + "".join(f"{cut(tool, 24):<26}" for tool in some)]
        for name in found:
            sign = "-" if image_measures.better(name) == "low" else " "
            lines.append(f"{name:<17}{sign} " + _cells(summaries, some, f"{name}@{view.name}"))
        lines += [
            f"{name:<17}{'-' if name.startswith('vi_') else ' '} "
            + _cells(summaries, some, f"{name}@{view.name}")
            for name in shown_pooled(summaries, view)
        ]
        blocks.append(lines)
    for place, (first, second) in enumerate(itertools.combinations(tools, 2)):
        lines = [f"{cut(first, 40)} - {cut(second, 40)}"]
        lines.append(f"{'':<19}{'difference':>10}  {'95 % interval':<20}{'p':>7}  better")
        for name, rows in found.items():
            r = rows[place].result
            if r.num_images:
                interval = f"[{r.low:+.4f}, {r.high:+.4f}]"
                lines.append(
                    f"{name:<19}{r.difference:>+10.4f}  {interval:<20}{rows[place].p:>7.4f}  "
                    f"{cut(rows[place].verdict, 38)}"
                )
        blocks.append(lines if len(lines) > 2 else [lines[0], "no figure that both have"])
    return "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in blocks)


def _cells(summaries: Mapping[str, Summary], tools: Sequence[str], column: str) -> str:
    estimates = [summaries[tool][column] for tool in tools]
    cells = [f"{e.mean:.4f} [{e.low:.4f}, {e.high:.4f}]" if e.num_images else "" for e in estimates]
    return "".join(f"{cell:<26}" for cell in cells)


def cut(text: str, width: int) -> str:
    """The text, or its begin and end where it is too long: names differ at either."""
    if len(text) <= width:
        return text
    end = (width - 2) // 2
    return f"{text[: width - 2 - end]}..{text[-end:]}"


def as_csv(found: Mapping[str, Mapping[str, Sequence[Difference]]]) -> str:
    """A line for each test, by view and figure."""
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
    """CSV: a line for each picture and system."""
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
    """The same as JSON."""
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


def spread_names(tables: Mapping[str, Table], view: View, count: int) -> list[str]:
    """Pictures spread evenly over the difference in ARI of the first two systems, ends included."""
    first, second = (each.column(f"ari@{view.name}") for each in list(tables.values())[:2])
    differences = np.nan_to_num(first - second)
    order = np.argsort(-differences, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    names = next(iter(tables.values())).names
    return [names[order[place]] for place in places]


def sheet(
    tasks: Mapping[str, Task], tables: Mapping[str, Table], names: Sequence[str], view: View,
    *, cell: int = 200,
) -> np.ndarray:  # fmt: skip
    """One row a picture: the picture, the first person's map, and each system's first map.

    Regions have the colour of the true one that they share most pixels with, one to one.

    Args:
        tasks: of the systems, by name.
        tables: their rows; below each map stands its picture's ARI.
        names: of the pictures.
        view: whose ARI that is.
        cell: longest side of each.

    Returns:
        uint8 [H, W, 3], with a line of heads.
    """
    first = next(iter(tasks.values()))
    with_image = first.truths.read(names[0]).image is not None
    heads = [*(["picture"] if with_image else []), "truth", *tasks]
    values = {
        tool: dict(zip(table.names, table.column(f"ari@{view.name}"), strict=True))
        for tool, table in tables.items()
    }
    strips = [_strip(heads, cell, head=True)]
    for name in names:
        truth = first.truths.read(name)
        shape = truth.labels[0].shape
        maps = [truth.labels[0], *(task.samples(name, shape)[0] for task in tasks.values())]
        cells = matched_colours.painted(maps, cell)
        if with_image:
            image = truth.image if truth.image is not None else np.full((*shape, 3), 255, np.uint8)
            cells.insert(0, matched_colours.photo(image, cell))
        annotators = len(truth.labels)
        annotator = f"person 1 of {annotators}" if annotators > 1 else ""
        texts = [*([name, annotator] if with_image else [name])]
        texts += [f"ARI {v:.3f}" if np.isfinite(v := values[t][name]) else "" for t in tasks]
        strips += [_beside(cells, cell), _strip(texts, cell)]
    return np.concatenate(strips)


def _beside(cells: Sequence[np.ndarray], cell: int) -> np.ndarray:
    height = max(len(each) for each in cells)
    row = np.full((height, _GAP + len(cells) * (cell + _GAP), 3), 255, np.uint8)
    for column, each in enumerate(cells):
        left = _GAP + column * (cell + _GAP)
        row[: len(each), left : left + each.shape[1]] = each
    return row


def _strip(texts: Sequence[str], cell: int, *, head: bool = False) -> np.ndarray:
    """A line of text, each at the left of its column and cut to its width."""
    size = 16 if head else 12
    strip = Image.new("RGB", (_GAP + len(texts) * (cell + _GAP), size + 12), "white")
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size)
    for column, text in enumerate(texts):
        shown = text
        while draw.textlength(shown, font) > cell:
            shown = cut(text, len(shown) - 1)
        left = _GAP + column * (cell + _GAP)
        draw.text((left, 3), shown, fill="black", font=font)
    return np.asarray(strip)
