"""Joint bilateral upsampling of label maps: cells of a small map vote on pixels of a large one.

Kopf, Cohen, Lischinski & Uyttendaele 2007, with votes for labels in place of values.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.inference import lab

# Chosen on maps that a model drew of BSDS500's images, see `benchmarks/quality/edges.py`.
_DISTANCE = 1.2  # in cells
_COLOUR = 5.0  # in CIE Lab
# Of a vote without regard to colours, where no cell's colour is alike.
_FLOOR = 1e-3
_CHUNK = 1 << 14  # pixels at once: what is computed for them stays in the processor's cache


class _Block(NamedTuple):
    """Cells and their pixels; a cell of fewer pixels than others repeats its last ones."""

    rows: np.ndarray  # [n]
    columns: np.ndarray
    pixels: tuple[np.ndarray, np.ndarray]  # rows [n, p, 1] and columns [n, 1, q]
    colours: np.ndarray  # float32 [n, p q, 3]


def vote(
    labels: np.ndarray,
    codes: np.ndarray,
    certainty: np.ndarray,
    image: np.ndarray,
    cells: np.ndarray,
    reach: int,
) -> None:
    """Gives each pixel of some cells the code for which the cells around it vote.

    The vote of a cell falls with the distance of its centre and with the difference of its mean
    colour to the colour of the pixel, and is weighted by its certainty.

    Args:
        labels: integers [H, W], H >= h and W >= w; where the result is written.
        codes: integers [h, w], >= 0.
        certainty: float [h, w] in [0, 1].
        image: uint8 [H, W, 3].
        cells: bool [h, w], those whose pixels are voted on.
        reach: a pixel hears the (2 reach + 1)^2 cells around its own.
    """
    # Cells at the border stand for those that would be beyond it: otherwise regions there, with
    # fewer cells around, would lose ground to those inside.
    framed = np.pad(codes, reach, mode="edge")
    weights = np.pad(certainty.astype(np.float32), reach, mode="edge")
    means = lab.from_rgb(transforms.resize_image(image, codes.shape))
    means = np.pad(means, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    heights, widths = (
        _weights(*each, reach) for each in zip(codes.shape, image.shape[:2], strict=True)
    )
    side = 2 * reach + 1
    down, right = np.divmod(np.arange(side**2), side)
    for block in _blocks(image, cells):
        around = block.rows[:, None] + down, block.columns[:, None] + right
        votes = _likeness(block.colours, means[around])
        shape = np.broadcast_shapes(*(each.shape for each in block.pixels))
        by_place = votes.reshape(*shape, side, side)
        by_place *= heights[block.rows][:, :, None, :, None]
        by_place *= widths[block.columns][:, None, :, None, :]
        labels[block.pixels] = _winners(votes, framed[around], weights[around]).reshape(shape)


def _likeness(pixels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Votes by colour alone, float32 [n, p, m], of colours [n, p, 3] and [n, m, 3]."""
    squares = (pixels**2).sum(axis=2)[:, :, None] + (cells**2).sum(axis=2)[:, None, :]
    distances = squares - 2 * (pixels @ cells.transpose(0, 2, 1))
    distances *= np.float32(-0.5 / _COLOUR**2)
    votes = np.exp(distances, out=distances)
    votes += np.float32(_FLOOR)
    return votes


def _winners(votes: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The codes [n, p] of most votes [n, p, m], by the codes and weights [n, m] of the voters."""
    # The first voter of each code collects the votes for it.
    collector = (codes[:, :, None] == codes[:, None, :]).argmax(axis=2)
    ballots = (collector[:, :, None] == np.arange(codes.shape[1])) * weights[:, :, None]
    return np.take_along_axis(codes, (votes @ ballots).argmax(axis=2), axis=1)


def _blocks(image: np.ndarray, cells: np.ndarray) -> Iterator[_Block]:
    """The chosen cells, in blocks of about `_CHUNK` pixels."""
    shape = image.shape[:2]
    pixel_rows, pixel_columns = map(_pixels, cells.shape, shape)
    size = max(1, _CHUNK // (pixel_rows.shape[1] * pixel_columns.shape[1]))
    rows, columns = np.nonzero(cells)
    for first in range(0, len(rows), size):
        row, column = rows[first : first + size], columns[first : first + size]
        pixels = pixel_rows[row][:, :, None], pixel_columns[column][:, None, :]
        yield _Block(row, column, pixels, lab.from_rgb(image[pixels]).reshape(len(row), -1, 3))


def _pixels(cells: int, pixels: int) -> np.ndarray:
    """The pixels of each cell along one side, intp [cells, most], the last one repeated."""
    cell = (2 * np.arange(pixels) + 1) * cells // (2 * pixels)  # as `labelmaps.at_centres`
    starts = np.searchsorted(cell, np.arange(cells + 1))
    most = np.diff(starts).max()
    return np.minimum(starts[:-1, None] + np.arange(most), starts[1:, None] - 1)


def _weights(cells: int, pixels: int, reach: int) -> np.ndarray:
    """Of the cells around for each cell's pixels, by distance along one side, [cells, most, m]."""
    places = (_pixels(cells, pixels) + 0.5) * cells / pixels - 0.5
    distances = places - np.arange(cells)[:, None]
    around = np.arange(-reach, reach + 1)
    return np.exp(-0.5 * ((distances[..., None] - around) / _DISTANCE) ** 2).astype(np.float32)
