"""How time and bytes grow with batch, resolution, samples, steps and devices; for no machine here.

    nice -n 15 python -m benchmarks.predicted.growth --config paper  # hours: what is not known
    python -m benchmarks.predicted.growth --config paper --page_only  # from what is known

Each finished program goes to growth.json with its hash and is not compiled again; a
smaller net (`--config quickstart`) shows the same in minutes. Writes docs/growth_*.svg and a
section of docs/performance.md. Needs the extra `compile`.
"""

import argparse
import pathlib
from collections.abc import Sequence

import jax

from benchmarks.predicted import growth_page, page
from benchmarks.predicted.compiled import FOLD, Row, Table, attempt

HERE = pathlib.Path(__file__).resolve().parent
ROWS_FILE = HERE / "growth.json"
DOCS = HERE.parents[1] / "docs"
BATCHES = (1, 8, 32, 128)
RESOLUTIONS = (64, 128, 256, 512)
SAMPLES = (1, 8, 32)
STEPS = (2, 8, 32)
DEVICES = (1, 4, 256)
POD = "v5e"  # whose devices come by the hundred, whatever the family of the rest
PER_DEVICE = 8  # where something else grows
PER_DEVICE_RESOLUTION = 4  # so that larger pictures fit


def all_series(config: str, family: str) -> dict[str, growth_page.Series]:
    """The series of a config on a family of accelerators, by name.

    Args:
        config: NAME[:VARIANT].
        family: 'v5e', 'v6e', 'h100', ...
    """
    one = f"{family}-1"

    def sized(side: int) -> Row:
        changed = (f"--config.model.image_size={side}",)
        return Row(config, one, PER_DEVICE_RESOLUTION, "train", changed)

    def stepped(steps: int) -> Row:
        changed = (f"--config.sampling.num_steps={steps}",)
        return Row(config, one, PER_DEVICE, "sample", changed)

    return {
        "batch": growth_page.Series(
            "a training step by images a device",
            "images a device",
            {b: Row(config, one, b) for b in BATCHES},
        ),
        "resolution": growth_page.Series(
            f"a training step of {PER_DEVICE_RESOLUTION} images a device by their side",
            "pixels a side",
            {side: sized(side) for side in RESOLUTIONS},
        ),
        "samples": growth_page.Series(
            "drawing maps by how many are drawn at once",
            "maps a device",
            {n: Row(config, one, n, "sample") for n in SAMPLES},
        ),
        "steps": growth_page.Series(
            f"drawing {PER_DEVICE} maps at once by sampling steps",
            "sampling steps",
            {n: stepped(n) for n in STEPS},
        ),
        "devices": growth_page.Series(
            f"a training step of {PER_DEVICE} images a device by devices of TPU {POD}",
            "devices",
            {n: Row(config, f"{POD}-{n}", PER_DEVICE, "train", FOLD) for n in DEVICES},
        ),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Compiles the programs one after the other, and writes the page after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(all_series("paper", "v5e"))
    parser.add_argument("--config", default="paper", help="NAME[:VARIANT] (paper)")
    parser.add_argument("--family", default="v5e", help="accelerators v5e, v6e, h100, ... (v5e)")
    parser.add_argument("--series", nargs="+", choices=names, default=names)
    parser.add_argument("--page_only", action="store_true", help="compile nothing")
    parser.add_argument("--folder", help="where compiled programs are kept")
    parser.add_argument("--rows", type=pathlib.Path, default=ROWS_FILE, help="the JSON file")
    parser.add_argument("--docs", type=pathlib.Path, default=DOCS, help="where the page lies")
    args = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    table = Table(args.rows, args.folder)

    def write() -> None:
        series = all_series(args.config, args.family)
        body = growth_page.section(args.config, args.family, series, table, args.docs)
        page.put(args.docs / "performance.md", "growth", body, "Performance")

    if not args.page_only:
        series = all_series(args.config, args.family)
        wanted = {row.name: row for name in args.series for row in series[name].rows.values()}
        for name, row in wanted.items():
            attempt(lambda row=row: table.compile(row), name)
            write()
    write()


if __name__ == "__main__":
    main()
