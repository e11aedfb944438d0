"""A training step in the first version and now: time, bytes and memory by the compiler's word.

    nice -n 15 python -m benchmarks.predicted.speed_table --config paper  # what is not known
    python -m benchmarks.predicted.speed_table --page_only  # the page from what is known
    python -m benchmarks.predicted.speed_table --config paper --import_first FILE

The last takes up figures of the first version, as its `bitdiff compile --config paper --json FILE`
wrote them, into benchmarks/predicted/first_version.json; what is compiled now goes to
speed_table.json beside it. Another network is `--config.KEY=VALUE`, here as there, and all is
bfloat16. Writes a section of docs/performance.md. Needs the extra `compile`; a compiler that is not
installed is told and left out.
"""

import argparse
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from benchmarks.predicted import page
from benchmarks.predicted.compiled import DTYPE, Row, Table, attempt, from_json, time_of
from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.cli.train import override
from bitdiff_jax.compile import compiled_figures, text
from bitdiff_jax.errors import InputError

HERE = pathlib.Path(__file__).resolve().parent
ROWS_FILE = HERE / "speed_table.json"
FIRST_FILE = HERE / "first_version.json"
PAGE = HERE.parents[1] / "docs" / "performance.md"
ACCELERATORS = ("v5e-1", "v6e-1", "h100-1")
BATCHES = (8, 32, 128)
# Whose figures of the first version a config is held against: its `base` trained the paper's net.
FIRST_NETWORK = {"base": "paper"}

Net = tuple[str, tuple[str, ...]]  # config, overrides


def rows(net: Net, accelerators: Sequence[str], batches: Sequence[int] = BATCHES) -> list[Row]:
    """The training steps of a network."""
    config, overrides = net
    return [
        Row(config, accelerator, batch, "train", overrides)
        for accelerator in accelerators
        for batch in batches
    ]


def import_first(values: Mapping[str, Any], net: Net) -> dict[str, dict[str, Any]]:
    """Rows of the first version, by name.

    Args:
        values: what `bitdiff compile --json` wrote, or rows by name as these benchmarks keep them.
        net: the config and overrides that it was compiled with, dtype aside.

    Raises:
        InputError: that cannot be: another dtype, or another number of parameters.
    """
    if "programs" not in values:
        return dict(values)
    config, overrides = net
    made = override(config_lib.load(config), [DTYPE, *overrides])
    model = model_config.from_config(made)
    shapes = jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0)))
    parameters = sum(int(np.prod(leaf.shape)) for leaf in shapes)
    found = {}
    for known in [*values["programs"], *(values.get("fit") or {}).get("programs", [])]:
        each = from_json(known)
        if each.dtype != made.model.net.dtype:
            raise InputError(
                f"--import_first: a program computes in {each.dtype}; the table is of "
                f"{made.model.net.dtype}: compile with {DTYPE}"
            )
        if each.parameters != parameters:
            raise InputError(
                f"--import_first: a program has {each.parameters:,} parameters, --config {config} "
                f"{' '.join(overrides)} has {parameters:,}; name the config it was compiled with"
            )
        measured = each.measured
        row = Row(config, measured.accelerator, measured.per_device, measured.program, overrides)
        found[row.name] = each.to_json()
    return found


def nets(*names: str) -> list[Net]:
    """The networks of rows' names, in the order of their first appearance."""
    parts = [name.split(" ") for name in names]
    return list(dict.fromkeys((part[0], tuple(part[4:])) for part in parts))


def section(now: Table, first: Table) -> str:
    """The page's section: a line for each program of now, and for a first one without any."""
    lines = [
        "| network | accelerator | images | time of an image, first | now | first / now | "
        "bytes of an image, first | now | first / now | memory, first | now |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    dates = set()
    every = [row for net in nets(*now.rows, *first.rows) for row in rows(net, ACCELERATORS)]
    answered = {_case(row) for row in every if row.name in now.rows}
    for row in sorted(every, key=_case):
        network = FIRST_NETWORK.get(row.config, row.config)
        plain = Row(network, row.accelerator, row.per_device)
        pair = [first.get(row) or first.get(plain), now.get(row)]
        if pair[1] is None and (_case(row) in answered or first.get(row) is None):
            continue
        lines.append(_line(row, *pair))
        dates |= {each.measured.date for each in pair if each}
    if not dates:
        return ""
    when = " to ".join(dict.fromkeys((min(dates), max(dates))))
    return (
        "## The first version and now\n\n"
        f"A training step in bfloat16 on one chip, compiled {when}; nothing "
        "ran. Time is the TPU compiler's prediction; of a GPU, for which there is none, that of "
        "each operation at the chip's peak of arithmetic or memory, which tells what is moved "
        "rather than how long it takes. Bytes are those of main memory, "
        "memory is all that a device needs. Settings behind a network's name are of now; the "
        "first version is compiled without them. Its `base` trained the paper's network.\n\n"
        + "\n".join(lines)
        + "\n\n"
        "    python -m benchmarks.predicted.speed_table --page_only"
    )


def _case(row: Row) -> tuple[str, int, int]:
    """What is compared, by whatever settings; in the order of the lines."""
    return row.config, ACCELERATORS.index(row.accelerator), row.per_device


def _line(
    row: Row, first: compiled_figures.Report | None, now: compiled_figures.Report | None
) -> str:
    pair = (first, now)
    times = [_an_image(each, time_of(each)) if each else None for each in pair]
    moved = [
        _an_image(each, each.costs.hbm_bytes) if each and each.costs else None for each in pair
    ]
    network = row.config + "".join(f" `{each}`" for each in row.overrides)
    cells = [
        network,
        row.accelerator,
        str(row.per_device),
        *(text.duration(value) if value else "-" for value in times),
        _ratio(times),
        *(text.amount(value, "B") if value else "-" for value in moved),
        _ratio(moved),
        *(_memory(each) for each in pair),
    ]
    return f"| {' | '.join(cells)} |"


def _an_image(each: compiled_figures.Report, value: float | None) -> float | None:
    return value / each.measured.per_device if value else None


def _ratio(pair: Sequence[float | None]) -> str:
    first, now = pair
    return f"{first / now:.2f}" if first and now else "-"


def _memory(each: compiled_figures.Report | None) -> str:
    if each is None:
        return "-"
    return text.amount(each.needed, "B") + ("" if each.fits else ": does not fit")


def main(argv: Sequence[str] | None = None) -> None:
    """Imports, or compiles the programs one after the other; writes the page after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="paper", help="NAME[:VARIANT] (paper)")
    parser.add_argument("--accelerators", nargs="+", default=ACCELERATORS, help="compile for these")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="images a device")
    parser.add_argument("--import_first", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--page_only", action="store_true", help="compile nothing")
    parser.add_argument("--folder", help="where compiled programs are kept")
    parser.add_argument("--rows", type=pathlib.Path, default=ROWS_FILE, help="the JSON file of now")
    parser.add_argument("--first", type=pathlib.Path, default=FIRST_FILE, help="that of the first")
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    args, given = parser.parse_known_args(argv)
    net = args.config, tuple(each for each in given if each != DTYPE)
    jax.config.update("jax_platforms", "cpu")
    now, first = Table(args.rows, args.folder), Table(args.first, args.folder)

    def write() -> None:
        if body := section(now, first):
            page.put(args.page, "speed", body, "Performance")

    if args.import_first:
        first.rows |= import_first(json.loads(args.import_first.read_text()), net)
        first.write()
    elif not args.page_only:
        for row in rows(net, args.accelerators, args.batches):
            attempt(lambda row=row: now.compile(row), row.name)
            write()
    write()


if __name__ == "__main__":
    main()
