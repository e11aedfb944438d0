"""The options of `bitdiff segment` that say what is known of a picture's regions."""

import argparse
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.inference import Constraints

_NAMES = ("keep", "same", "different")


def add_constraints(add: Callable[..., Any]) -> None:
    """The options; `constraints_of` takes them."""
    add(
        "--keep",
        metavar="FILE",
        help="a map of the picture's size, such as an edited ID_labels.png: pixels of one id lie "
        "in one region, those of two ids in two; those of --unknown are drawn to go with them",
    )
    add(
        "--unknown",
        type=int,
        default=0,
        metavar="ID",
        help="the value in --keep of pixels of which nothing is known; name another one, such as "
        "255, where 0 is a region or the background (0)",
    )
    add(
        "--same",
        action="append",
        metavar="X,Y;X,Y",
        help="points that lie in one region, in pixels from the picture's top left; may be given "
        "several times",
    )
    add(
        "--different",
        action="append",
        metavar="X,Y;X,Y",
        help="points that lie in different regions, each from each; may be given several times",
    )
    add(
        "--prompt_weight",
        type=float,
        default=1.0,
        metavar="W",
        help="how closely what is drawn follows --keep, --same and --different; 0 imposes their "
        "pixels alone, in a fraction of the time (1)",
    )


def constraints_of(args: argparse.Namespace, num_images: int) -> "Constraints":
    """What the options say, before any picture is read.

    Raises:
        InputError: a point or a file that cannot be read, a weight out of its range, or constraints
            of several pictures.
    """
    from bitdiff_jax.data import images
    from bitdiff_jax.inference import Constraints

    Constraints(prompt_weight=args.prompt_weight)  # the check of it, before any file is read
    named = [f"--{name}" for name in _NAMES if getattr(args, name) is not None]
    if named and num_images > 1:
        raise InputError(
            f"{num_images} pictures are named, and {' and '.join(named)} can be of one alone; name "
            "one picture"
        )
    keep = None
    if args.keep is not None:
        keep = images.read_labels(args.keep).astype(np.int64)
        keep[keep == args.unknown] = -1
        if (keep < 0).all():
            raise InputError(
                f"--keep {args.keep}: all pixels are {args.unknown}, which is unknown; give some "
                "another id, or name another value with --unknown"
            )
    same = [_points(text, "--same") for text in args.same or ()]
    different = [_points(text, "--different") for text in args.different or ()]
    return Constraints(
        keep,
        [pair for points in same for pair in itertools.pairwise(points)],
        [pair for points in different for pair in itertools.combinations(points, 2)],
        args.prompt_weight,
    )


def check_size(constraints: "Constraints", shape: tuple[int, int]) -> None:
    """Holds constraints against the picture, in the words of the options.

    Raises:
        InputError: `--keep` has another size, or a point lies outside.
    """
    height, width = shape
    if constraints.keep is not None and np.shape(constraints.keep) != (height, width):
        h, w = np.shape(constraints.keep)
        raise InputError(
            f"--keep is {w}x{h}, and the picture {width}x{height}; give a map of the picture's size"
        )
    for name in ("same", "different"):
        for row, column in (point for pair in getattr(constraints, name) for point in pair):
            if row >= height or column >= width:
                raise InputError(
                    f"--{name}: point {column},{row} lies outside of the picture, "
                    f"{width}x{height}; give x,y from 0,0 to {width - 1},{height - 1}"
                )


def _points(text: str, name: str) -> list[tuple[int, int]]:
    """Points 'x,y;x,y' as (row, column)."""
    found = []
    for part in text.split(";"):
        x, _, y = (each.strip() for each in part.partition(","))
        if not (x.isdecimal() and y.isdecimal()):
            raise InputError(
                f"{name} {text}: {part!r} is no point; write whole numbers X,Y joined by ';', as "
                f'in {name} "10,20;30,40"'
            )
        found.append((int(y), int(x)))
    if len(found) < 2:
        raise InputError(f'{name} {text}: is one point; give two or more, as in "10,20;30,40"')
    return found
