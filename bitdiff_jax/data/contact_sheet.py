"""Pictures, truths and drawn maps side by side in one image."""

import functools
import io
import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from bitdiff_jax.data import labelmaps, transforms

NUM_COLOURS = 256
_IGNORED = (24, 24, 24)
_BOUNDARY = (255, 255, 255)
_BACKGROUND = (96, 96, 96)
# Darker ones look like ignored pixels, lighter ones like boundaries.
_DARKEST, _LIGHTEST = 70, 190


@functools.lru_cache(maxsize=1)
def region_colours() -> np.ndarray:
    """uint8 [256, 3]: colour i is as far as can be from those before it, so few are very distinct.

    The same on every machine and in every run.
    """
    levels = np.linspace(0, 255, 12).round()
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    weights = np.sqrt([0.30, 0.59, 0.11])  # the eye's: equal distances look about equal
    luma = grid @ np.square(weights)
    grid = grid[(luma >= _DARKEST) & (luma <= _LIGHTEST)]
    # Kept off the greys of the frame and of ignored pixels, and off the white of boundaries.
    taken = np.asarray([_IGNORED, _BOUNDARY, _BACKGROUND], np.float64)
    chosen = []
    distance = np.min([np.square((grid - colour) * weights).sum(-1) for colour in taken], axis=0)
    for _ in range(NUM_COLOURS):
        best = grid[distance.argmax()]
        chosen.append(best)
        distance = np.minimum(distance, np.square((grid - best) * weights).sum(-1))
    colours = np.asarray(chosen, np.uint8)
    colours.setflags(write=False)
    return colours


def paint(ids: np.ndarray) -> np.ndarray:
    """Paints a label map: a colour for each id (from 256 on they recur), white boundaries.

    Args:
        ids: int [h, w]; negative is near black.

    Returns:
        uint8 [h, w, 3].
    """
    painted = region_colours()[ids % NUM_COLOURS]
    painted[ids < 0] = _IGNORED
    edge = np.zeros(ids.shape, bool)
    edge[:, 1:] = ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    painted[edge] = _BOUNDARY
    return painted


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], *, cell: int = 128, gap: int = 6
) -> np.ndarray:
    """Lays out rows of pictures and label maps.

    A row is as high as the highest of its items, and a column as wide as the widest of its own.

    Args:
        rows: of uint8 [h, w, 3] pictures and int [h, w] label maps, in any order; for instance
            picture, truth, sample 1, sample 2. Rows may differ in length.
        cell: longest side of each in the sheet.
        gap: pixels between them.

    Returns:
        uint8 [H, W, 3]; a gap's worth of frame if there are no rows.
    """
    shapes = [
        [transforms.resized_shape(item.shape[0], item.shape[1], cell) for item in row]
        for row in rows
    ]
    heights = [max((height for height, _ in row), default=0) for row in shapes]
    widths = [
        max(width for _, width in column)
        for column in itertools.zip_longest(*shapes, fillvalue=(0, 0))
    ]
    tops, lefts = (
        list(itertools.accumulate((side + gap for side in sides), initial=gap))
        for sides in (heights, widths)
    )
    sheet = np.full((tops[-1], lefts[-1], 3), _BACKGROUND, np.uint8)
    for row, targets, top in zip(rows, shapes, tops, strict=False):
        for item, target, left in zip(row, targets, lefts, strict=False):
            if item.ndim == 3:
                shown = transforms.resize_image(item, target)
            else:
                # Boundaries are drawn in the sheet's pixels, or they would vanish or swell.
                shown = paint(labelmaps.resize_labels(item, target, "nearest"))
            sheet[top : top + target[0], left : left + target[1]] = shown
    return sheet


def to_png(sheet: np.ndarray) -> bytes:
    """The sheet as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG")
    return buffer.getvalue()
