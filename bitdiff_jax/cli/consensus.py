"""`bitdiff consensus A B C ... --out DIR [options]`."""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bitdiff_jax import files
from bitdiff_jax.cli import compare, options
from bitdiff_jax.cli.time_left import Progress
from bitdiff_jax.data import file_names
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.evaluation.consensus_folder import ConsensusFolder
    from bitdiff_jax.evaluation.consensus_tables import Tables
    from bitdiff_jax.evaluation.map_sources import MapSources

_SHOWN = 10  # names in a line
_MOST_DISPUTED = 3  # regions that are printed
_DESCRIPTION = """\
One label map for several of the same image, whoever drew them: people, tools, samples. Each MAPS is
anything that `bitdiff evaluate` reads as predictions, or one PNG or npy file of a map; NAME=PATH
gives it a name. Images are matched by name; if every MAPS is a file of one image, it is the same
image. Only which pixels lie together counts, so that ids may differ. For each image ID, the folder
--out gets
  ID_labels.png     the consensus: 16-bit grey, region ids 1..n, the largest first; 0 is what any
                    of the maps ignores
  ID_boundary.png   the probability of a boundary: 8-bit grey, 255 is 1
  ID_overlay.png    the consensus over the image, with --images
and for all of them images.csv, sources.csv (how near each source is to the consensus of all the
others, which it had no part in) and disputed.csv (all regions, those first that explain most of how
far the maps differ, with a point inside)."""
_EPILOG = """\
A source takes part where it has a map. The map of an image that only one source has is copied.
Several maps of one image in one MAPS share its weight, and are sources of their own in sources.csv,
NAME_0, NAME_1, ... Images whose maps cannot be read or differ in size are left out, and the exit
code is then 1. `bitdiff evaluate DIR TRUTH --kind segment` scores the result."""


def main(argv: list[str]) -> int:
    """Parses the command line, finds the consensus of each image and prints the sources."""
    args = _parser().parse_args(argv)
    with files.no_empty_folder(args.out):
        return _consensus(args)


def _consensus(args: argparse.Namespace) -> int:
    # After the parsing: they import jax.
    from bitdiff_jax.evaluation import consensus_folder, map_sources
    from bitdiff_jax.evaluation.consensus_tables import Tables
    from bitdiff_jax.evaluation.predictions.image_names import Names
    from bitdiff_jax.inference import entries

    paths = _named(args.maps)
    weights = _weights(args.weights, list(paths))
    pictures: dict[str, str] = {}
    if args.images:
        listed = entries.list_entries([files.at_home(args.images)])
        pictures = {each.identity: each.file for each in listed}
    sources = map_sources.open_sources(
        paths, weights, kind=args.kind, names=args.names, zero=args.zero, like=list(pictures)
    )
    known = Names(sources.names)
    pictures = {known.name(name): file for name, file in pictures.items()}
    if sources.names == (map_sources.ONE_IMAGE,) and len(pictures) == 1:
        pictures = dict.fromkeys(sources.names, *pictures.values())
    inputs = [*paths.values(), *([args.images] if args.images else [])]
    tables = Tables(sources.weights)
    with consensus_folder.claim(args.out, sources.names, inputs) as folder:
        errors, alone = _write(sources, pictures, args.criterion, folder, tables)
        folder.finish(tables.as_csv())
    _tell(tables, len(sources.names) - len(errors))
    for source, names in sources.lacking().items():
        _say(f"{source} has no map of {len(names)} of {len(sources.names)} images", names)
    if alone:
        _say(f"{len(alone)} of {len(sources.names)} images have one map alone, a copy", alone)
    if pictures and (without := [name for name in sources.names if name not in pictures]):
        _say(f"--images {args.images}: no image of {len(without)} of the names", without)
    print(f"written: {folder.path}/images.csv, sources.csv, disputed.csv and maps")
    return 1 if errors else 0


def _write(
    sources: "MapSources",
    pictures: dict[str, str],
    criterion: str | None,
    folder: "ConsensusFolder",
    tables: "Tables",
) -> tuple[dict[str, str], list[str]]:
    """Writes the images that can be read.

    Returns:
        Why the others were left out, by name; and the images with one map.

    Raises:
        InputError: there is no image, or the place cannot be written.
    """
    from bitdiff_jax.data.images import read_image
    from bitdiff_jax.evaluation.consensus_tables import consensus_of

    errors: dict[str, str] = {}
    alone = []
    progress = Progress(log_seconds=60.0, brief=True)
    for number, name in enumerate(sources.names, 1):
        try:
            maps = sources.read(name)
            image = read_image(pictures[name]) if name in pictures else None
            _check_size(image, maps[0].labels)
            result = consensus_of(name, maps, criterion)
        except InputError as error:
            errors[name] = str(error)
        else:
            folder.add(result, image)
            tables.add(result)
            if len(maps) == 1:
                alone.append(name)
        progress(number, len(sources.names))
    if len(errors) == len(sources.names):
        name, why = next(iter(errors.items()))
        more = f" (and {len(errors) - 1} more images)" if len(errors) > 1 else ""
        raise InputError(f"{name}: {why}{more}")
    for name, why in errors.items():
        print(f"bitdiff consensus: error: {name}: {why}", file=sys.stderr)
    return errors, alone


def _check_size(image: np.ndarray | None, labels: np.ndarray) -> None:
    if image is not None and image.shape[:2] != labels.shape:
        (height, width), (h, w) = image.shape[:2], labels.shape
        raise InputError(
            f"the image is {width}x{height} and its maps {w}x{h}; bring both to one size, or leave "
            "--images out"
        )


def _tell(tables: "Tables", count: int) -> None:
    """The sources, and the regions that are disputed most."""
    rows = tables.sources()
    width = max(len("source"), *(len(row.source) for row in rows))
    print(f"{count} image(s), {len(rows)} source(s); each against the others' consensus")
    print(f"{'source':{width}}  images    ARI  VI (bits)")
    for row in rows:
        print(f"{row.source:{width}}  {row.num_images:6d}  {row.ari:5.3f}  {row.vi:9.3f}")
    for name, each in tables.disputed()[:_MOST_DISPUTED]:
        if each.part:
            print(
                f"disputed: {name}, region {each.id} at {each.point}, {each.area} pixels, "
                f"{each.entropy:.2f} bits"
            )


def _say(text: str, names: Sequence[str]) -> None:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    print(f"{text}: {', '.join(names[:_SHOWN])}{more}", file=sys.stderr)


def _named(arguments: list[str]) -> dict[str, str]:
    """Source -> path, as `compare.named` has it; a single one may hold several maps an image."""
    if len(arguments) > 1:
        return compare.named(arguments)
    path = files.at_home(arguments[0])
    return {file_names.as_text(pathlib.PurePath(os.path.abspath(path)).name): path}


def _weights(text: str | None, sources: Sequence[str]) -> list[float]:
    """The weight of each source."""
    if text is None:
        return [1.0] * len(sources)
    try:
        weights = [float(each) for each in text.split(",")]
    except ValueError:
        weights = []
    if (
        len(weights) != len(sources)
        or not all(0 <= each < np.inf for each in weights)
        or not any(weights)
    ):
        raise InputError(
            f"--weights {text}: say {len(sources)} numbers of 0 or more joined by commas, one for "
            f"each of {', '.join(sources)}, and not all 0"
        )
    return weights


def _parser() -> argparse.ArgumentParser:
    from bitdiff_jax.posterior.consensus import CRITERIA

    parser = options.Parser(
        prog="bitdiff consensus",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("maps", nargs="+", metavar="MAPS", help="a folder or a file; NAME=PATH or PATH")
    add("--out", required=True, metavar="DIR", help="folder for the results; made if need be")
    add(
        "--criterion",
        choices=tuple(CRITERIA),
        help="by which one map is found for all, see docs/posterior.md (vi for three different "
        "maps or more, and medoid for fewer)",
    )
    add("--weights", metavar="W,W,...", help="how much each MAPS counts (1 each)")
    add("--images", metavar="DIR", help="the images, for overlays: a folder of them, or one file")
    add("--kind", metavar="KIND", help="of the maps, as for `bitdiff evaluate`; found out")
    add(
        "--zero",
        choices=("region", "background", "ignore"),
        default="region",
        help="what id 0 of PNGs is, and pixels of no region in files of other kinds: a region like "
        "the others, the background (also one region), or ignored (region)",
    )
    add(
        "--names",
        choices=("whole", "sample_suffix"),
        help="files ID_0, ID_1, ... are images of their own (whole), or several maps of ID "
        "(sample_suffix); found out, and asked for where both are possible",
    )
    return parser
