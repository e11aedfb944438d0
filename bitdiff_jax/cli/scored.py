"""What both forms of `bitdiff evaluate` share: what identifies them, tables and files."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bitdiff_jax
from bitdiff_jax import files
from bitdiff_jax.data import file_names
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.evaluation import on_files, protocols, rows, truths
    from bitdiff_jax.evaluation.report import labelled_sheet, summary_tables
    from bitdiff_jax.metrics import Measure

ROWS = "rows.jsonl"
SHEET = "samples.png"
ONE_IMAGE = "one image: no interval, since it says nothing of other images"
_CELL = 128  # longest side of a picture on the sheet


def about_scoring(
    predictions: str,
    kind: str,
    ground_truth: str,
    unlabelled: str,
    protocol: str,
    chosen: "Sequence[protocols.View]",
    measures: "Sequence[Measure]",
) -> dict[str, Any]:
    """What identifies an evaluation of either form: rows of another are not continued."""
    return {
        "version": bitdiff_jax.__version__,
        "predictions": file_names.as_text(str(predictions)),
        "kind": kind,
        "rule": None,
        "levels": None,
        "score_per_region": "constant",
        "ground_truth": file_names.as_text(str(ground_truth)),
        "unlabelled": unlabelled,
        "protocol": protocol,
        "views": [vars(view) for view in chosen],
        "measured": [metric.name for measure in measures for metric in measure.metrics],
    }


def keeps_rows(out: Any) -> bool:
    """Whether a later start can continue: rows are appended, which buckets cannot."""
    return out is not None and "://" not in os.fspath(out)


@contextlib.contextmanager
def row_folder(out: Any) -> Iterator[pathlib.Path]:
    """Where rows are kept: the results' folder, or one that is gone afterwards."""
    with contextlib.ExitStack() as stack:
        if keeps_rows(out):
            yield pathlib.Path(out)
        else:
            yield pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))


def tell_resumed(path: os.PathLike | str, done: int, total: int) -> None:
    """One line for a second start."""
    print(f"{path}: {done} of {total} pictures have their row already", file=sys.stderr, flush=True)


def check(table: "rows.Table", asked: int) -> None:
    """Refuses a table that says nothing.

    Raises:
        InputError: no picture has a row, or none has a truth.
    """
    if not table.names:
        raise InputError(
            f"not one of {asked} pictures could be scored; the first: "
            f"{next(iter(table.errors.values()), 'there is none')}"
        )
    columns = [name for name in table.columns if name.startswith("regions_true@")]
    if not table.about.get("levels") and not any((table.column(c) > 0).any() for c in columns):
        raise InputError(
            "not one pixel of the ground truth is labelled, so there is nothing to compare with "
            f"({table.about.get('unlabelled')}); look at what its numbers mean"
        )


def missing_text(matching: "truths.Matching", table: "rows.Table", shown: int = 10) -> str:
    """All that is not in the figures, and why."""
    lines = [text] if (text := matching.text(shown)) else []
    if table.errors:
        lines.append(f"{len(table.errors)} could not be scored:")
        for name, error in list(table.errors.items())[:shown]:
            lines.append(f"  {name}: {error}")
        if len(table.errors) > shown:
            lines.append(f"  and {len(table.errors) - shown} more")
    return "\n".join(lines)


def print_tables(
    task: "on_files.Task",
    table: "rows.Table",
    summary: "summary_tables.Summary",
    asked: int,
    protocol: str,
    unlabelled: str,
    *,
    every: bool = False,
) -> None:
    """The tables of all views, and with the paper's protocol what its rules are worth.

    Args:
        task: what was evaluated.
        table: the rows.
        summary: of the table.
        asked: number of images asked for.
        protocol: that was asked for.
        unlabelled: what pixels without a region were taken for.
        every: whether to print all metrics rather than the main ones.
    """
    from bitdiff_jax.evaluation.report import summary_tables

    samples, annotators = (_span(table.column(name)) for name in ("num_samples", "num_people"))
    levels = task.predictions.levels
    drawn = f"{samples} sample(s)" if levels is None else f"{len(levels)} levels"
    print(
        f"{task.predictions.path} ({task.predictions.kind}): {len(table.names)} of {asked} "
        f"images scored; of each {drawn}, {annotators} annotator(s)"
    )
    if len(table.names) == 1:
        print(ONE_IMAGE)
    if task.predictions.rule:
        print(f"masks made one map by: {task.predictions.rule}")
    if levels is None:
        print(ranking_text(table.about["score_per_region"]))
    print(f"ground truth: {unlabelled}")
    for view in task.views:
        size = "the truth's own size" if not view.size else f"{view.size} px"
        as_text = summary_tables.as_full_text if every else summary_tables.as_text
        print(f"\n{view.name} ({size})\n{as_text(table, summary, view, task.measures)}")
    if protocol == "paper":
        first, second = task.views
        text = summary_tables.differences_text(table, summary, first, second, task.measures)
        print(f"\n{text}")
    if not every and levels is None:
        print("\nall metrics: --all; what each of them is: docs/evaluation.md")


def ranking_text(score: str) -> str:
    """By what average precision ranks the regions, in a sentence."""
    if score == "constant":
        return "average precision takes all regions for equally certain: they have no scores"
    return f"average precision ranks regions by the {score}"


def _span(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def write_all(
    out: Any,
    task: "on_files.Task",
    table: "rows.Table",
    summary: "summary_tables.Summary",
    names: Sequence[str],
    about: Mapping[str, Any],
    *,
    sheet: Sequence[str],
    page: int | None,
) -> None:
    """Writes the results' files and says so.

    Args:
        out: the folder.
        task: reads pictures and maps to be shown.
        table: the rows.
        summary: of the table.
        names: of all pictures asked for.
        about: what goes into metrics.json beside the figures; 'missing' and 'errors' among it.
        sheet: pictures of samples.png; none leaves the file as it is.
        page: pictures in each part of report.html; None for no page.
    """
    from bitdiff_jax.data.contact_sheet import to_png
    from bitdiff_jax.evaluation.report import labelled_sheet, summary_tables

    written = {
        "metrics.json": summary_tables.as_json(summary, about, task.measures),
        "per_image.csv": "".join(summary_tables.csv_lines(table, names)).encode(),
    }
    missing = [f"{name}\tno prediction" for name in about["missing"]["without_prediction"]]
    missing += [f"{name}\tno truth" for name in about["missing"]["without_truth"]]
    missing += [f"{name}\t{error}" for name, error in about["errors"].items()]
    if missing:
        written["missing.txt"] = ("\n".join(missing) + "\n").encode()
    if sheet:
        shown = [_sheet_row(task, name) for name in sheet]
        count = max(len(row.maps) for row in shown)
        levels = task.predictions.levels
        heads = (
            [f"level {each}" for each in levels] if levels else labelled_sheet.sample_heads(count)
        )
        written[SHEET] = to_png(
            labelled_sheet.sheet(shown, heads, task.views[-1], task.measures[0], cell=_CELL)
        )
    if page is not None:
        from bitdiff_jax.evaluation.report import html_page

        written["report.html"] = html_page.page(task, table, summary, about, shown=page)
    for name, data in written.items():
        files.write(out / name, data)
    kept = (ROWS,) if keeps_rows(out) else ()
    print(f"\nwritten: {', '.join(str(out / name) for name in (*kept, *written))}")


def _sheet_row(task: "on_files.Task", name: str) -> "labelled_sheet.SheetRow":
    from bitdiff_jax.evaluation.report import labelled_sheet

    truth = task.truths.read(name)
    maps = task.samples(name, truth.labels[0].shape)
    return labelled_sheet.SheetRow(name, truth.image, truth.labels, maps)
