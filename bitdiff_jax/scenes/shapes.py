"""Outlines and their layout: star-shaped regions given by a table of radii over the angle.

An ellipse, a polygon and a blob are all `radius(angle)` around a centre, so one rasteriser serves
them all, and the quantities that light needs (how far out, in which direction) come with it.
Lengths are in units of the picture's side: the same scene is drawn at any size.
"""

from typing import NamedTuple

import numpy as np

NUM_ANGLES = 512
_ANGLES = np.arange(NUM_ANGLES, dtype=np.float32) * np.float32(2 * np.pi / NUM_ANGLES)
_NUM_CANDIDATES = 16  # for the place of each shape


class ShapeLayout(NamedTuple):
    """K shapes from back to front, and the P pixels of the picture seen from each of them."""

    angle: np.ndarray  # [K, P] direction of the pixel from the centre, radians
    reach: np.ndarray  # [K, P] distance from the centre over the radius there: 1 = outline
    depth: np.ndarray  # [K, P] signed distance to the outline (first order), positive inside

    def without(self, k: int) -> "ShapeLayout":
        """The layout after shape k was taken away."""
        return ShapeLayout(*(np.delete(part, k, axis=0) for part in self))


def pixel_centres(size: int) -> np.ndarray:
    """Coordinates float32 [2, size * size], (x, y) in (0, 1), row by row."""
    line = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    return np.stack([np.tile(line, size), np.repeat(line, size)])


def _ellipse(rng: np.random.Generator) -> np.ndarray:
    """An ellipse with the area of the unit circle and axes up to 1 : 2."""
    stretch = np.sqrt(rng.uniform(1.0, 2.0))
    turned = _ANGLES - rng.uniform(0, np.pi)
    return 1 / np.hypot(np.cos(turned) / stretch, np.sin(turned) * stretch)


def _polygon(rng: np.random.Generator) -> np.ndarray:
    """A rectangle or a regular polygon of 3, 5 or 6 sides: the nearest edge in each direction."""
    sides = int(rng.choice([3, 4, 4, 4, 5, 6]))
    normals = rng.uniform(0, 2 * np.pi) + np.arange(sides) * (2 * np.pi / sides)
    offsets = np.sqrt(np.pi / (sides * np.tan(np.pi / sides))) * np.ones(sides)
    if sides == 4:
        stretch = np.sqrt(rng.uniform(1.0, 2.0))
        offsets *= np.array([stretch, 1 / stretch, stretch, 1 / stretch])
    facing = np.cos(_ANGLES[None] - normals[:, None])
    return np.min(offsets[:, None] / np.maximum(facing, 1e-3), axis=0)


def _blob(rng: np.random.Generator) -> np.ndarray:
    """A circle with three low harmonics."""
    harmonics = np.array([[2.0], [3.0], [4.0]])
    sizes = rng.uniform(0.3, 1.0, (3, 1)) * np.array([[0.22], [0.16], [0.1]])
    phases = rng.uniform(0, 2 * np.pi, (3, 1))
    return 1 + np.sum(sizes * np.cos(harmonics * _ANGLES + phases), axis=0)


_OUTLINES = (_ellipse, _polygon, _blob)


def _spread(rng: np.random.Generator, radii: np.ndarray) -> np.ndarray:
    """Centres [K, 2], each the candidate farthest from those before it, for its size."""
    candidates = rng.uniform(0.08, 0.92, (len(radii), _NUM_CANDIDATES, 2))
    centres = candidates[:, 0].copy()
    for k in range(1, len(radii)):
        gap = np.linalg.norm(candidates[k][:, None] - centres[:k], axis=-1)
        centres[k] = candidates[k, np.argmax(np.min(gap / (radii[k] + radii[:k]), axis=1))]
    return centres


def draw(rng: np.random.Generator, count: int, pixels: np.ndarray) -> ShapeLayout:
    """Lays out `count` shapes over `pixels` [2, P]; they cover about half and overlap in places."""
    radii = np.sqrt(0.64 / (np.pi * count)) * rng.uniform(0.82, 1.22, count)
    tables = np.stack([_OUTLINES[rng.integers(len(_OUTLINES))](rng) for _ in range(count)])
    tables = (tables * radii[:, None]).astype(np.float32)
    # depth = (radius - distance) * cos(angle between the outline's normal and the ray)
    slope = (np.roll(tables, -1, 1) - np.roll(tables, 1, 1)) * np.float32(NUM_ANGLES / (4 * np.pi))
    facing = tables / np.hypot(tables, slope)
    centres = _spread(rng, radii).astype(np.float32)

    dx, dy = pixels[:, None] - centres.T[:, :, None]
    angle = np.arctan2(dy, dx)
    distance = np.hypot(dx, dy)
    turns = angle * np.float32(1 / (2 * np.pi)) + 1
    bins = (turns * NUM_ANGLES + np.float32(0.5)).astype(int) % NUM_ANGLES
    bins += NUM_ANGLES * np.arange(count)[:, None]
    radius = tables.ravel()[bins]
    depth = (radius - distance) * facing.ravel()[bins]
    return ShapeLayout(angle, distance / radius, depth)


def visible(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paints depths [K, P] back to front.

    Returns:
        Labels int32 [P], 0 = ground and k + 1 = shape k; and the share [K + 1] that shows of each.
    """
    order = np.arange(1, len(depth) + 1, dtype=np.int32)[:, None]
    labels = np.max(np.where(depth > 0, order, np.int32(0)), axis=0, initial=0)
    return labels, np.bincount(labels, minlength=len(depth) + 1) / labels.size
