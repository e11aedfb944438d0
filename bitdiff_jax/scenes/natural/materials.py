"""What each region is made of: a mean colour, two textures, and the colour of its drawings."""

import functools
import math
from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.natural import colours, tiles
from bitdiff_jax.scenes.natural.composition import Layout
from bitdiff_jax.scenes.natural.difficulty_levels import Difficulty

_ODDS = {
    "noise": 6.0,
    "grain": 2.5,
    "patches": 1.0,
    "stripes": 0.9,
    "waves": 0.5,
    "checks": 0.5,
    "dots": 0.5,
    "bricks": 0.8,
    "lattice": 0.5,
    "stones": 0.8,
    "cracks": 0.5,
    "bumps": 0.9,
    "litter": 1.8,
    "strokes": 1.5,
}
_NAMES = tuple(_ODDS)
_CUMULATED = np.cumsum(list(_ODDS.values())) / sum(_ODDS.values())
_SHORTEST, _LONGEST = 0.035, 0.3  # of a texture's features, in units of the picture's side
_SECOND = ("noise", "grain")


class Materials(NamedTuple):
    """K regions; a tile is sampled at matrix @ (x, y) + shift, in units of its side."""

    base: np.ndarray  # float32 [K, 3] sRGB
    tile: np.ndarray  # int [2, K]
    matrix: np.ndarray  # float32 [2, K, 2, 2]
    shift: np.ndarray  # float32 [2, K, 2]
    swing: np.ndarray  # float32 [2, K, 3] change of sRGB at one standard deviation of the tile
    decal: np.ndarray  # float32 [K, 3] what is drawn on it adds this
    receding: np.ndarray  # bool [K] its texture becomes finer towards the horizon


@functools.cache
def _families() -> tuple[np.ndarray, np.ndarray]:
    """First tile and number of tiles of each family, int [F]."""
    first, count = np.array([tiles.pool().families[name] for name in _NAMES]).T
    return first, count


def draw(rng: np.random.Generator, layout: Layout, difficulty: Difficulty) -> Materials:
    """Draws the materials of a layout's regions."""
    count = len(layout.radius)
    first, number = _families()
    family = np.searchsorted(_CUMULATED[:-1], rng.random((2, count)))
    family[1] = rng.integers(0, len(_SECOND), count)  # they come first in the list
    lab = _colours(rng, layout, difficulty)
    log_mean, log_sd, least, most = difficulty.contrast
    level = rng.normal(log_mean, 0.6 * log_sd) + 0.8 * log_sd * rng.normal(size=count)
    contrast = np.clip(np.exp(level), least, most)
    _sky(rng, layout, lab, contrast, family)

    # A texture's features are smaller than the region.
    longest = np.clip(0.7 * layout.radius, _SHORTEST, _LONGEST)
    period = longest * (_SHORTEST / longest) ** rng.random((2, count))
    angle = rng.uniform(0, 2 * np.pi, (2, count))
    upright = rng.random(count) < 0.4
    angle[0] = np.where(upright, rng.normal(0, 0.05, count), angle[0])
    squeeze = np.exp(rng.uniform(-0.4, 0.4, (2, count)))
    tint = rng.normal(0, 0.35, (2, count, 2)) * rng.choice([0.3, 1.0, 2.0], (1, count, 1))
    sign = np.where(rng.random((2, count)) < 0.5, 1.0, -1.0)
    minor = rng.uniform(0.15, 0.6, count)
    variant = rng.random((2, count))
    shift = rng.random((2, count, 2))
    drawn = _steps(rng, count, 12, 40)

    _share_in_herds(rng, layout, [lab, contrast, *family, *period, *tint, *sign, minor, *variant])
    _settle_borders(rng, layout, difficulty, lab, contrast, family)

    tile = first[family] + (variant * number[family]).astype(int)
    frequency = 1 / (period * tiles.pool().features[tile])
    cos, sin = np.cos(angle) * frequency, np.sin(angle) * frequency
    matrix = np.stack(
        [np.stack([cos, sin], axis=-1) * squeeze[..., None], np.stack([-sin, cos], axis=-1)],
        axis=-2,
    )
    amount = sign * contrast * np.stack([np.sqrt(1 - minor**2), minor])
    swing = amount[..., None] * np.concatenate([np.ones((2, count, 1)), tint], axis=-1)
    base = colours.to_rgb(lab)
    rgb_swing = (colours.to_rgb(lab + swing) - colours.to_rgb(lab - swing)) / 2
    return Materials(
        base.astype(np.float32),
        tile,
        matrix.astype(np.float32),
        shift.astype(np.float32),
        rgb_swing.astype(np.float32),
        (colours.to_rgb(lab + drawn) - base).astype(np.float32),
        _receding(rng, layout),
    )


def _colours(rng: np.random.Generator, layout: Layout, difficulty: Difficulty) -> np.ndarray:
    """Colours [K, 3] in Lab: of a few, one that differs from what the region touches.

    Regions that touch in photographs differ more than any two of a photograph: that is why they
    were told apart.
    """
    shape = (difficulty.colour_choices, len(layout.radius))
    make = colours.free if rng.random() < difficulty.free_colours else colours.natural
    choices = make(rng, shape[0] * shape[1]).reshape(*shape, 3)
    chosen = choices[0]
    for _ in range(2):
        distance = np.linalg.norm(choices - chosen[layout.touches], axis=-1)
        chosen = choices[np.argmax(distance, axis=0), np.arange(shape[1])]
    return chosen


def _steps(rng: np.random.Generator, count: int, least: float, most: float) -> np.ndarray:
    """Differences [count, 3] in Lab of random direction, mostly in L, and of known length."""
    direction = rng.normal(size=(count, 3)) * [1.0, 0.6, 0.6]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * rng.uniform(least, most, (count, 1))


def _sky(
    rng: np.random.Generator,
    layout: Layout,
    lab: np.ndarray,
    contrast: np.ndarray,
    family: np.ndarray,
) -> None:
    """Above most horizons it is bright and calm; changes the arguments."""
    if rng.random() < 0.6 and not np.isnan(layout.horizon):
        lab[0] = [rng.uniform(60, 93), rng.normal(-2, 3), rng.normal(-6, 9)]
        contrast[0] = rng.uniform(1, 6)
        family[0, 0] = 0


def _receding(rng: np.random.Generator, layout: Layout) -> np.ndarray:
    """Grounds in front of most horizons are seen in perspective."""
    k = np.arange(len(layout.radius))
    in_perspective = rng.random() < 0.6 and not np.isnan(layout.horizon)
    return (k >= 1) & (k < layout.stuff) & in_perspective


def _settle_borders(
    rng: np.random.Generator,
    layout: Layout,
    difficulty: Difficulty,
    lab: np.ndarray,
    contrast: np.ndarray,
    family: np.ndarray,
) -> None:
    """Makes some borders hard to see, and the others not; changes the arguments.

    Faint regions keep a difference of 4 to 10 in Lab to one that they border. Camouflaged ones
    have the same mean colour and another texture, whose contrast is at least moderate. All others
    differ by more than that, and by still more from strong textures. Members of a herd are faint
    only where one lies on another: a scene that shows nothing teaches nothing.
    """
    count = len(lab)
    what = rng.random(count)
    what[layout.herd >= 0] = 1.0
    faint = _steps(rng, count, 4, 10)
    clear = _steps(rng, count, 14, 30)
    other = rng.integers(1, len(_NAMES), count)
    hard = difficulty.faint + difficulty.camouflaged
    for k, below in enumerate(layout.touches.tolist()):
        if k == 0:
            continue
        akin = 0 <= layout.herd[k] == layout.herd[below]
        enough = max(10.0, 0.8 * contrast[below])
        if what[k] < difficulty.faint:
            lab[k] = lab[below] + faint[k]
        elif what[k] < hard:
            lab[k] = lab[below]
            contrast[k] = max(contrast[k], 8.0)
        elif akin and math.dist(lab[k], lab[below]) < 3:
            lab[k] = lab[below] + faint[k]
        elif not akin and math.dist(lab[k], lab[below]) < enough:
            # Towards the middle of the scale, where there is room.
            clear[k, 0] = math.copysign(clear[k, 0], 50 - lab[below, 0])
            lab[k] = lab[below] + clear[k] * max(1.0, enough / 20)
        # Where the difference is small against the texture, the texture is another one.
        if not akin and family[0, k] == family[0, below]:
            gap = math.dist(lab[k], lab[below])
            family[0, k] = (family[0, k] + other[k] * (gap < contrast[k])) % len(_NAMES)


def _share_in_herds(rng: np.random.Generator, layout: Layout, traits: list[np.ndarray]) -> None:
    """Members of a herd are made of the same; their colours differ a little; changes `traits`."""
    spread = rng.uniform(1.0, 6.0)
    differs = rng.normal(0, spread, (len(layout.herd), 3)) * [1.0, 0.5, 0.5]
    for which in range(2):
        members = np.flatnonzero(layout.herd == which)
        if len(members):
            for trait in traits:
                trait[members] = trait[members[0]]
            traits[0][members] += differs[members]
