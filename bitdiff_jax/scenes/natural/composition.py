"""Which regions a scene has and where: ground, things in front of it, and what is drawn on them."""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.natural import grounds, herds, outlines
from bitdiff_jax.scenes.natural.difficulty_levels import Difficulty
from bitdiff_jax.scenes.natural.raster import Stack, beneath

_MOST = 60  # regions that are laid out; fewer remain
_LARGEST_RADIUS = 0.38
_ON_TOP = ("box", "blob", "strip", "ellipse", "clump", "star", "lens", "convex")


class Layout(NamedTuple):
    """K regions from back to front; independent of the size at which they are drawn."""

    stack: Stack
    decals: Stack  # drawings inside things: polygons, and the region that each is drawn on
    stuff: int  # regions 0 .. stuff - 1 are ground
    centre: np.ndarray  # float32 [K, 2]
    radius: np.ndarray  # float32 [K]
    touches: np.ndarray  # int [K] a region behind that this one borders; region 0 itself
    herd: np.ndarray  # int [K] which things are of one kind; -1 = of its own
    horizon: float  # y; nan if there is none


def draw(rng: np.random.Generator, difficulty: Difficulty) -> Layout:
    """Draws a layout."""
    spread = difficulty.spread_regions * rng.normal()
    wanted = int(np.clip(difficulty.median_regions * np.exp(spread), 2, _MOST))
    kind = int(np.searchsorted(np.cumsum(difficulty.kinds)[:-1], rng.random()))
    ground = _ground(rng, wanted, mosaic=kind == 2)
    stuff = 1 + len(ground.polygons)

    rest = max(wanted - stuff, 1 if stuff == 1 else 0)
    members = 0
    if kind == 1 and rest >= 3:
        members = max(3, round(rest * rng.uniform(0.5, 0.95)))
    things = _things(rng, rest - members, difficulty, ground.horizon)
    herd = np.full(rest - members, -1)
    if members:
        crowd, which = herds.draw(rng, members, difficulty.tricky)
        things, herd = outlines.join([things, crowd]), np.concatenate([herd, which])
        things, herd = _interleave(rng, things, herd)

    polygons, owner = outlines.draw(things)
    stack = Stack(
        np.concatenate([ground.polygons, polygons]),
        np.concatenate([np.arange(1, stuff), stuff + owner]).astype(int),
    )
    centre, radius = _extent(ground, things)
    return Layout(
        stack,
        _decals(rng, things, herd, stuff, difficulty.decals),
        stuff,
        centre,
        radius,
        _touches(rng, stack, len(radius)),
        np.concatenate([np.full(stuff, -1), herd]),
        ground.horizon,
    )


def _ground(rng: np.random.Generator, wanted: int, *, mosaic: bool) -> grounds.Ground:
    """Ground for a scene of `wanted` regions."""
    if mosaic:
        return grounds.mosaic(rng, max(2, round(wanted * rng.uniform(0.4, 0.95))))
    count = min(1 + int(rng.geometric(0.55)), wanted) - 1
    what = rng.random()
    if count and what < 0.55:
        return grounds.layers(rng, count, landscape=True)
    if count and what < 0.72:
        return grounds.layers(rng, count, landscape=False)
    return grounds.plain()


def _things(
    rng: np.random.Generator, count: int, difficulty: Difficulty, horizon: float
) -> outlines.Placement:
    """Things of power-law sizes, the larger ones mostly behind the smaller."""
    things = outlines.pick(rng, count, difficulty.tricky)
    smallest = np.clip(0.2 / np.sqrt(max(count, 1)), difficulty.min_radius, 0.14)
    # Density r^-3: as many things of each size as of any other, counted by the area they cover.
    a, b = smallest**-2, _LARGEST_RADIUS**-2
    radius = (b + (a - b) * rng.random(count)) ** -0.5
    centre = rng.uniform(-0.03, 1.03, (count, 2))
    inward = rng.random(count) < 0.5
    centre = np.where(inward[:, None], 0.5 + 0.6 * (centre - 0.5), centre)
    attached, offset = rng.random(count) < 0.3, rng.uniform(-0.6, 0.6, (count, 2))
    shrunk = rng.uniform(0.25, 0.6, count)
    order_noise = rng.normal(0, 0.6, count)

    key = -np.log(radius) + order_noise
    if not np.isnan(horizon):
        # What stands nearer stands lower, is larger and in front.
        stands = rng.random(count) < 0.8
        near = rng.random(count) ** 0.7
        low = horizon + (1.02 - horizon) * near
        centre[:, 1] = np.where(stands, low - 0.6 * radius, centre[:, 1] * horizon)
        radius *= np.where(stands, 0.5 + 0.7 * near, 0.7)
        key = np.where(stands, low * 4 + 0.3 * order_noise, order_noise - 1)
    things = things._replace(centre=centre, radius=radius)
    things = things.take(np.argsort(key))
    # Some are parts of, or stand before, a larger one right behind them.
    for k in np.flatnonzero(attached[1:]) + 1:
        host = int(np.argmax(things.radius[:k]))
        if things.radius[k] < things.radius[host]:
            things.radius[k] = min(things.radius[k], shrunk[k] * things.radius[host])
            things.centre[k] = things.centre[host] + things.radius[host] * offset[k]
    np.maximum(things.radius, difficulty.min_radius, out=things.radius)
    return things


def _interleave(
    rng: np.random.Generator, things: outlines.Placement, herd: np.ndarray
) -> tuple[outlines.Placement, np.ndarray]:
    """Moves each single thing to somewhere between the members of the herd."""
    key = np.where(herd < 0, rng.random(len(herd)), np.linspace(0.1, 0.9, len(herd)))
    order = np.argsort(key, kind="stable")
    return things.take(order), herd[order]


def _extent(ground: grounds.Ground, things: outlines.Placement) -> tuple[np.ndarray, np.ndarray]:
    """Centres [K, 2] and radii [K] of ground and things."""
    inside = np.clip(ground.polygons, 0, 1)
    low, high = inside.min(axis=1), inside.max(axis=1)
    centre = np.concatenate([np.full((1, 2), 0.5), (low + high) / 2, things.centre])
    reach = np.maximum((high - low).max(axis=1) / 2, 0.05)
    radius = np.concatenate([[0.6], reach, things.radius])
    return centre.astype(np.float32), radius.astype(np.float32)


def _touches(rng: np.random.Generator, stack: Stack, count: int) -> np.ndarray:
    """For each region, one that is behind it at a point of its outline inside the picture."""
    points = stack.polygons[:, rng.integers(0, stack.polygons.shape[1], 12)]
    inside = np.all((points > 0.01) & (points < 0.99), axis=-1)
    first = np.argmax(inside, axis=1)
    seen = beneath(stack, points[np.arange(len(points)), first])
    touches = np.zeros(count, int)
    touches[stack.region[::-1]] = seen[::-1]  # of several polygons, the first painted
    return touches


def _decals(
    rng: np.random.Generator,
    things: outlines.Placement,
    herd: np.ndarray,
    stuff: int,
    share: float,
) -> Stack:
    """Up to three drawings on a share of the things, and on all or none of a herd."""
    count = len(herd)
    chosen = rng.random(count + 1) < share
    host = np.flatnonzero(np.where(herd < 0, chosen[:-1], chosen[-1]))
    host = np.repeat(host, rng.integers(1, 4, len(host)))
    marks = outlines.pick(rng, len(host), 1.0, _ON_TOP)
    at = rng.uniform(-0.55, 0.55, (len(host), 2))
    size = rng.uniform(0.12, 0.45, len(host))
    radius = things.radius[host]
    marks = marks._replace(centre=things.centre[host] + radius[:, None] * at, radius=radius * size)
    polygons, owner = outlines.draw(marks)
    return Stack(polygons, stuff + host[owner])
