"""A random-access source of procedural scenes, a pure function of (level, size, seed, index)."""

import operator
from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.scenes import toy
from bitdiff_jax.scenes.natural import difficulty_levels, scene

_NATURAL = {2: difficulty_levels.MODERATE, 3: difficulty_levels.HARD}
LEVELS = (*toy.PAINTERS, *_NATURAL)


class SceneSource:
    """Pictures of which the regions are known exactly, drawn when asked for.

    Level 0 paints three to eight shapes on a ground in one flat colour each, without light or
    noise: for tests.

    Level 1 gives each of them a texture of two colours out of a few that the whole scene shares,
    lights the scene from one side and adds sensor noise. No colour belongs to one region and a
    texture's own edges are as strong as the outlines, so colour alone does not find the regions;
    within a few pixels, though, each texture can be recognised.

    Levels 2 and 3 are a small world: landscapes, layered stuffs or touching cells, in front of
    them things of power-law sizes, thin, branching, pierced or of several parts, at times repeated;
    natural colours, textures with strong inner edges, shadows, highlights and gradients that are no
    borders, and borders that hardly show or show by texture alone; seen through a camera. Level 2
    is most of it at moderate difficulty, 2 to 30 regions; level 3 has up to 40, more of them alike,
    stronger light and a worse camera. `natural.difficulty_levels` has the numbers.

    A source follows the random-access protocol (`len`, `[]`), is picklable and holds no state:
    `source[i]` draws from `numpy.random.default_rng((seed, i))`. One (level, seed, i) is the same
    scene at every size, up to sampling and noise, save where a region is at the very limit of
    being too small to keep; at levels 2 and 3, whose smallest regions have 5 pixels, pictures
    below 64 pixels have fewer regions. From level 2 on, pixels also depend on Pillow's rasteriser
    and JPEG codec: another version may round some of them otherwise.
    """

    def __init__(self, level: int = 1, size: int = 64, seed: int = 0, length: int = 1_000_000):
        """Checks the arguments; draws nothing.

        Args:
            level: 0, 1, 2 or 3.
            size: side of the square picture in pixels, at least 16; the smallest shapes and
                textures are made to be told apart from 32 on, those of levels 2 and 3 from 64 on.
            seed: non-negative; scenes of another seed are other scenes with other names.
            length: number of scenes.

        Raises:
            InputError: an argument is out of its range.
        """
        if level not in LEVELS:
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
            [size, size]: 0 .. n - 1 from back to front, 0 = the ground of levels 0 and 1. Each of
            them shows, every pixel has one, and a region that another cuts in two keeps one id.

        Raises:
            IndexError: `index` is not in 0 .. length - 1.
        """
        i = operator.index(index)
        if not 0 <= i < self.length:
            raise IndexError(f"index {i} is out of range for {self.length} scenes")
        rng = np.random.default_rng((self.seed, i))
        if self.level in _NATURAL:
            image, labels = scene.draw(rng, _NATURAL[self.level], self.size)
        else:
            image, labels = toy.draw(rng, self.level, self.size)
        return {
            "name": f"scene-L{self.level}-s{self.seed}-{i:08d}",
            "image": image,
            "labels": (labels,),
        }
