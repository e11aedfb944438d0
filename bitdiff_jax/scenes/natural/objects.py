"""Families of outlines: each function draws one shape as a list of closed curves.

The vertical axis points down, as in pictures, for those that stand. Sizes and places are free:
the pool brings every shape to unit size around the origin.
"""

import numpy as np

from bitdiff_jax.scenes.natural.curves import (
    NUM_VERTICES,
    TURN,
    edges,
    keyhole,
    polar,
    rough,
    spline,
    strip,
    wander,
)

_HALF = np.linspace(0, 1, NUM_VERTICES // 2)
_ANGULAR = tuple(
    np.array(corners, float)
    for corners in (
        [(0, 0), (2, 0), (2, 1), (1, 1), (1, 3), (0, 3)],  # L
        [(0, 0), (3, 0), (3, 1), (2, 1), (2, 3), (1, 3), (1, 1), (0, 1)],  # T
        [(0, 0), (1, 0), (1, 2), (2, 2), (2, 0), (3, 0), (3, 3), (0, 3)],  # U
        [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 2), (0, 2), (0, 1)]
        + [(1, 1)],  # cross
        [(0, 1.2), (1.5, 0), (3, 1.2), (3, 3), (0, 3)],  # house
        [(0, 3), (0, 2), (1, 2), (1, 1), (2, 1), (2, 0), (3, 0), (3, 3)],  # stairs
        [(0, 1), (2, 1), (2, 0), (4, 1.5), (2, 3), (2, 2), (0, 2)],  # arrow
        [(0, 0), (3, 0), (2.2, 1.5), (3, 3), (0, 3), (0.8, 1.5)],  # ribbon
        [(0, 1), (0.6, 1), (0.6, 0), (2.2, 0), (2.8, 1), (3.6, 1.1), (3.6, 1.8), (0, 1.8)],  # car
        [(0, 0.8), (0.5, 0), (3.5, 0), (4, 0.8), (3.4, 1.4), (0.6, 1.4)],  # boat, table
    )
)


def ellipse(rng: np.random.Generator) -> list[np.ndarray]:
    """A superellipse between a circle and a rounded square."""
    power = rng.choice([1.0, 1.0, 0.75, 0.5])
    cos, sin = np.cos(TURN), np.sin(TURN)
    x, y = np.sign(cos) * np.abs(cos) ** power, np.sign(sin) * np.abs(sin) ** power
    return [np.stack([x, y], axis=1)]


def blob(rng: np.random.Generator) -> list[np.ndarray]:
    """A circle with four low harmonics."""
    order = np.arange(2, 6)[:, None]
    size = rng.uniform(0.2, 1.0, (4, 1)) * 0.6 / order
    waves = size * np.cos(order * TURN + rng.uniform(0, 2 * np.pi, (4, 1)))
    return [polar(np.maximum(1 + waves.sum(axis=0), 0.25))]


def clump(rng: np.random.Generator) -> list[np.ndarray]:
    """The ragged outline of foliage, rock and cloud."""
    ragged = rng.uniform(0.08, 0.2) * rough(rng, rng.uniform(0.6, 1.4))
    return [polar(np.maximum(1 + ragged, 0.25)) * rng.uniform(0.6, 1.0, 2)]


def convex(rng: np.random.Generator) -> list[np.ndarray]:
    """A polygon of 3 to 7 corners on a circle."""
    count = int(rng.integers(3, 8))
    at = (np.arange(count) + rng.uniform(-0.33, 0.33, count)) * (2 * np.pi / count)
    return [edges(np.stack([np.cos(at), np.sin(at)], axis=1))]


def box(rng: np.random.Generator) -> list[np.ndarray]:
    """A rectangle, at times a trapezium or a parallelogram."""
    width, height = rng.uniform(0.6, 1.0, 2)
    top = rng.choice([1.0, 1.0, rng.uniform(0.4, 1.0)]) * width
    lean = rng.choice([0.0, 0.0, rng.uniform(-0.5, 0.5)])
    corners = [(-top + lean, -height), (top + lean, -height), (width, height), (-width, height)]
    return [edges(np.array(corners))]


def angular(rng: np.random.Generator) -> list[np.ndarray]:
    """Letters, houses, arrows, cars: right angles and notches."""
    corners = _ANGULAR[int(rng.integers(len(_ANGULAR)))]
    return [edges((corners + rng.normal(0, 0.07, corners.shape)) * rng.uniform(0.7, 1.0, 2))]


def closed_spline(rng: np.random.Generator) -> list[np.ndarray]:
    """A spline through knots of very different radii, with bays and capes."""
    count = int(rng.integers(5, 11))
    at = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * (2 * np.pi / count)
    radius = rng.uniform(0.35, 1.2, count)[:, None]
    return [spline(radius * np.stack([np.cos(at), np.sin(at)], axis=1))]


def lens(rng: np.random.Generator) -> list[np.ndarray]:
    """A leaf: pointed at one end or both, with or without a stalk."""
    stalk = rng.choice([0.0, 0.0, 0.3])
    blade = np.clip((_HALF - stalk) / (1 - stalk), 0, 1)
    profile = blade ** rng.uniform(0.5, 1.5) * (1 - blade) ** rng.uniform(0.6, 1.2)
    width = rng.uniform(0.15, 0.5) * profile / profile.max()
    width = np.maximum(width, np.where(stalk > _HALF, 0.03, 0.0))
    return [strip(wander(rng, np.zeros(2), 0.0, 2.0, 0.4), width)]


def star(rng: np.random.Generator) -> list[np.ndarray]:
    """Flowers, starfish, hands, gears: a radius that goes in and out."""
    count = int(rng.integers(3, 10))
    wave = np.cos(count * TURN + rng.uniform(0, 2 * np.pi))
    sharp = rng.choice([0.5, 1.0, 3.0])
    swing = np.sign(wave) * np.abs(wave) ** sharp
    return [polar(1 + rng.uniform(0.2, 0.6) * swing + 0.08 * rough(rng, 1.5))]


def stroke(rng: np.random.Generator) -> list[np.ndarray]:
    """A thin strip, even, tapering or bulging: a pole, a road, a snake."""
    spine = wander(rng, np.zeros(2), 0.0, 2.0, rng.choice([0.0, 0.5, 1.5]))
    taper = rng.choice([0.0, 0.0, 0.7, 0.9])
    width = rng.uniform(0.03, 0.16) * (1 - taper * _HALF)
    width = width * (1 + rng.uniform(0, 0.6) * np.sin(np.pi * _HALF))
    return [strip(spine, width)]


def tree(rng: np.random.Generator) -> list[np.ndarray]:
    """A stem with branches and their branches."""
    stem = wander(rng, np.zeros(2), -np.pi / 2, 2.0, 0.4)
    width = rng.uniform(0.05, 0.1)
    parts = [strip(stem, width * (1.2 - 0.9 * _HALF))]
    limbs = [(stem, width, 2.0)]
    for _ in range(int(rng.integers(3, 8))):
        spine, thick, length = limbs[int(rng.integers(min(len(limbs), 3)))]
        at = int(rng.integers(len(spine) // 4, len(spine) - 2))
        heading = np.arctan2(*(spine[at + 1] - spine[at])[::-1])
        heading += rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        branch = wander(rng, spine[at], heading, length * rng.uniform(0.3, 0.6), 0.5)
        parts.append(strip(branch, thick * (0.75 - 0.6 * _HALF)))
        limbs.append((branch, thick * 0.7, length * 0.5))
    return parts


def creature(rng: np.random.Generator) -> list[np.ndarray]:
    """A body with a head, limbs and perhaps a tail: all of them are one thing."""
    stands = rng.random() < 0.35
    body = (0.45, 0.9) if stands else (1.0, rng.uniform(0.35, 0.6))
    parts = [polar(1 + 0.05 * rough(rng, 1.5)) * body]
    head = rng.uniform(0.22, 0.4)
    at = np.array([rng.uniform(-0.1, 0.1), -1.1]) if stands else np.array([1.1, -0.55])
    parts.append(polar(1 + 0.06 * rough(rng, 1.5)) * head * rng.uniform(0.8, 1.3, 2) + at)
    parts.append(strip(_line((0.0, 0.0), tuple(at)), np.full(len(_HALF), head * 0.55)))
    count = 2 if stands else int(rng.integers(2, 5))
    for x in np.linspace(-0.75, 0.75, count) * body[0]:
        foot = (x + rng.uniform(-0.25, 0.25), body[1] + rng.uniform(0.4, 1.0))
        width = rng.uniform(0.08, 0.18)
        parts.append(strip(_line((x, body[1] * 0.3), foot), width * (1.2 - 0.5 * _HALF)))
    if rng.random() < 0.6:
        start = np.array([-0.8 * body[0], -0.2])
        tail = wander(rng, start, np.pi + rng.uniform(-0.8, 0.8), rng.uniform(0.4, 1.0), 0.8)
        parts.append(strip(tail, 0.1 * (1.1 - 0.8 * _HALF)))
    return parts


def ring(rng: np.random.Generator) -> list[np.ndarray]:
    """A ring, a frame or a plate with two holes."""
    kind = int(rng.integers(3))
    inner = rng.uniform(0.5, 0.8)
    if kind == 0:
        circle = polar(1 + 0.04 * rough(rng, 1.5))[::3]
        return [keyhole(circle, [circle[::-1] * inner + rng.normal(0, 0.04, 2)])]
    frame = edges(box(rng)[0][:: NUM_VERTICES // 4], 20)
    if kind == 1:
        return [keyhole(frame, [frame[::-1] * inner])]
    round_hole = polar(np.ones(NUM_VERTICES))[::5] * rng.uniform(0.22, 0.32)
    return [keyhole(frame, [round_hole + (-0.42 * inner, 0.0), round_hole + (0.42 * inner, 0.0)])]


def _line(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    return np.array(start) + _HALF[:, None] * (np.array(end) - np.array(start))
