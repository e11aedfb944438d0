"""Outlines of things: a pool of unit shapes by family, made once, and how they are placed.

A shape is one polygon or several that are filled together (a body and its legs). The pool is a
constant: a scene picks shapes from it and stretches, bends, roughens and turns them.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.natural import curves, objects

_POOL_SEED = 20_010
VARIANTS = 120
_ROUGH_ROWS, _ROUGH_LENGTH = 64, 256


class Family(NamedTuple):
    """A kind of outline and what may be done to it."""

    make: Callable[[np.random.Generator], list[np.ndarray]]
    odds: float
    tricky: bool  # thin, branching, pierced or of several parts
    upright: float  # 1 = stands, 0 = lies in any direction
    roughness: float  # most, relative to the radius
    stretch: float  # largest ratio of its axes, as log
    bend: float


FAMILIES: dict[str, Family] = {
    "ellipse": Family(objects.ellipse, 1.0, False, 0.0, 0.03, 0.8, 0.15),
    "blob": Family(objects.blob, 1.6, False, 0.0, 0.08, 0.5, 0.3),
    "clump": Family(objects.clump, 1.4, False, 0.3, 0.15, 0.5, 0.1),
    "convex": Family(objects.convex, 1.0, False, 0.0, 0.04, 0.5, 0.0),
    "box": Family(objects.box, 1.2, False, 0.7, 0.0, 0.9, 0.0),
    "angular": Family(objects.angular, 0.8, False, 0.6, 0.0, 0.3, 0.0),
    "spline": Family(objects.closed_spline, 1.4, False, 0.2, 0.05, 0.4, 0.2),
    "lens": Family(objects.lens, 0.7, False, 0.0, 0.05, 0.3, 0.2),
    "star": Family(objects.star, 0.7, False, 0.2, 0.04, 0.2, 0.0),
    "strip": Family(objects.stroke, 1.3, True, 0.3, 0.02, 0.2, 0.4),
    "tree": Family(objects.tree, 0.8, True, 0.8, 0.03, 0.2, 0.1),
    "creature": Family(objects.creature, 1.2, True, 0.9, 0.04, 0.2, 0.1),
    "ring": Family(objects.ring, 0.7, True, 0.3, 0.02, 0.4, 0.0),
}


class Pool(NamedTuple):
    """P polygons of N shapes; shape n has polygons start[n] .. start[n] + number[n] - 1."""

    polygons: np.ndarray  # float32 [P, V, 2]
    start: np.ndarray  # int [N]
    number: np.ndarray  # int [N]
    roughness: np.ndarray  # float32 [_ROUGH_ROWS, _ROUGH_LENGTH], periodic


class Placement(NamedTuple):
    """K shapes of the pool, put somewhere; lengths in units of the picture's side."""

    shape: np.ndarray  # int [K]
    centre: np.ndarray  # [K, 2]
    radius: np.ndarray  # [K] about that of a circle of equal area; more for thin shapes
    angle: np.ndarray  # [K]
    stretch: np.ndarray  # [K] factor along the first axis; across it the inverse
    bend: np.ndarray  # [K]
    rough: np.ndarray  # [K]
    rough_row: np.ndarray  # int [K]
    mirrored: np.ndarray  # [K] 1 or -1

    def take(self, order: np.ndarray) -> "Placement":
        """The shapes in another order, or some of them."""
        return Placement(*(part[order] for part in self))


def join(placements: list[Placement]) -> Placement:
    """All the shapes, one placement after the other."""
    return Placement(*(np.concatenate(parts) for parts in zip(*placements, strict=True)))


@functools.cache
def pool() -> Pool:
    """The constant pool: the same in every process."""
    rng = np.random.default_rng(_POOL_SEED)
    shapes = [_unit(family.make(rng)) for family in FAMILIES.values() for _ in range(VARIANTS)]
    count = np.array([len(shape) for shape in shapes])
    roughness = [
        curves.rough(rng, slope, _ROUGH_LENGTH) for slope in np.linspace(0.5, 1.8, _ROUGH_ROWS)
    ]
    return Pool(
        np.concatenate(shapes).astype(np.float32),
        np.cumsum(count) - count,
        count,
        np.stack(roughness).astype(np.float32),
    )


def _unit(parts: list[np.ndarray]) -> np.ndarray:
    """Centred parts [n, V, 2] of unit size: between its area's circle and its farthest point."""
    points = np.stack(parts)
    points = points - (points.max(axis=(0, 1)) + points.min(axis=(0, 1))) / 2
    following = np.roll(points, -1, axis=1)
    cross = points[..., 0] * following[..., 1] - points[..., 1] * following[..., 0]
    area = np.abs(cross.sum(axis=1)).sum() / 2
    reach = np.linalg.norm(points, axis=-1).max()
    return points / np.sqrt(np.sqrt(area / np.pi) * reach)


def pick(
    rng: np.random.Generator, count: int, tricky: float, names: tuple[str, ...] | None = None
) -> Placement:
    """Shapes of random families in random poses, of radius 1 at the origin.

    Args:
        rng: source of randomness.
        count: K.
        tricky: odds of a family that is `tricky`, relative to the others.
        names: families to choose from; all, if None.
    """
    odds, traits = _traits(tricky, names)
    family = np.searchsorted(odds[:-1], rng.random(count))
    index, upright, roughness, stretch, bend = traits[:, family]
    u = rng.random((5, count))
    tilt = rng.normal(0, 0.15, (2, count))
    stands = u[0] < upright
    return Placement(
        shape=(index.astype(int) * VARIANTS + rng.integers(0, VARIANTS, count)),
        centre=np.zeros((count, 2)),
        radius=np.ones(count),
        angle=np.where(stands, tilt[0], 2 * np.pi * u[1]),
        stretch=np.exp(stretch / 2 * (2 * u[2] - 1)),
        bend=bend * tilt[1] * 6,
        rough=roughness * u[3] ** 2,
        rough_row=rng.integers(0, _ROUGH_ROWS, count),
        mirrored=np.where(u[4] < 0.5, 1.0, -1.0),
    )


@functools.cache
def _traits(tricky: float, names: tuple[str, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """Cumulated odds [F] and (index, upright, roughness, stretch, bend) [5, F] of families."""
    known = list(FAMILIES)
    chosen = [FAMILIES[name] for name in names or known]
    odds = np.cumsum([f.odds * (tricky if f.tricky else 1.0) for f in chosen])
    traits = [
        (known.index(name), f.upright, f.roughness, f.stretch, f.bend)
        for name, f in zip(names or known, chosen, strict=True)
    ]
    return odds / odds[-1], np.array(traits).T


def draw(placement: Placement) -> tuple[np.ndarray, np.ndarray]:
    """Polygons float32 [D, V, 2] of K shapes, and the index [D] of the shape of each, in order."""
    shapes = pool()
    count = shapes.number[placement.shape]
    owner = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    points = shapes.polygons[shapes.start[placement.shape][owner] + within]
    p = Placement(*(part.astype(np.float32) for part in placement.take(owner)))

    places = (np.arange(points.shape[1]) * _ROUGH_LENGTH) // points.shape[1]
    uneven = shapes.roughness[placement.rough_row[owner][:, None], places]
    points = points * (1 + p.rough[:, None] * uneven)[:, :, None]
    x = points[..., 0] * (p.mirrored * p.stretch)[:, None]
    y = points[..., 1] / p.stretch[:, None] + p.bend[:, None] * (x * x - np.float32(0.4))
    cos, sin = np.cos(p.angle)[:, None], np.sin(p.angle)[:, None]
    turned = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    return p.centre[:, None] + p.radius[:, None, None] * turned, owner
