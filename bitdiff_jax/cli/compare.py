"""`bitdiff compare A B [C ...] --ground-truth DIR [--out DIR] [options]`."""

import argparse
import json
import os
import pathlib
import re
import sys
from typing import TYPE_CHECKING

from bitdiff_jax import files
from bitdiff_jax.cli import evaluate_files, options, scored
from bitdiff_jax.data import file_names
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.evaluation import rows, truths

_DESCRIPTION = """\
Several tools' predictions side by side on the pictures that all of them have. Each is anything that
`bitdiff evaluate PREDICTIONS GROUND_TRUTH` reads; NAME=PATH gives it a name. Every two are compared
image by image: the mean difference with its 95 % bootstrap interval, and p of a sign-flip test
with Holm's correction over the pairs of tools (not over the metrics). Where p is .05 or more it is
'undecided'. Metrics that are added up over pictures have intervals and no test. A picture that one
tool lacks, or that could not be scored for it, is listed and left out for all; the exit code is
then 1."""
_EPILOG = """\
With --out the folder gets comparison.json, comparison.csv (the tests), per_image.csv,
comparison.png (rows from where the first tool is better than the second by most to where it is
worse by most), missing.txt and rows_NAME.jsonl of each tool, to which a second start adds only what
is missing."""


def main(argv: list[str]) -> int:
    """Parses the command line, evaluates what has no row yet, compares and prints."""
    args = _parser().parse_args(argv)
    with files.no_empty_folder(args.out):
        return _compare(args)


def _compare(args: argparse.Namespace) -> int:
    # After the parsing: they import jax.
    from bitdiff_jax.data.contact_sheet import to_png
    from bitdiff_jax.evaluation import cautions, comparison, image_measures, truths
    from bitdiff_jax.evaluation.report import summary_tables

    paths = named(args.predictions)
    evaluate_files.expand_paths(args)
    chosen = options.views_of(args.protocol, args.score_size)
    out = None if args.out is None else files.make_folder(args.out, "--out")
    truth = evaluate_files.open_truth([*paths.values()], args)
    tasks = {
        tool: evaluate_files.make_task(path, args, truth, chosen) for tool, path in paths.items()
    }
    if sweeps := [tool for tool, task in tasks.items() if task.predictions.levels is not None]:
        raise InputError(f"{sweeps[0]}: holds levels of a parameter; compare one level's folder")
    if args.image_list and not any(
        task.predictions.kind == "coco_results" for task in tasks.values()
    ):
        raise InputError(f"--image_list {args.image_list}: no tool's predictions are COCO results")
    matchings = {
        tool: truths.match(
            task.predictions.names, truth.names, evaluate_files.remedy(tool, task, args)
        )
        for tool, task in tasks.items()
    }
    shared = set.intersection(*(set(matching.both) for matching in matchings.values()))
    names = [name for name in truth.names if name in shared][: args.num_images]
    if not names:
        raise InputError("no picture of the ground truth has a prediction of every tool")

    tables, abouts, texts, missing = {}, {}, [], []
    with scored.row_folder(out) as folder:
        for tool, task in tasks.items():
            about = evaluate_files.about_of(task, paths[tool], args.ground_truth, args.protocol)
            path = folder / f"rows_{_file_name(tool)}.jsonl"
            tables[tool] = evaluate_files.score_into(path, task, names, about, args.workers)
            abouts[tool] = about
            if text := scored.missing_text(matchings[tool], tables[tool]):
                texts.append(f"{tool}:\n{text}")
            missing += _missing(tool, matchings[tool], tables[tool])
    tables = comparison.common(tables)
    for table in tables.values():
        scored.check(table, len(names))
    summaries = {tool: summary_tables.summarise(table) for tool, table in tables.items()}

    count = len(next(iter(tables.values())).names)
    print(f"{count} pictures that all of {', '.join(tables)} have, of {len(truth.names)}")
    if count == 1:
        print(scored.ONE_IMAGE)
    print(f"ground truth: {truth.unlabelled}")
    tests, result = {}, {}
    measures = next(iter(tasks.values())).measures
    known = image_measures.described(measures)
    for view in chosen:
        tests[view.name] = {
            name: comparison.differences(tables, name, view, known[name].better)
            for name in comparison.shown_metrics(summaries, view, measures)
        }
        result[view.name] = comparison.as_dict(summaries, tests[view.name], view)
        size = "the truth's own size" if not view.size else f"{view.size} px"
        print(f"\n{view.name} ({size})")
        found = tests[view.name]
        print(comparison.as_text(summaries, found, view, measures, every=args.all))
    if not args.all:
        print("\nall metrics: --all; what each of them is: docs/evaluation.md")
    if texts:
        print("\n" + "\n".join(texts), file=sys.stderr)
    evaluate_files.tell_caution(next(iter(tables.values())))
    if out is not None:
        caution = cautions.much_ignored(next(iter(tables.values())))
        head = {"num_images": count, "caution": caution, "systems": abouts}
        text = json.dumps({**head, "views": result}, indent=2, allow_nan=False)
        written = {
            "comparison.json": f"{text}\n".encode(),
            "comparison.csv": comparison.as_csv(tests).encode(),
            "per_image.csv": "".join(comparison.per_image_lines(tables)).encode(),
        }
        if missing:
            written["missing.txt"] = ("\n".join(missing) + "\n").encode()
        if args.sheet:
            leading = measures[0].metrics[0]
            spread = comparison.spread_names(tables, chosen[-1], args.sheet, leading)
            written["comparison.png"] = to_png(comparison.sheet(tasks, spread, chosen[-1]))
        for name, data in written.items():
            files.write(out / name, data)
        print(f"\nwritten: {', '.join(str(out / name) for name in written)}")
    return 1 if missing else 0


def _missing(tool: str, matching: "truths.Matching", table: "rows.Table") -> list[str]:
    """A line for each picture: tool, name, why."""
    lines = [f"{tool}\t{name}\tno prediction" for name in matching.without_prediction]
    lines += [f"{tool}\t{name}\tno truth" for name in matching.without_truth]
    return lines + [f"{tool}\t{name}\t{error}" for name, error in table.errors.items()]


def _file_name(tool: str) -> str:
    return re.sub(r"[^\w.+-]", "_", tool)


def named(arguments: list[str]) -> dict[str, str]:
    """Tool -> path, from NAME=PATH or from the last parts of the paths that tell them apart.

    What exists under the whole of such a text is a path. Names are text; in paths `~` is the home.

    Raises:
        InputError: fewer than two, or two of one name.
    """
    if len(arguments) < 2:
        raise InputError(f"{arguments[0]}: there is nothing to compare it with; name another")
    pairs = [_pair(each) for each in arguments]
    parts = [pathlib.PurePath(path).parts for name, path in pairs if not name]
    longest = max(map(len, parts), default=1)
    length = next(
        (n for n in range(1, longest) if len({p[-n:] for p in parts}) == len(parts)), longest
    )
    tools: dict[str, str] = {}
    for name, path in pairs:
        tool = name or "_".join(pathlib.PurePath(path).parts[-length:]).strip("/")
        tool = file_names.as_text(tool)
        for other in tools:
            if _file_name(tool) == _file_name(other):
                same = f"two tools are called {tool!r}"
                if tool != other:
                    same = f"tools {other!r} and {tool!r} would have files of one name"
                raise InputError(f"{same}; name them, as in mine=DIR")
        tools[tool] = path
    return tools


def _pair(argument: str) -> tuple[str, str]:
    """The name that an argument gives, '' if none, and the path."""
    name, equals, path = argument.partition("=")
    whole = files.at_home(argument)
    if not equals or "/" in name or os.path.lexists(whole):
        return "", whole
    return name, files.at_home(path)


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="bitdiff compare",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("predictions", nargs="+", metavar="PREDICTIONS", help="two or more; NAME=PATH or PATH")
    add(
        "--ground-truth",
        "--ground_truth",
        required=True,
        metavar="TRUTH",
        help="a spec, a folder or a file, as for `bitdiff evaluate`",
    )
    add("--out", metavar="DIR", help="folder for the results; made if need be")
    evaluate_files.add_common(add)
    return parser
