"""The options of `bitdiff segment` that say what is known and asked of a picture's regions."""

import argparse
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.inference import Constraints

_OF_ONE_PICTURE = ("keep", "same", "different", "points", "box")
NAMES = (*_OF_ONE_PICTURE, "granularity")  # all that say what is known or asked


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
        "--points",
        metavar="X,Y,+;X,Y,-",
        help="points of one region (+) and outside of it (-), in pixels from the picture's top "
        "left; of a model that was not trained with points their region is read off its samples, "
        "which are 16 at temperature 1 and guidance 0 unless told otherwise, and it is written as "
        "ID_region.png too",
    )
    add(
        "--box",
        metavar="X,Y,X,Y",
        help="left, top, right, bottom of that region in pixels, for a model that was trained with "
        "boxes",
    )
    add(
        "--granularity",
        type=float,
        metavar="N",
        help="number of regions to draw, for a model that was trained with it",
    )
    add(
        "--prompt_weight",
        type=float,
        default=1.0,
        metavar="W",
        help="how closely what is drawn follows all of these; of a model without trained prompts "
        "0 imposes the pixels alone, in a fraction of the time (1)",
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
    named = [f"--{name}" for name in _OF_ONE_PICTURE if getattr(args, name) is not None]
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
    inside, outside = _marked(args.points) if args.points is not None else ((), ())
    return Constraints(
        keep,
        [pair for points in same for pair in itertools.pairwise(points)],
        [pair for points in different for pair in itertools.combinations(points, 2)],
        args.prompt_weight,
        args.granularity,
        inside,
        outside,
        None if args.box is None else _box(args.box),
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
    told = {
        name: [point for pair in getattr(constraints, name) for point in pair]
        for name in ("same", "different")
    }
    told["points"] = [*constraints.inside, *constraints.outside]
    for name, points in told.items():
        for row, column in points:
            if row >= height or column >= width:
                raise InputError(
                    f"--{name}: point {column},{row} lies outside of the picture, "
                    f"{width}x{height}; give x,y from 0,0 to {width - 1},{height - 1}"
                )
    if constraints.box is not None and (constraints.box[2] > height or constraints.box[3] > width):
        raise InputError(
            f"--box reaches beyond the picture, {width}x{height}; give left,top,right,bottom up to "
            f"{width},{height}"
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


def _marked(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Points 'x,y,+;x,y,-' as (row, column), those inside and those outside."""
    found: dict[str, list[tuple[int, int]]] = {"+": [], "-": []}
    for part in text.split(";"):
        x, y, sign, *more = (*(each.strip() for each in part.split(",")), "", "")
        if not (x.isdecimal() and y.isdecimal() and sign in found) or any(more):
            raise InputError(
                f"--points {text}: {part!r} is no point; write X,Y,+ for a point of the region and "
                "X,Y,- for one outside of it, joined by ';', as in --points \"10,20,+;30,40,-\""
            )
        found[sign].append((int(y), int(x)))
    return found["+"], found["-"]


def _box(text: str) -> tuple[int, int, int, int]:
    """'left,top,right,bottom' as (top, left, bottom, right)."""
    sides = [each.strip() for each in text.split(",")]
    if len(sides) != 4 or not all(side.isdecimal() for side in sides):
        raise InputError(
            f"--box {text}: is no box; write its left,top,right,bottom in pixels, as in --box "
            '"10,20,200,180"'
        )
    left, top, right, bottom = map(int, sides)
    if left >= right or top >= bottom:
        raise InputError(
            f"--box {text}: is empty; its left is to be below its right, and its top below its "
            "bottom"
        )
    return top, left, bottom, right
