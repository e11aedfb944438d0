"""Light: strong changes of brightness that are no borders.

A slope over the picture, slow unevenness, shadows of what is outside the picture, shadows that
things cast on what lies behind them, slopes and domes of single regions, highlights and rims.
Factors apply to sRGB values: a shadow of 0.6 there is one of about 0.3 in light.
"""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.natural import surface_textures, tiles
from bitdiff_jax.scenes.natural.composition import Layout
from bitdiff_jax.scenes.natural.difficulty_levels import Difficulty

_PENUMBRA = 6  # samples of the light's extent


class Light(NamedTuple):
    """One scene's light, independent of the size at which it is drawn; K regions."""

    towards: np.ndarray  # float32 [2] direction from which it comes, in the picture's plane
    slope: float
    uneven: tuple[float, int, float, np.ndarray]  # strength, tile, repetitions, shift
    dapples: tuple[float, float, int, float, np.ndarray]  # strength, sharpness, tile, ...
    shadow: float  # strength of cast shadows
    reach: float  # length of the longest
    height: np.ndarray  # float32 [K] 0 = casts none .. 1
    rim_width: float
    # One row a region: centre x, y; slopes x, y of brightness by 1 / radius; dome; highlight;
    # 1 / radius; factor of the rim, 1 = none.
    table: np.ndarray  # float32 [8, K]


def draw(rng: np.random.Generator, layout: Layout, difficulty: Difficulty) -> Light:
    """Draws the light of a scene."""
    count = len(layout.radius)
    angle = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(angle), np.sin(angle)], np.float32)
    first, number = tiles.pool().families["noise"]
    smooth = first + rng.integers(number * 3 // 4, number, 2)
    blotchy = first + rng.integers(number // 3, number)
    strength = difficulty.shading

    things = np.arange(count) >= layout.stuff
    # Members of a herd look alike, so they share what is drawn for the first of them.
    like = np.arange(count)
    for which in range(2):
        members = np.flatnonzero(layout.herd == which)
        like[members] = members[:1]
    u = rng.random((6, count))[:, like]
    domed = things & (u[0] < 0.5)
    dome = domed * (0.1 + 0.4 * u[1]) * strength
    slopes = strength * rng.normal(0, 0.12, (2, count)) * (u[2] < 0.6)
    slopes += towards[:, None] * dome * 0.8
    highlight = (things & (u[3] < 0.2)) * (0.1 + 0.4 * u[1]) * strength
    rimmed = things & (u[4] < 0.15)
    rim = np.where(rimmed, np.where(u[5] < 0.75, 0.35 + 0.5 * u[5], 1.3), 1.0)
    table = np.stack([*layout.centre.T, *slopes, dome, highlight, 1 / layout.radius, rim])

    has_shadows = rng.random() < difficulty.shadows
    has_dapples = rng.random() < difficulty.dapples
    return Light(
        towards,
        strength * rng.uniform(0, 0.3),
        (strength * rng.uniform(0, 0.1), int(smooth[0]), rng.uniform(0.2, 0.5), rng.random(2)),
        (
            has_dapples * rng.uniform(0.2, 0.5),
            rng.choice([2.0, 8.0]),
            int(smooth[1] if rng.random() < 0.6 else blotchy),
            rng.uniform(0.25, 0.8),
            rng.random(2),
        ),
        has_shadows * rng.uniform(0.25, 0.6),
        rng.uniform(0.02, 0.08),
        (things * (0.2 + 0.8 * u[1])).astype(np.float32),
        rng.uniform(0.008, 0.02),
        table.astype(np.float32),
    )


def shine(light: Light, colours: np.ndarray, regions: np.ndarray, side: int) -> None:
    """Lights colours float32 [3, side * side] of samples of `regions` in place."""
    x, y = surface_textures.positions(side)
    cx, cy, gx, gy, dome, highlight, inverse, rim = np.take(light.table, regions, axis=1)
    dx, dy = (x - cx) * inverse, (y - cy) * inverse
    local = np.clip(gx * dx + gy * dy - dome * np.minimum(dx * dx + dy * dy, 1), -0.6, 0.5)
    factor = 1 + local
    half = np.float32(0.5)
    factor *= 1 + np.float32(light.slope) * (
        (x - half) * light.towards[0] + (y - half) * light.towards[1]
    )
    strength, tile, repeats, shift = light.uneven
    factor *= 1 + np.float32(strength) * _field(tile, repeats, shift, side)
    strength, sharpness, tile, repeats, shift = light.dapples
    if strength:
        field = _field(tile, repeats, shift, side)
        factor *= 1 - np.float32(strength) * np.clip(half + np.float32(sharpness) * field, 0, 1)
    if light.shadow:
        factor *= 1 - np.float32(light.shadow) * _cast(light, regions, side)
    if (light.table[7] != 1).any():
        factor *= np.where(_on_rim(light, regions, side), rim, 1)
    colours *= factor
    shiny = np.flatnonzero(highlight)
    dx = dx[shiny] - np.float32(0.35) * light.towards[0]
    dy = dy[shiny] - np.float32(0.35) * light.towards[1]
    colours[:, shiny] += highlight[shiny] * np.exp(-8 * (dx * dx + dy * dy))


def _field(tile: int, repeats: float, shift: np.ndarray, side: int) -> np.ndarray:
    """A tile over the whole picture: float32 [side * side]."""
    return surface_textures.sample(
        np.array([tile]),
        (np.eye(2) * repeats)[None],
        shift[None],
        np.zeros(side * side, np.intp),
        surface_textures.positions(side),
        side,
    )


def _cast(light: Light, regions: np.ndarray, side: int) -> np.ndarray:
    """Share [side * side] of the light that regions in front keep from each sample."""
    tall = (light.height * _PENUMBRA + 0.5).astype(np.uint8)
    here = regions.astype(np.uint8).reshape(side, side)
    reach = round(light.reach * side) + 1
    padded = np.pad(here, reach, mode="edge")
    heights = np.take(tall, padded)
    steps = np.zeros((side, side), np.uint8)
    for step in range(1, _PENUMBRA + 1):
        along = light.towards * (light.reach * side * step / _PENUMBRA)
        dx, dy = (reach + np.rint(along).astype(int)).tolist()
        between = padded[dy : dy + side, dx : dx + side]
        steps += (between > here) & (heights[dy : dy + side, dx : dx + side] >= step)
    return np.minimum(steps.ravel() * np.float32(2 / _PENUMBRA), 1)


def _on_rim(light: Light, regions: np.ndarray, side: int) -> np.ndarray:
    """Whether something behind its region is within the rim's width of a sample."""
    here = regions.astype(np.uint8).reshape(side, side)
    width = max(1, round(light.rim_width * side))
    padded = np.pad(here, width, mode="edge")
    middle, end = slice(width, width + side), slice(2 * width, None)
    edge = (padded[middle, :side] < here) | (padded[middle, end] < here)
    edge |= (padded[:side, middle] < here) | (padded[end, middle] < here)
    return edge.ravel()
