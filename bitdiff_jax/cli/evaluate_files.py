"""`bitdiff evaluate PREDICTIONS GROUND_TRUTH [--out DIR] [options]`."""

import argparse
import contextlib
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import bitdiff_jax
from bitdiff_jax import files
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.evaluation import on_files, presentation, rows, truths, views

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
metrics.json, per_image.csv, missing.txt and, with --html, report.html. Remove rows.jsonl when
predictions have changed."""


def main(argv: list[str]) -> int:
    """Parses the command line, evaluates and prints the tables."""
    args = _parser().parse_args(argv)

    # After the parsing: they import jax.
    from bitdiff_jax.evaluation import presentation, truths

    chosen = views_of(args.protocol, args.score_size)
    out = files.make_folder(args.out, "--out") if args.out else None
    truth = truths.open_truths(args.ground_truth, zero=args.zero, images_folder=args.images)
    task = make_task(args.predictions, args, truth, chosen)
    matching = truths.match(task.predictions.names, truth.names)
    names = matching.both[: args.num_images]
    about = about_of(task, args.predictions, args.ground_truth, args.protocol)

    with row_folder(out) as folder:
        path = folder / "rows.jsonl"
        table = score_into(path, task, names, about, args.workers)
    if not table.names:
        raise InputError(f"not one picture could be scored; {next(iter(table.errors.values()))}")
    summary = presentation.summarise(table)
    missing = missing_text(matching, table)
    print_tables(task, table, summary, len(names), args.protocol, truth.unlabelled)
    if missing:
        print(f"\n{missing}", file=sys.stderr)
    if out is not None:
        about |= {"num_images": len(table.names), "errors": table.errors}
        about |= {"missing": matching._replace(both=())._asdict(), "unlabelled": truth.unlabelled}
        write_all(out, task, table, summary, names, about, missing, args)
    return 1 if missing else 0


def add_common(add: Callable[..., Any]) -> None:
    """The options that `bitdiff evaluate` of files and `bitdiff compare` share."""
    add(
        "--zero",
        choices=("ignore", "region"),
        help="what id 0 of the ground truth's PNGs is: not annotated, or a region like the others",
    )
    add("--images", metavar="DIR", help="pictures ID.jpg, if the ground truth holds maps alone")
    add("--kind", metavar="KIND", help="of the predictions; found out if it is not said")
    add(
        "--order",
        choices=("score", "smaller", "earlier", "later"),
        help="which of two masks lies on top (the kind's own rule)",
    )
    add("--min_score", type=float, metavar="X", help="masks of a lower score take no part (0)")
    add(
        "--score_size",
        default="128,0",
        metavar="N[,N]",
        help="longest sides at which maps are compared; 0 is the truth's own (128,0)",
    )
    add(
        "--protocol",
        choices=("honest", "paper"),
        default="honest",
        help="paper: 128 px, truth merged to 64 regions, background a class, as in arXiv "
        "2601.02881; the honest figures at 128 px stand beside it, with the difference",
    )
    add("--num_images", type=_positive, metavar="N", help="the first N pictures only")
    add(
        "--fast",
        action="store_true",
        help="leave out the figures of boundaries, which take most of the time",
    )
    add("--workers", type=_natural, default=0, metavar="N", help="processes (0: this one)")
    add("--sheet", type=_natural, default=8, metavar="N", help="pictures to show (8)")


def views_of(protocol: str, sizes: str) -> "tuple[views.View, ...]":
    """The views that the options ask for."""
    from bitdiff_jax.evaluation import views

    if protocol == "paper":
        return views.PAPER, views.HONEST
    parts = [part.strip() for part in sizes.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--score_size={sizes}: say whole numbers joined by commas, as in 128,0")
    return views.at_sizes([int(part) for part in parts])


def open_tool(path: str, args: argparse.Namespace, truth: "truths.Truths") -> Any:
    """Opens a tool's predictions by the options."""
    from bitdiff_jax.evaluation.others import open_predictions
    from bitdiff_jax.evaluation.partition import Rule

    chosen = {k: v for k in ("order", "min_score") if (v := getattr(args, k)) is not None}
    rule = Rule(**chosen) if chosen else None
    return open_predictions(path, args.kind, like=truth.names, rule=rule)


def make_task(
    path: str, args: argparse.Namespace, truth: "truths.Truths", chosen: "tuple[views.View, ...]"
) -> "on_files.Task":
    """What is to be scored, by the options."""
    from bitdiff_jax.evaluation import figures, on_files

    measures = figures.TABLE_MEASURES if args.fast else figures.MEASURES
    return on_files.Task(open_tool(path, args, truth), truth, chosen, measures)


def about_of(task: "on_files.Task", path: str, ground_truth: str, protocol: str) -> dict[str, Any]:
    """What identifies an evaluation: rows of another are not continued."""
    return {
        "version": bitdiff_jax.__version__,
        "predictions": str(path),
        "kind": task.predictions.kind,
        "rule": task.predictions.rule,
        "ground_truth": str(ground_truth),
        "unlabelled": task.truths.unlabelled,
        "protocol": protocol,
        "views": [vars(view) for view in task.views],
        "measured": [name for measure in task.measures for name in measure.figures],
    }


@contextlib.contextmanager
def row_folder(out: Any) -> Iterator[pathlib.Path]:
    """Where rows are kept: the results' folder, or one that is gone afterwards."""
    with contextlib.ExitStack() as stack:
        yield pathlib.Path(out or stack.enter_context(tempfile.TemporaryDirectory()))


def score_into(
    path: pathlib.Path, task: "on_files.Task", names: Sequence[str], about: Any, workers: int
) -> "rows.Table":
    """Scores what has no row yet; the rows of `names`."""
    from bitdiff_jax.evaluation import on_files, rows

    with rows.RowFile(path, about, task.columns()) as file:
        on_files.run(task, names, file, workers=workers, progress=_Progress())
    return rows.read(path).of(names)


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
    summary: "presentation.Summary",
    asked: int,
    protocol: str,
    unlabelled: str,
) -> None:
    """The tables of all views, and with the paper's protocol what its rules are worth."""
    from bitdiff_jax.evaluation import presentation

    samples, people = (_span(table.column(name)) for name in ("num_samples", "num_people"))
    print(
        f"{task.predictions.path} ({task.predictions.kind}): {len(table.names)} of {asked} "
        f"pictures scored; of each {samples} sample(s), {people} person(s)"
    )
    if task.predictions.rule:
        print(f"masks made one map by: {task.predictions.rule}")
    print(f"without a region in the truth: {unlabelled}")
    for view in task.views:
        size = "the truth's own size" if not view.size else f"{view.size} px"
        print(f"\n{view.name} ({size})\n{presentation.as_text(table, summary, view)}")
    if protocol == "paper":
        print(f"\n{presentation.differences_text(table, summary, *task.views)}")


def _span(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def write_all(
    out: Any,
    task: "on_files.Task",
    table: "rows.Table",
    summary: "presentation.Summary",
    names: Sequence[str],
    about: dict[str, Any],
    missing: str,
    args: argparse.Namespace,
) -> None:
    """Writes the results' files and says so."""
    from bitdiff_jax.evaluation import presentation

    written = {
        "metrics.json": presentation.as_json(summary, about),
        "per_image.csv": "".join(presentation.csv_lines(table, names)).encode(),
    }
    if missing:
        everything = [f"{name}\tno prediction" for name in about["missing"]["without_prediction"]]
        everything += [f"{name}\tno truth" for name in about["missing"]["without_truth"]]
        everything += [f"{name}\t{error}" for name, error in table.errors.items()]
        written["missing.txt"] = ("\n".join(everything) + "\n").encode()
    if args.html:
        from bitdiff_jax.evaluation import report

        written["report.html"] = report.page(task, table, summary, about, shown=args.sheet)
    for name, data in written.items():
        files.write(out / name, data)
    print(f"written: {', '.join(str(out / name) for name in ('rows.jsonl', *written))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitdiff evaluate",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("predictions", metavar="PREDICTIONS", help="a folder or a file")
    add("ground_truth", metavar="GROUND_TRUTH", help="a spec, a folder or a file")
    add("--out", metavar="DIR", help="folder for the results; made if need be")
    add("--html", action="store_true", help="also report.html: plots, best and worst pictures")
    add_common(add)
    return parser


def _natural(text: str, low: int = 0) -> int:
    if not text.isdecimal() or int(text) < low:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {low} or more")
    return int(text)


def _positive(text: str) -> int:
    return _natural(text, low=1)


class _Progress:
    """Tells on a terminal how far it is and how long it will take."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._started = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self._first = done if self._first is None else self._first
        if self._on and (now - self._told > 0.2 or done == total):
            self._told = now
            rate = (done - self._first + 1) / max(now - self._started, 1e-9)
            end = "\n" if done == total else "\x1b[K"
            left = f"{(total - done) / rate:.0f} s left"
            print(f"\r{done} of {total} pictures, {left}", end=end, file=sys.stderr, flush=True)
