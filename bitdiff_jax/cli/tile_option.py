"""The option of `bitdiff segment` that draws large pictures tile by tile."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bitdiff_jax import files
from bitdiff_jax.cli import constraint_options, like_option, options
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from etils import epath

    from bitdiff_jax.inference.entries import Entry

_LEFT_OUT = (*constraint_options.NAMES, *like_option.NAMES, "shard", "formats", "consensus")
_OVERLAY = 2048  # longest side of the overlay


def add_tile_size(add: Callable[..., Any]) -> None:
    """The option; `segment` takes it."""
    add(
        "--tile_size",
        type=int,
        metavar="PIXELS",
        help="draw pictures much larger than the model: first the whole, then tiles of more and "
        "more detail down to the picture's own pixels, of so many a side; 512 to 1024 is a choice "
        "(without: at once, whatever the size)",
    )


def segment(args: argparse.Namespace) -> int:
    """Draws pictures tile by tile.

    Args:
        args: of `bitdiff segment`, with `tile_size`.

    Returns:
        0, or 1 if pictures had to be left out, which are named on stderr.

    Raises:
        InputError: an option is out of its range or of no use with tiles, or a file cannot be
            written.
    """
    from bitdiff_jax.data import images
    from bitdiff_jax.diffusion.sampler import Sampler
    from bitdiff_jax.inference import Segmenter, entries, results_folder, tiles
    from bitdiff_jax.inference.image_input import name_of
    from bitdiff_jax.inference.request import Request, check_integer
    from bitdiff_jax.parallel import compilation_cache

    check_integer("tile_size", args.tile_size, tiles.MIN_TILE_SIZE)
    request = Request(args.num_samples, args.seed, args.batch_size, args.min_area, args.edges)
    named = [f"--{name}" for name in _LEFT_OUT if getattr(args, name) is not None]
    if named:
        raise InputError(f"{', '.join(named)}: of no use with --tile_size; leave out one of them")
    Sampler().override(**options.sampler_fields(args))
    found = entries.list_entries(args.images)
    folder = files.make_folder(args.out, "--out")
    if (folder / results_folder.UNFINISHED).exists() or (folder / "images.csv").exists():
        raise InputError(
            f"--out {args.out}: holds results without --tile_size, whose tables would no longer be "
            "true; name another folder"
        )
    left_out = 0
    with files.sole_writer(folder, "--out"):
        compilation_cache.enable()
        segmenter = Segmenter.from_loaded(options.load_weights(args))
        sampler = options.sampler_of(args, segmenter.sampler)
        for entry in found:
            try:
                image = images.read_image(entry.file)
            except InputError as error:
                print(f"bitdiff segment: error: {error}", file=sys.stderr, flush=True)
                left_out += 1
                continue
            label_map = segmenter.tiled(
                image, args.tile_size, request.num_samples, seed=request.seed, sampler=sampler,
                name=name_of(entry.file), batch_size=request.batch_size, min_area=request.min_area,
                edges=request.edges, on_tile=_Told(entry.identity),
            )  # fmt: skip
            _write(folder, entry, image, label_map)
    if left_out:
        print(
            f"bitdiff segment: {left_out} of {len(found)} picture(s) left out, see above",
            file=sys.stderr,
        )
    return 1 if left_out else 0


class _Told:
    """Tells of each tenth of the tiles of a picture."""

    def __init__(self, name: str):
        self._name = name
        self._tenths = 0

    def __call__(self, number: int, total: int) -> None:
        if 10 * number // total > self._tenths:
            self._tenths = 10 * number // total
            print(f"{self._name}: {number} of {total} tile(s)", flush=True)


def _write(folder: "epath.Path", entry: "Entry", image: np.ndarray, label_map: np.ndarray) -> None:
    """Writes the results of a picture, and a line of it."""
    from bitdiff_jax.data import images, labelmaps, transforms
    from bitdiff_jax.inference import outputs

    name, count = entry.identity, int(label_map.max())
    if count > images.MAX_LABEL:
        with (folder / f"{name}_labels.npy").open("wb") as file:
            np.save(file, label_map)
    else:
        outputs.save_png(folder / f"{name}_labels.png", outputs.as_ids(label_map))
    height, width = label_map.shape
    small = (height, width)
    if max(small) > _OVERLAY:
        small = transforms.resized_shape(height, width, _OVERLAY)
    shown = transforms.resize_image(image, small), labelmaps.at_centres(label_map, small)
    outputs.save_png(folder / f"{name}_overlay.png", outputs.overlay(*shown))
    print(f"{name}: {width}x{height}, {count} regions", flush=True)
