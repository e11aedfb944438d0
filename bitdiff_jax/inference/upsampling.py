"""Label maps brought to the size of their image, with edges that follow the image."""

import itertools
import math
from typing import Final

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from bitdiff_jax.data import transforms
from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import fragments, lab, specks

EDGES: Final = ("image", "nearest")

# Chosen on maps drawn of BSDS500's images, see `benchmarks/quality/edges.py`.
_DISTANCE = 0.55  # in cells
_COLOUR = 8.0  # in CIE Lab
_FLOOR = 1e-3
_BLUR = 0.12  # in cells
# Larger cells are refined in several steps, the first ones at a smaller size of the image.
_MAX_FACTOR = 12
_CHUNK = 1 << 15  # pixels at once: what is computed for them stays in the processor's cache
# The cell itself comes first: it wins a draw.
_AROUND = sorted(itertools.product((-1, 0, 1), repeat=2), key=lambda each: each != (0, 0))


def check_edges(edges: str) -> None:
    """Raises an InputError unless `edges` is one of `EDGES`."""
    if edges not in EDGES:
        raise InputError(f"edges is {edges!r}; use one of {', '.join(EDGES)}")


def refine(
    codes: np.ndarray, certainty: np.ndarray, image: np.ndarray, min_area: float = 0
) -> np.ndarray:
    """A drawn map at the image's size: joint bilateral upsampling (Kopf et al. 2007) of labels.

    Each pixel in or beside a cell at a boundary of the drawn map takes the code for which the 3 x 3
    cells around it vote: a vote counts by the distance of the cell's centre, by how alike the
    colours of the pixel and of the cell are, and by the certainty of the cell. All other pixels
    keep the code of their cell. A connected piece stays one, and none vanishes: it keeps at least
    its most certain cell, and what would break off goes to what surrounds it.

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
    for shape in _sizes(codes.shape, (height, width)):
        last = shape == (height, width)
        shown = image if last else transforms.resize_image(image, shape)
        codes = _step(codes, certainty, shown, min_area if last else 0)
        certainty = np.ones(shape, np.float32)
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
    codes: np.ndarray, certainty: np.ndarray, image: np.ndarray, min_area: float
) -> np.ndarray:
    shape = image.shape[:2]
    kept = _kept(codes, certainty)
    core = specks.pieces(np.where(kept, codes, -1))
    numbers, core = np.unique(np.where(kept, core, -1), return_inverse=True)
    core = core.reshape(codes.shape) - (numbers[0] < 0)
    core, result = at_centres(core, shape), at_centres(codes, shape)
    open_pixels = np.flatnonzero(core < 0)
    if open_pixels.size:
        vote = _Vote(codes, certainty, image)
        for first in range(0, open_pixels.size, _CHUNK):
            chunk = open_pixels[first : first + _CHUNK]
            result.ravel()[chunk] = vote(chunk)
    return fragments.settle(result, core, min_area)


def _kept(codes: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    """Cells that keep their code, bool [h, w]: away from boundaries, and one of each piece."""
    highest, lowest = (
        filtered(codes, 3, mode="nearest")
        for filtered in (ndimage.maximum_filter, ndimage.minimum_filter)
    )
    kept = highest == lowest
    piece = specks.pieces(codes)
    without = np.flatnonzero(np.bincount(piece.ravel(), kept.ravel()) == 0)
    if without.size:
        kept[tuple(np.transpose(ndimage.maximum_position(certainty, piece, without)))] = True
    return kept


class _Vote:
    """What the 3 x 3 cells around a pixel say about it."""

    def __init__(self, codes: np.ndarray, certainty: np.ndarray, image: np.ndarray):
        (height, width), shape = codes.shape, image.shape[:2]
        # A frame of cells that have no say saves the question where the map ends.
        self._codes = np.pad(codes, 1, constant_values=-1)
        self._certainty = np.pad(certainty.astype(np.float32), 1)
        cells = lab.from_rgb(transforms.resize_image(image, (height, width)))
        self._colours = np.pad(cells, ((1, 1), (1, 1), (0, 0)))
        self._offsets = np.array([down * (width + 2) + right for down, right in _AROUND])
        radius = _BLUR * min(shape[0] / height, shape[1] / width)
        self._image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))
        self._rows, self._row_weights = _along(height, shape[0])
        self._columns, self._column_weights = _along(width, shape[1])
        # Of the cells around each cell the first one of the same code collects the votes for it.
        places = np.arange(self._codes.size)
        around = np.take(self._codes, places + self._offsets[:, None], mode="clip")
        self._collectors = [(around == each).argmax(axis=0) for each in around]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The codes [n] of pixels [n], which are places in the flat image."""
        y, x = np.divmod(pixels, self._image.shape[1])
        cell = (self._rows[y] + 1) * self._codes.shape[1] + self._columns[x] + 1
        colour = lab.from_rgb(self._image[y, x])
        cell_colours = self._colours.reshape(-1, 3)
        votes = np.zeros((len(pixels), len(_AROUND)), np.float32)
        place = np.arange(len(pixels)) * len(_AROUND)
        for (down, right), offset, collector in zip(
            _AROUND, self._offsets, self._collectors, strict=True
        ):
            near = cell + offset
            difference = colour - cell_colours[near]
            distance = np.einsum("ij,ij->i", difference, difference)
            vote = np.exp(distance * np.float32(-0.5 / _COLOUR**2)) + np.float32(_FLOOR)
            vote *= self._row_weights[down + 1, y] * self._column_weights[right + 1, x]
            vote *= self._certainty.ravel()[near]
            votes.ravel()[place + collector[cell]] += vote
        return self._codes.ravel()[cell + self._offsets[votes.argmax(axis=1)]]


def _along(cells: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each pixel along one side, and the weights [3, pixels] of those around it."""
    centre = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    cell = (2 * np.arange(pixels) + 1) * cells // (2 * pixels)
    distance = centre - (cell + np.array([[-1], [0], [1]]))
    return cell, np.exp(-0.5 * (distance / _DISTANCE) ** 2).astype(np.float32)
