"""`bitdiff segment`: pictures -> label maps, overlays, agreement and a table of regions."""

import argparse
import collections
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from etils import epath

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import compilation_cache, outputs
from bitdiff_jax.inference.pictures import name_of
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.inference.segmenter import DEFAULT_BATCH_SIZE, Segmenter

_DESCRIPTION = """\
Draws label maps of pictures and writes into the folder --out, for each picture ID:
  ID_labels.png     16-bit grey, region ids 1..n: of the samples the one closest to the others
  ID_overlay.png    its regions over the picture
  ID_agreement.png  grey, white where all samples draw the same region (not with one sample)
and regions.csv, one row per region of every picture. ID is the name of the file without its
ending; a second picture of the same ID becomes ID-2.
"""


class _Entry(NamedTuple):
    file: str  # as given
    identity: str  # of its output files


def main(argv: list[str]) -> int:
    """Runs `bitdiff segment`.

    Args:
        argv: what follows `segment` on the command line.

    Returns:
        0, or 1 if pictures had to be left out; those are named on stderr.

    Raises:
        InputError: nothing could be done, or not to the end.
    """
    args = _parser().parse_args(argv)
    entries = _list_entries(args.images)
    out = _make_folder(args.out, args.images, entries)
    cache = compilation_cache.enable()

    def on_compile() -> None:
        kept = f"; it is kept in {cache} for the next run" if cache else ""
        print(f"compiling the program{kept}", flush=True)

    segmenter = Segmenter.from_checkpoint(args.checkpoint, on_compile=on_compile)
    trained_on = segmenter.trained_on or "pictures of a kind that its training did not name"
    print(f"checkpoint: {args.checkpoint}, step {segmenter.step}, trained on: {trained_on}")
    print(
        f"seed {args.seed}, {args.num_samples} sample(s) of {args.num_steps} steps, "
        f"guidance weight {args.guidance_weight:g}",
        flush=True,
    )

    readable: collections.deque[_Entry] = collections.deque()
    results = segmenter.stream(
        _read(entries, readable),
        args.num_samples,
        args.num_steps,
        args.guidance_weight,
        args.seed,
        batch_size=min(args.batch_size, len(entries) * max(1, args.num_samples)),
    )
    table = []
    for result in results:
        entry = readable.popleft()
        table.append((entry.identity, entry.file, _write(result, out, entry.identity)))
    if table:
        outputs.save_regions(out / "regions.csv", table)
        print(f"wrote {len(table)} picture(s) and regions.csv to {out}")
    left_out = len(entries) - len(table)
    if left_out:
        print(
            f"bitdiff segment: {left_out} of {len(entries)} picture(s) left out, see above",
            file=sys.stderr,
        )
    return 1 if left_out else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitdiff segment",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="an image file, or a folder of them")
    add("--checkpoint", required=True, metavar="DIR", help="the --workdir of a training")
    add("--out", required=True, metavar="DIR", help="folder for the results; made if need be")
    add("--num_samples", type=int, default=4, help="label maps drawn of each picture (4)")
    add("--num_steps", type=int, default=8, help="evaluations of the network for each (8)")
    add(
        "--guidance_weight",
        type=float,
        default=1.0,
        help="how strongly the picture is followed, 0 is no guidance (1.0)",
    )
    add("--seed", type=int, default=0, help="the same seed draws the same maps (0)")
    add(
        "--batch_size",
        type=int,
        default=DEFAULT_BATCH_SIZE,
        help=f"maps drawn at once; lower it if memory runs out ({DEFAULT_BATCH_SIZE})",
    )
    return parser


def _list_entries(arguments: list[str]) -> list[_Entry]:
    """The pictures named, each file once, each with an ID of its own."""
    files: dict[str, str] = {}
    for argument in arguments:
        for file in _expand(argument):
            files.setdefault(os.path.realpath(file), file)
    entries: list[_Entry] = []
    taken: set[str] = set()
    for file in files.values():
        stem = identity = name_of(file)
        number = 1
        # Some file systems do not tell upper from lower case.
        while identity.casefold() in taken:
            number += 1
            identity = f"{stem}-{number}"
        taken.add(identity.casefold())
        entries.append(_Entry(file, identity))
    return entries


def _expand(argument: str) -> list[str]:
    path = epath.Path(argument)
    try:
        if not path.is_dir():
            return [argument]  # whatever else it is, reading it will tell
        found = sorted(
            os.fspath(file)
            for file in path.iterdir()
            if file.suffix.lower() in images.IMAGE_SUFFIXES and not file.name.startswith(".")
        )
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{argument}: cannot be listed ({reason}); check its permissions"
        ) from None
    if not found:
        endings = " ".join(sorted(images.IMAGE_SUFFIXES))
        raise InputError(f"{argument}: the folder holds no pictures; known endings are {endings}")
    return found


def _make_folder(out: str, arguments: list[str], entries: list[_Entry]) -> epath.Path:
    folder = epath.Path(out)
    here = os.path.realpath(out)
    if any(os.path.realpath(a) == here and os.path.isdir(a) for a in arguments):
        raise InputError(
            f"--out {out}: is the folder of the pictures themselves; name another one, or the "
            "results would be pictures in the next run"
        )
    planned = {f"{e.identity}_{kind}.png" for e in entries for kind in _KINDS}
    for entry in entries:
        real = os.path.realpath(entry.file)
        if os.path.dirname(real) == here and os.path.basename(real) in planned:
            raise InputError(
                f"--out {out}: a result would overwrite the picture {entry.file}; "
                "name another folder"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"--out {out}: is a file or inside one; name a folder") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"--out {out}: cannot be made ({reason}); name another folder") from None
    return folder


_KINDS = ("labels", "overlay", "agreement")


def _read(
    entries: list[_Entry], readable: collections.deque[_Entry]
) -> Iterator[tuple[str, np.ndarray]]:
    """The pictures that can be read, noted in `readable`; a line on stderr for each other one."""
    for entry in entries:
        try:
            image = images.read_image(entry.file)
        except InputError as error:
            print(f"bitdiff segment: error: {error}", file=sys.stderr, flush=True)
            continue
        readable.append(entry)
        # Not the ID, which depends on what else was named: a picture's maps do not.
        yield name_of(entry.file), image


def _write(result: Segmentation, out: epath.Path, identity: str) -> list:
    """Writes a picture's files and says so; returns its regions."""
    label_map = result.label_map()
    regions = result.regions()
    outputs.save_label_map(out / f"{identity}_labels.png", label_map)
    outputs.save_overlay(out / f"{identity}_overlay.png", result.image, label_map)
    line = (
        f"{identity}: {result.shape[1]}x{result.shape[0]}, drawn at "
        f"{result.resolution[1]}x{result.resolution[0]}, {len(regions)} region(s)"
    )
    if result.agreement is not None:
        outputs.save_agreement(out / f"{identity}_agreement.png", result.agreement)
        line += f", mean agreement {result.agreement.mean():.2f}"
    print(line, flush=True)
    return regions
