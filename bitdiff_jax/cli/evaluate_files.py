"""`bitdiff evaluate PREDICTIONS GROUND_TRUTH [--out DIR] [options]`."""

import argparse
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bitdiff_jax import files
from bitdiff_jax.cli.options import (
    Parser,
    add_output,
    add_scoring,
    measures_of,
    output_folder,
    views_of,
)
from bitdiff_jax.cli.scored import (
    ROWS,
    about_scoring,
    check,
    missing_text,
    print_tables,
    row_folder,
    tell_resumed,
    write_all,
)
from bitdiff_jax.cli.time_left import Progress

if TYPE_CHECKING:
    from bitdiff_jax.evaluation import on_files, protocols, rows, truths

_DESCRIPTION = """\
Score segmentations on disk, whoever drew them, against known ones. PREDICTIONS are a folder of PNGs
of region ids (ID.png, or ID_0.png, ID_1.png, ... of several samples), npz files, a COCO results or
panoptic file, or Segment Anything's output. GROUND_TRUTH is a spec such as bsds500:DIR,split=val, a
folder with images/ and labels/, or whatever PREDICTIONS may be, with people for samples. Pictures
are matched by name; what is missing is listed, and left out of the figures. The exit code is 1 if
anything was missing.
(`bitdiff evaluate --checkpoint DIR --data SPEC` scores a model: see its --help.)"""
_EPILOG = """\
With --out the folder gets rows.jsonl, to which a second start adds only what is missing,
metrics.json, per_image.csv, samples.png, missing.txt and, with --html, report.html. Remove
rows.jsonl when predictions have changed."""


def main(argv: list[str]) -> int:
    """Parses the command line, evaluates and prints the tables."""
    args = _parser().parse_args(argv)
    with files.no_empty_folder(args.out):
        return _evaluate(args)


def _evaluate(args: argparse.Namespace) -> int:
    # After the parsing: they import jax.
    from bitdiff_jax.evaluation import cautions, truths
    from bitdiff_jax.evaluation.report import summary_tables

    expand_paths(args)
    chosen = views_of(args.protocol, args.score_size)
    out = output_folder(args)
    truth = open_truth([args.predictions], args)
    task = make_task(args.predictions, args, truth, chosen)
    matching = truths.match(task.predictions.names, truth.names, remedy("", task, args))
    names = matching.both[: args.num_images]
    about = about_of(task, args.predictions, args.ground_truth, args.protocol)

    with row_folder(out) as folder:
        table = score_into(folder / ROWS, task, names, about, args.workers)
    check(table, len(names))
    summary = summary_tables.summarise(table)
    missing = missing_text(matching, table)
    print_tables(task, table, summary, len(names), args.protocol, truth.unlabelled, every=args.all)
    if out is not None:
        about |= {"num_images": len(table.names), "errors": table.errors}
        about |= {"missing": matching._replace(both=())._asdict()}
        about |= {"caution": cautions.much_ignored(table)}
        sheet, page = table.names[: args.sheet], args.sheet if args.html else None
        write_all(out, task, table, summary, names, about, sheet=sheet, page=page)
    if missing:
        print(f"\n{missing}", file=sys.stderr)
    tell_caution(table)
    return 1 if missing else 0


def tell_caution(table: "rows.Table") -> None:
    """Prints what to be careful about, if there is anything."""
    from bitdiff_jax.evaluation import cautions

    if caution := cautions.much_ignored(table):
        print(f"\ncareful: {caution}", file=sys.stderr)


def add_common(add: Callable[..., Any]) -> None:
    """The options that `bitdiff evaluate` of files and `bitdiff compare` share."""
    add(
        "--zero",
        choices=("ignore", "background", "region"),
        help="what id 0 of the ground truth's PNGs is, and pixels of no region in files of other "
        "kinds: not annotated, the background (one region), or a region like the others",
    )
    add("--images", metavar="DIR", help="pictures ID.jpg, if the ground truth holds maps alone")
    add("--kind", metavar="KIND", help="of the predictions; found out if it is not said")
    add(
        "--names",
        choices=("whole", "sample_suffix"),
        help="files ID_0, ID_1, ... on either side are images of their own (whole), or samples or "
        "annotators of ID (sample_suffix); found out, and asked for where both are possible",
    )
    add(
        "--image_list",
        metavar="FILE",
        help="COCO file that lists the images of COCO results, also those without a mask",
    )
    add(
        "--order",
        choices=("score", "smaller", "earlier", "later"),
        help="which of two masks lies on top (the kind's own rule)",
    )
    add("--min_score", type=float, metavar="X", help="masks of a lower score take no part (0)")
    add_scoring(add)


def expand_paths(args: argparse.Namespace) -> None:
    """Puts the home for `~` in the options that are paths; shells do so in some places only."""
    for name in ("predictions", "checkpoint", "out", "images", "pngs", "image_list"):
        value = getattr(args, name, None)
        if isinstance(value, str):
            setattr(args, name, files.at_home(value))


def open_truth(paths: Sequence[str], args: argparse.Namespace) -> "truths.Truths":
    """Opens the ground truth by the options; names of the tools' files help to understand its."""
    from bitdiff_jax.evaluation import truths
    from bitdiff_jax.evaluation.predictions import written_names

    return truths.open_truths(
        args.ground_truth,
        zero=args.zero,
        images_folder=args.images,
        names=args.names,
        # A generator: few truths need it, and a large file takes long to read.
        others=(written_names(path, args.kind, **_elsewhere(path, args)) for path in paths),
    )


def open_tool(path: str, args: argparse.Namespace, truth: "truths.Truths") -> Any:
    """Opens a tool's predictions by the options."""
    from bitdiff_jax.evaluation.predictions import open_predictions
    from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule

    chosen = {k: v for k in ("order", "min_score") if (v := getattr(args, k)) is not None}
    rule = Rule(**chosen) if chosen else None
    return open_predictions(
        path, args.kind, like=truth.names, rule=rule, names=args.names, **_elsewhere(path, args)
    )


def _elsewhere(path: str, args: argparse.Namespace) -> dict[str, Any]:
    """Files that belong to the predictions, of the options of which a tool's kind knows."""
    from bitdiff_jax.evaluation.predictions.detect import detect

    # `bitdiff compare` has no --pngs, which are one tool's, and tools of other kinds beside.
    if isinstance(args.predictions, list):
        kind = args.kind or detect(path).kind
        return {"images": args.image_list} if kind == "coco_results" else {}
    return {"pngs": args.pngs, "images": args.image_list}


def remedy(tool: str, task: "on_files.Task", args: argparse.Namespace) -> str:
    """What helps where no prediction has the name of an image.

    Args:
        tool: its name where there are several, '' otherwise.
        task: its predictions.
        args: the options.
    """
    of_tool = f" ({tool})" if tool else ""
    if task.predictions.kind == "coco_results" and not args.image_list:
        return (
            f"COCO results{of_tool} know images by ids: name the COCO file that says which image "
            "has which id with --image_list FILE, or name them alike"
        )
    return f"name them alike{of_tool}"


def make_task(
    path: str,
    args: argparse.Namespace,
    truth: "truths.Truths",
    chosen: "tuple[protocols.View, ...]",
) -> "on_files.Task":
    """What is to be scored, by the options."""
    from bitdiff_jax.evaluation import on_files

    return on_files.Task(open_tool(path, args, truth), truth, chosen, measures_of(args))


def about_of(task: "on_files.Task", path: str, ground_truth: str, protocol: str) -> dict[str, Any]:
    """What identifies an evaluation: rows of another are not continued."""
    tool = task.predictions
    return about_scoring(
        path, tool.kind, ground_truth, task.truths.unlabelled, protocol, task.views, task.measures
    ) | {
        "rule": tool.rule,
        "levels": tool.levels and list(tool.levels),
        "score_per_region": tool.score_per_region(),
    }


def score_into(
    path: pathlib.Path, task: "on_files.Task", names: Sequence[str], about: Any, workers: int
) -> "rows.Table":
    """Scores what has no row yet; the rows of `names`."""
    from bitdiff_jax.evaluation import on_files, rows

    with rows.RowFile(path, about, task.columns()) as file:
        if done := len(file.done.intersection(names)):
            tell_resumed(path, done, len(names))
        on_files.run(
            task, names, file, workers=workers, progress=Progress(log_seconds=60.0, brief=True)
        )
    return rows.read(path).of(names)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="bitdiff evaluate",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("predictions", metavar="PREDICTIONS", help="a folder or a file")
    add("ground_truth", metavar="GROUND_TRUTH", help="a spec, a folder or a file")
    add_output(add)
    add_common(add)
    add("--pngs", metavar="DIR", help="of a COCO panoptic file, if its PNGs are elsewhere")
    return parser
