"""A random-access source of procedural scenes, a pure function of (level, size, seed, index)."""

import operator
from typing import Any

import numpy as np

from bitdiff_jax.data.scenes import paint, shapes
from bitdiff_jax.errors import InputError

MIN_SHAPES, MAX_SHAPES = 3, 8
_COUNT_ODDS = (0.22, 0.22, 0.2, 0.16, 0.12, 0.08)  # of 3 .. 8 shapes
_MIN_SHAPE_AREA = 0.02  # of the picture: 20 pixels at 32 x 32
_MIN_GROUND_AREA = 0.2

_PAINTERS = {0: paint.flat, 1: paint.lit}
LEVELS = tuple(_PAINTERS)


class SceneSource:
    """Three to eight overlapping shapes on a ground, drawn when asked for.

    Level 0 paints each region in one flat colour, without light or noise: for tests. Level 1
    gives every region a texture of two colours out of a few that the whole scene shares, lights
    the scene from one side and adds sensor noise. No colour belongs to one region and a texture's
    own edges are as strong as the outlines, so colour alone does not find the regions; within a
    few pixels, though, each texture can be recognised.

    A source follows the random-access protocol (`len`, `[]`), is picklable and holds no state:
    `source[i]` draws from `numpy.random.default_rng((seed, i))`. One (level, seed, i) is the same
    scene at every size, up to sampling and noise, save where a shape is at the very limit of
    being too small to keep.
    """

    def __init__(self, level: int = 1, size: int = 64, seed: int = 0, length: int = 1_000_000):
        """Checks the arguments; draws nothing.

        Args:
          level: 0 or 1.
          size: side of the square picture in pixels, at least 16; the smallest shapes and textures
            are made to be told apart from 32 on.
          seed: non-negative; scenes of another seed are other scenes with other names.
          length: number of scenes.

        Raises:
          InputError: an argument is out of its range.
        """
        if level not in _PAINTERS:
            raise InputError(f"level={level} is not a level of scenes: use one of {LEVELS}")
        if size < 16:
            raise InputError(f"size={size} is too small to draw a scene: use 32 or more")
        if seed < 0:
            raise InputError(f"seed={seed} is negative: use 0 or more")
        if length < 1:
            raise InputError(f"length={length} leaves no scenes: use 1 or more")
        self.level = level
        self.size = size
        self.seed = seed
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        return (
            f"SceneSource(level={self.level}, size={self.size}, "
            f"seed={self.seed}, length={self.length})"
        )

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draws one scene.

        Args:
          index: 0 .. length - 1.

        Returns:
          `name` str, `image` uint8 [size, size, 3] and `labels`, a tuple of one int32
          [size, size]: 0 = ground, then the shapes from back to front. Each of them shows, every
          pixel has one, and a shape that another cuts in two keeps one id.

        Raises:
          IndexError: `index` is not in 0 .. length - 1.
        """
        i = operator.index(index)
        if not 0 <= i < self.length:
            raise IndexError(f"index {i} is out of range for {self.length} scenes")
        rng = np.random.default_rng((self.seed, i))
        layout, labels = _lay_out(rng, self.size)
        pixels = _PAINTERS[self.level](rng, layout, labels, self.size)
        image = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        return {
            "name": f"scene-L{self.level}-s{self.seed}-{i:08d}",
            "image": image.reshape(self.size, self.size, 3),
            "labels": (labels.reshape(self.size, self.size),),
        }


def _lay_out(rng: np.random.Generator, size: int) -> tuple[shapes.Layout, np.ndarray]:
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
