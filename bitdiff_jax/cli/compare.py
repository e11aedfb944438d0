"""`bitdiff compare A B [C ...] --ground-truth DIR [--out DIR] [options]`."""

import argparse
import json
import pathlib
import sys

from bitdiff_jax import files
from bitdiff_jax.cli import evaluate_files
from bitdiff_jax.errors import InputError

_DESCRIPTION = """\
Several tools' predictions side by side on the pictures that all of them have. Each is anything that
`bitdiff evaluate PREDICTIONS GROUND_TRUTH` reads; NAME=PATH gives it a name. Every two are compared
picture by picture: the mean difference with its 95 % bootstrap interval, and p of a sign-flip test
with Holm's correction over the pairs of tools (not over the figures). Where p is .05 or more it is
'undecided'. With --out the folder gets comparison.json, comparison.png (rows from where A is better
by most to where B is) and a file of rows for each tool."""


def main(argv: list[str]) -> int:
    """Parses the command line, evaluates what has no row yet, compares and prints."""
    args = _parser().parse_args(argv)

    # After the parsing: they import jax.
    from bitdiff_jax.data.contact_sheet import to_png
    from bitdiff_jax.evaluation import comparison, presentation, truths

    paths = named(args.predictions)
    chosen = evaluate_files.views_of(args.protocol, args.score_size)
    out = files.make_folder(args.out, "--out") if args.out else None
    truth = truths.open_truths(args.ground_truth, zero=args.zero, images_folder=args.images)
    tasks = {
        tool: evaluate_files.make_task(path, args, truth, chosen) for tool, path in paths.items()
    }
    matchings = {
        tool: truths.match(task.predictions.names, truth.names) for tool, task in tasks.items()
    }
    shared = set.intersection(*(set(matching.both) for matching in matchings.values()))
    names = [name for name in truth.names if name in shared][: args.num_images]
    if not names:
        raise InputError("no picture of the ground truth has a prediction of every tool")

    tables, missing = {}, []
    with evaluate_files.row_folder(out) as folder:
        for tool, task in tasks.items():
            about = evaluate_files.about_of(task, paths[tool], args.ground_truth, args.protocol)
            path = folder / f"rows_{tool}.jsonl"
            tables[tool] = evaluate_files.score_into(path, task, names, about, args.workers)
            if text := evaluate_files.missing_text(matchings[tool], tables[tool]):
                missing.append(f"{tool}:\n{text}")
    tables = comparison.common(tables)
    summaries = {tool: presentation.summarise(table) for tool, table in tables.items()}

    count = len(next(iter(tables.values())).names)
    print(f"{count} pictures that all of {', '.join(tables)} have, of {len(truth.names)}")
    result = {}
    for view in chosen:
        shown = comparison.shown_figures(summaries, view)
        found = {name: comparison.differences(tables, name, view) for name in shown}
        result[view.name] = comparison.as_dict(summaries, found, view)
        print(f"\n{view.name}\n{comparison.as_text(tables, summaries, found, view)}")
    if missing:
        print("\n" + "\n".join(missing), file=sys.stderr)
    if out is not None:
        about = {"systems": paths, "ground_truth": args.ground_truth, "num_images": count}
        text = json.dumps({**about, "views": result}, indent=2, allow_nan=False)
        written = {"comparison.json": f"{text}\n".encode()}
        if args.sheet:
            spread = comparison.spread_names(tables, chosen[-1], args.sheet)
            written["comparison.png"] = to_png(comparison.sheet(tasks, spread))
        for name, data in written.items():
            files.write(out / name, data)
        print(f"\nwritten: {', '.join(str(out / name) for name in written)}")
    return 1 if missing else 0


def named(arguments: list[str]) -> dict[str, str]:
    """Tool -> path, from NAME=PATH or from the last parts of the paths that tell them apart.

    Raises:
        InputError: fewer than two, or two of one name.
    """
    if len(arguments) < 2:
        raise InputError(f"{arguments[0]}: there is nothing to compare it with; name another")
    given = [each.partition("=") for each in arguments]
    pairs = [
        (name, path) if equals and "/" not in name else ("", name + equals + path)
        for name, equals, path in given
    ]
    parts = [pathlib.PurePath(path).parts for name, path in pairs if not name]
    longest = max(map(len, parts), default=1)
    length = next(
        (n for n in range(1, longest) if len({p[-n:] for p in parts}) == len(parts)), longest
    )
    tools: dict[str, str] = {}
    for name, path in pairs:
        tool = name or "_".join(pathlib.PurePath(path).parts[-length:]).strip("/")
        if tool in tools:
            raise InputError(f"two tools are called {tool!r}; name them, as in mine=DIR")
        tools[tool] = path
    return tools


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitdiff compare",
        description=_DESCRIPTION,
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
