"""A random-access source of pictures whose posterior over partitions is exactly known."""

import operator
from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.scenes import posterior_cues, posterior_plan, posterior_render
from bitdiff_jax.scenes.posterior_scene import PosteriorScene

KINDS = posterior_plan.KINDS
_NUM_DRAWS = 8  # in `labels`; training draws its own
_IMAGE, _DRAWS = 0, 1  # streams of random numbers


class PosteriorSource:
    """Pictures that may be cut into regions in several ways, with known probabilities.

    A picture is drawn first. The probabilities are then read off it (`posterior_cues`), and each
    label map is a fresh draw from them, so a picture says nothing about the map but what can be
    seen in it. What is open:

    - pairs: two to four grey objects, each one region or two halves, independently; the
      contrast of the halves decides.
    - switch: two to four coloured objects, all of them whole or all cut into their parts; their
      hue decides. Each object alone would be as undecided: only whole maps tell.
    - border: one border at one of 4 .. 8 places across a blur; the width of the blur decides
      their number, its profile their probabilities.
    - clutter: one or two heaps of 3 .. 7 small pieces, each heap one region or each piece one; the
      spread of their brightness decides.
    - mixed: two or three of these at once, at most 64 partitions.

    `held_out` gives pictures in which levels of the cues come together that never do so otherwise;
    `posterior_plan` says which. Where no border cuts the ground (pairs, switch and clutter), it is
    the background of every map, with id 0: `has_background`.

    Follows the random-access protocol (`len`, `[]`), is picklable and holds no state. Items have,
    besides what all sources have, `draw`: training asks it for a label map instead of choosing one
    of `labels`, so each visit of a picture brings a new one, however often it is visited.
    """

    def __init__(
        self,
        kind: str = "mixed",
        size: int = 32,
        seed: int = 0,
        length: int = 1_000_000,
        held_out: bool = False,
    ):
        """Checks the arguments; draws nothing.

        Args:
            kind: 'mixed', 'pairs', 'switch', 'border' or 'clutter'.
            size: side of the square picture in pixels, at least 32.
            seed: non-negative; pictures of another seed are other pictures with other names.
            length: number of pictures.
            held_out: combinations of cues that the source without it never shows.

        Raises:
            InputError: an argument is out of its range.
        """
        if kind not in KINDS:
            raise InputError(f"kind={kind} is not a kind of posterior: use one of {KINDS}")
        if size < 32:
            raise InputError(f"size={size} is too small to show the cues: use 32 or more")
        if seed < 0:
            raise InputError(f"seed={seed} is negative: use 0 or more")
        if length < 1:
            raise InputError(f"length={length} leaves no scenes: use 1 or more")
        if held_out not in (False, True):
            raise InputError(f"held_out={held_out} is neither no nor yes: use 0 or 1")
        self.kind = kind
        self.size = size
        self.seed = seed
        self.length = length
        self.held_out = bool(held_out)

    def __len__(self) -> int:
        return self.length

    @property
    def has_background(self) -> bool:
        """Whether id 0 of every label map is the ground on which all else lies."""
        return self.kind not in ("border", "mixed")

    def __repr__(self) -> str:
        return (
            f"PosteriorSource(kind={self.kind!r}, size={self.size}, seed={self.seed}, "
            f"length={self.length}, held_out={self.held_out})"
        )

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One picture with eight independent draws from its posterior.

        Args:
            index: 0 .. length - 1.

        Returns:
            `name` str, `image` uint8 [size, size, 3], `labels`, a tuple of 8 int32 [size, size]
            with ids 0 .. n - 1, and `draw`, a function from a `numpy.random.Generator` to one more.

        Raises:
            IndexError: `index` is not in 0 .. length - 1.
        """
        scene = self.scene(index)
        return {
            "name": scene.name,
            "image": scene.image,
            "labels": tuple(scene.draws(self._rng(index, _DRAWS), _NUM_DRAWS)),
            "draw": scene.draw,
        }

    def scene(self, index: int) -> PosteriorScene:
        """The picture of `[index]` with its posterior."""
        i = operator.index(index)
        if not 0 <= i < self.length:
            raise IndexError(f"index {i} is out of range for {self.length} scenes")
        rng = self._rng(i, _IMAGE)
        plan = posterior_plan.draw(rng, self.kind, self.held_out)
        drawing = posterior_render.render(rng, plan, self.size)
        choices = posterior_cues.measure(drawing.image, drawing.atoms, drawing.groups)
        side = "held-out-" if self.held_out else ""
        name = f"posterior-{self.kind}-{side}s{self.seed}-{i:08d}"
        return PosteriorScene(name, drawing.image, drawing.atoms, choices)

    def _rng(self, index: int, stream: int) -> np.random.Generator:
        kind = KINDS.index(self.kind)
        return np.random.default_rng((self.seed, kind, self.held_out, stream, index))
