"""Label maps brought to the size of their image, with edges that follow the image."""

import math
from typing import Final

import numpy as np
from scipy import ndimage

from bitdiff_jax.data import transforms
from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import bilateral, fragments, specks

EDGES: Final = ("image", "nearest")

# Larger cells are refined in several steps, the first ones at a smaller size of the image.
_MAX_FACTOR = 3
# Cells that vote on a pixel, in each direction: more in the first step, which is cheap.
_FIRST_REACH, _REACH = 2, 1


def check_edges(edges: str) -> None:
    """Raises an InputError unless `edges` is one of `EDGES`."""
    if edges not in EDGES:
        raise InputError(f"edges is {edges!r}; use one of {', '.join(EDGES)}")


def at_image_size(
    codes: np.ndarray, certainty: np.ndarray, image: np.ndarray, min_area: specks.Area
) -> np.ndarray:
    """A drawn map without specks at the image's size, see `refine`.

    Args:
        codes: integers [h, w], without specks already.
        certainty: float [h, w].
        image: uint8 [H, W, 3].
        min_area: what a speck is, see `specks.threshold`.
    """
    smallest = specks.threshold(min_area, image.shape[:2], codes.shape)
    pixels_per_cell = image[..., 0].size / codes.size
    return refine(codes, certainty, image, smallest * pixels_per_cell)


def refine(
    codes: np.ndarray, certainty: np.ndarray, image: np.ndarray, min_area: float = 0
) -> np.ndarray:
    """A drawn map at the image's size: joint bilateral upsampling (Kopf et al. 2007) of labels.

    In steps of at most three times the size, each pixel near a boundary takes the code for which
    the cells around it vote, by their distance, the likeness of their colours and, in the first
    step, their certainty: see `bilateral.vote`. All other pixels keep the code of their cell. A
    connected piece stays one, and none vanishes: it keeps at least its most certain cell (off its
    boundaries, if there is one), and what would break off goes to what surrounds it.

    Args:
        codes: integers [h, w], >= 0; each distinct code is one region.
        certainty: float [h, w] in [0, 1], of each code.
        image: uint8 [H, W, 3].
        min_area: pixels of the image; smaller pieces of the result go to what surrounds them. Where
            all are smaller, all stay.

    Returns:
        [H, W] of the dtype of `codes`; as `at_centres` gives it where a side of the image is
        shorter than the map's, or the map has the image's size already.
    """
    height, width = image.shape[:2]
    if image.shape[:2] == codes.shape or height < codes.shape[0] or width < codes.shape[1]:
        return at_centres(codes, (height, width))
    reach = _FIRST_REACH
    inner = _inner(codes, reach)
    pinned = _most_certain(codes, certainty + inner)
    for shape in _sizes(codes.shape, (height, width)):
        last = shape == (height, width)
        shown = image if last else transforms.resize_image(image, shape)
        codes = _step(codes, certainty, shown, inner | pinned, reach, min_area if last else 0)
        certainty, reach = np.ones(shape, np.float32), _REACH
        inner, pinned = _inner(codes, reach), at_centres(pinned, shape)
    return codes


def _sizes(drawn: tuple[int, int], shape: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes from one step to the next, each about as many times larger as the one before."""
    factor = max(large / small for small, large in zip(drawn, shape, strict=True))
    steps = max(1, math.ceil(math.log(factor, _MAX_FACTOR) - 1e-9))
    return [
        (
            round(drawn[0] * (shape[0] / drawn[0]) ** (step / steps)),
            round(drawn[1] * (shape[1] / drawn[1]) ** (step / steps)),
        )
        for step in range(1, steps + 1)
    ]


def _step(
    codes: np.ndarray,
    certainty: np.ndarray,
    image: np.ndarray,
    kept: np.ndarray,
    reach: int,
    min_area: float,
) -> np.ndarray:
    """The map at the size of `image`; `kept` cells, bool [h, w], give their pixels their code."""
    shape = image.shape[:2]
    core = specks.pieces(np.where(kept, codes, -1))
    numbers, core = np.unique(np.where(kept, core, -1), return_inverse=True)
    core = core.reshape(codes.shape) - (numbers[0] < 0)
    result = at_centres(codes, shape)
    if not kept.all():
        bilateral.vote(result, codes, certainty, image, ~kept, reach)
    return fragments.settle(result, at_centres(core, shape), min_area)


def _inner(codes: np.ndarray, reach: int) -> np.ndarray:
    """Cells that hear only cells of their own code, bool [h, w]."""
    highest, lowest = (
        filtered(codes, 2 * reach + 1, mode="nearest")
        for filtered in (ndimage.maximum_filter, ndimage.minimum_filter)
    )
    return highest == lowest


def _most_certain(codes: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    """The first of the most certain cells of each connected piece, bool [h, w]."""
    piece = specks.pieces(codes)
    places = ndimage.maximum_position(certainty, piece, np.arange(piece.max() + 1))
    found = np.zeros(codes.shape, bool)
    found[tuple(np.transpose(places))] = True
    return found
