"""What can be seen in a picture -> how probable each option of each choice is.

Cues are measured in the finished 8-bit picture, noise and rounding included, so the probabilities
are a function of the picture alone; what drew it plays no further part. Brightness is the mean of
red, green and blue, in [0, 1].

    pair      P(two)    = logistic(12 (c - .26))   c = difference of the halves' brightness
    switch    P(cut)    = logistic(5 (u - .5))     u = 0 at blue (hue .6) .. 1 at red (hue 0), the
                                                   hue of all objects together
    clutter   P(apart)  = logistic(28 (s - .09))   s = standard deviation of the pieces' brightness
    border    P(a band of the blur belongs to the bright side) = how far its colour is from the dark
                                                   side's to the bright side's

Pictures are planned with every cue on one of five levels, between which there are gaps wider than
the noise.
"""

import colorsys
from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.posterior_scene import Choice

NUM_LEVELS = 5
BLUE = 0.6  # hue at the near end of the switch's scale; red is 0
MIN_POSITIONS = 4  # of a border; 4 .. 8, one number a level
_MIN_POSITION_PROBABILITY = 0.01


class Scale(NamedTuple):
    """Five levels of a cue and the logistic curve on them."""

    first: float  # centre of level 0
    step: float  # from level to level
    spread: float  # a level reaches so far to either side of its centre
    slope: float  # of the logistic curve, which passes 1/2 at the centre of level 2

    def draw(self, rng: np.random.Generator, level: int) -> float:
        """A value on a level."""
        return self.first + self.step * level + rng.uniform(-self.spread, self.spread)

    def level(self, cue: float) -> int:
        """The level whose centre is nearest."""
        return int(np.clip(round((cue - self.first) / self.step), 0, NUM_LEVELS - 1))

    def probability(self, cue: float) -> float:
        """P(the atoms are apart)."""
        middle = self.first + 2 * self.step
        return float(1 / (1 + np.exp(-self.slope * (cue - middle))))


SCALES = {
    "pair": Scale(first=0.08, step=0.09, spread=0.025, slope=12.0),
    "switch": Scale(first=0.1, step=0.2, spread=0.06, slope=5.0),
    "clutter": Scale(first=0.02, step=0.035, spread=0.01, slope=28.0),
}


class Group(NamedTuple):
    """Atoms that one choice is about.

    `members` are two halves ((a,), (b,)) of a pair, the parts of each object of the switch, the
    strips ((dark,), (band,), ..., (bright,)) of a border, or the pieces ((a,), (b,), ...).
    """

    kind: str
    members: tuple[tuple[int, ...], ...]

    @property
    def atoms(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(atom for member in self.members for atom in member)


def measure(image: np.ndarray, atoms: np.ndarray, groups: list[Group]) -> tuple[Choice, ...]:
    """Measures every cue and gives each choice its probabilities.

    Args:
        image: uint8 [h, w, 3], as it will be shown.
        atoms: int32 [h, w], ids 0 .. A - 1.
        groups: what the choices are about.
    """
    flat = atoms.ravel()
    pixels = image.reshape(-1, 3)
    area = np.bincount(flat)
    total = np.stack([np.bincount(flat, pixels[:, c]) for c in range(3)], axis=1) / 255
    colour = total / area[:, None]
    return tuple(_choice(group, colour, area) for group in groups)


def _choice(group: Group, colour: np.ndarray, area: np.ndarray) -> Choice:
    """One choice, from the mean colours [A, 3] and the numbers of pixels [A] of the atoms."""
    apart = tuple((atom,) for atom in group.atoms)
    if group.kind == "border":
        return _border(group, colour)
    if group.kind == "switch":
        objects = list(group.atoms)
        cue = _warmth(np.average(colour[objects], axis=0, weights=area[objects]))
        together = group.members
    else:
        brightness = colour[list(group.atoms)].mean(axis=1)
        cue = float(np.ptp(brightness) if group.kind == "pair" else np.std(brightness))
        together = (group.atoms,)
    probability = SCALES[group.kind].probability(cue)
    return Choice(group.kind, cue, (together, apart), np.array([1 - probability, probability]))


def _warmth(colour: np.ndarray) -> float:
    """0 for blue, 1 for red, by hue; a red with a breath of blue is not beyond blue."""
    hue = colorsys.rgb_to_hsv(*colour)[0]
    return float(1 - (hue - 1 if hue > (1 + BLUE) / 2 else hue) / BLUE)


def _border(group: Group, colour: np.ndarray) -> Choice:
    """Bands 0 .. k - 1 go to the dark side and the others to the bright one, in option k."""
    atoms = group.atoms
    dark, bright = colour[atoms[0]], colour[atoms[-1]]
    axis = bright - dark
    share = (colour[list(atoms[1:-1])] - dark) @ axis / (axis @ axis)
    # P(position <= k) is the share of bright in band k, made to rise where noise would not.
    cumulated = np.maximum.accumulate(np.clip(share, 0, 1))
    weights = np.diff(cumulated, prepend=0, append=1)
    weights = np.maximum(weights, _MIN_POSITION_PROBABILITY)
    options = tuple((atoms[:k], atoms[k:]) for k in range(1, len(atoms)))
    return Choice("border", float(len(options)), options, weights / weights.sum())


def level(choice: Choice) -> int:
    """The level, 0 .. 4, of a measured cue."""
    if choice.kind == "border":
        return len(choice.options) - MIN_POSITIONS
    return SCALES[choice.kind].level(choice.cue)
