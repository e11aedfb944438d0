"""Scenes of levels 0 and 1: a few shapes on one ground."""

import numpy as np

from bitdiff_jax.scenes import paint, shapes

MIN_SHAPES, MAX_SHAPES = 3, 8
_COUNT_ODDS = (0.22, 0.22, 0.2, 0.16, 0.12, 0.08)  # of 3 .. 8 shapes
_MIN_SHAPE_AREA = 0.02  # of the picture: 20 pixels at 32 x 32
_MIN_GROUND_AREA = 0.2

PAINTERS = {0: paint.flat, 1: paint.lit}  # by level


def draw(rng: np.random.Generator, level: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 [size, size, 3] and labels int32 [size, size], 0 = ground, of one scene."""
    layout, labels = _lay_out(rng, size)
    pixels = PAINTERS[level](rng, layout, labels, size)
    image = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return image.reshape(size, size, 3), labels.reshape(size, size)


def _lay_out(rng: np.random.Generator, size: int) -> tuple[shapes.ShapeLayout, np.ndarray]:
    """Shapes that can all be seen, and their labels int32 [P].

    A shape of which too little shows is taken away before anything is painted, so its pixels
    belong to what lies below; a layout left with too few shapes or too little ground is redrawn.
    """
    pixels = shapes.pixel_centres(size)
    counts = np.arange(MIN_SHAPES, MAX_SHAPES + 1)
    while True:
        layout = shapes.draw(rng, int(rng.choice(counts, p=_COUNT_ODDS)), pixels)
        labels, area = shapes.visible(layout.depth)
        while len(area) > 1 and area[1:].min() < _MIN_SHAPE_AREA:
            # One at a time: what it hid may now be large enough.
            layout = layout.without(int(area[1:].argmin()))
            labels, area = shapes.visible(layout.depth)
        if len(area) > MIN_SHAPES and area[0] >= _MIN_GROUND_AREA:
            return layout, labels
