"""Closed curves of a fixed number of vertices, float [NUM_VERTICES, 2], around the origin."""

import numpy as np

NUM_VERTICES = 64
TURN = np.arange(NUM_VERTICES) * (2 * np.pi / NUM_VERTICES)


def polar(radius: np.ndarray) -> np.ndarray:
    """The curve with `radius` [NUM_VERTICES] at the angles `TURN`."""
    return np.stack([radius * np.cos(TURN), radius * np.sin(TURN)], axis=1)


def rough(rng: np.random.Generator, slope: float, count: int = NUM_VERTICES) -> np.ndarray:
    """Periodic 1/f^slope noise [count] of mean 0 and standard deviation 1."""
    frequency = np.arange(1, count // 2)
    wave = np.zeros(count // 2 + 1, complex)
    wave[1:-1] = frequency**-slope * np.exp(2j * np.pi * rng.random(len(frequency)))
    noise = np.fft.irfft(wave, count)
    return noise / noise.std()


def edges(corners: np.ndarray, count: int = NUM_VERTICES) -> np.ndarray:
    """Puts `count` vertices on the edges of a polygon [n, 2]; each corner is one of them."""
    n = len(corners)
    share = np.diff(np.round(np.arange(n + 1) * count / n).astype(int))
    step = np.concatenate([np.arange(k) / k for k in share])[:, None]
    start = np.repeat(corners, share, axis=0)
    return start + step * (np.repeat(np.roll(corners, -1, axis=0), share, axis=0) - start)


def spline(knots: np.ndarray, count: int = NUM_VERTICES) -> np.ndarray:
    """The closed Catmull-Rom spline through `knots` [n, 2], at `count` parameters."""
    n = len(knots)
    at = np.arange(count) * n / count
    k = at.astype(int)
    s = (at - k)[:, None]
    a, b, c, d = (knots[(k + shift) % n] for shift in (-1, 0, 1, 2))
    return b + s / 2 * (c - a + s * (2 * a - 5 * b + 4 * c - d + s * (3 * (b - c) + d - a)))


def strip(spine: np.ndarray, half_width: np.ndarray) -> np.ndarray:
    """The outline of a stroke along `spine` [NUM_VERTICES / 2, 2] of varying half width."""
    along = np.gradient(spine, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= (half_width / np.maximum(np.linalg.norm(along, axis=1), 1e-9))[:, None]
    return np.concatenate([spine + across, (spine - across)[::-1]])


def wander(
    rng: np.random.Generator, start: np.ndarray, heading: float, length: float, bend: float
) -> np.ndarray:
    """A smooth spine [NUM_VERTICES / 2, 2] that turns by about `bend` radians on its way."""
    count = NUM_VERTICES // 2
    s = np.linspace(0, 1, count)
    turn = heading + bend * (rng.normal() * s + 0.5 * rng.normal() * np.sin(np.pi * s * 2))
    step = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (length / (count - 1))
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(step[:-1], axis=0)])


def keyhole(outer: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """One polygon of an outline and what is cut out of it, for even-odd filling.

    Args:
        outer: [n, 2], counter-clockwise or clockwise.
        holes: curves [m, 2] inside `outer`, each closed here; n + 2 + sum(m + 2) vertices at most
            `NUM_VERTICES`, and the last one is repeated to fill up.
    """
    path = [outer, outer[:1]]
    for hole in holes:
        path += [hole, hole[:1], outer[:1]]
    joined = np.concatenate(path)
    rest = NUM_VERTICES - len(joined)
    return np.concatenate([joined, np.repeat(joined[-1:], rest, axis=0)])


def convex_piece(corners: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The part of a convex polygon [n, 2] where normal . p <= offset; [0, 2] if there is none."""
    side = corners @ normal - offset
    following, after = np.roll(corners, -1, axis=0), np.roll(side, -1)
    crosses = (side <= 0) != (after <= 0)
    share = np.where(crosses, side / np.where(crosses, side - after, 1), 0)[:, None]
    points = np.stack([corners, corners + share * (following - corners)], axis=1)
    return points[np.stack([side <= 0, crosses], axis=1)]
