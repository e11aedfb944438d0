"""Repeated objects: cells, leaves, windows, stones, a flock."""

import numpy as np

from bitdiff_jax.scenes.natural import outlines

_ROUND = ("ellipse", "blob", "ellipse", "spline")
_CANDIDATES = 8


def draw(
    rng: np.random.Generator, count: int, tricky: float
) -> tuple[outlines.Placement, np.ndarray]:
    """Things of one kind, at times of two, in an arrangement.

    Args:
        rng: source of randomness.
        count: number of things, at least 3.
        tricky: odds of thin and branching outlines, relative to the others.

    Returns:
        The things from back to front, and the kind [count] of each, 0 or 1.
    """
    arrange = (_scatter, _scatter, _grid, _rosette, _cluster)[int(rng.integers(5))]
    names: tuple[str, ...] | None = None
    if arrange is _rosette:
        names = ("lens", "lens", "ellipse", "strip")
    elif arrange is _grid:
        names = ("box", "box", "ellipse", "angular")
    elif rng.random() < 0.5:
        names = _ROUND
    things = outlines.pick(rng, count, tricky, names)

    which = np.zeros(count, int)
    if rng.random() < 0.3:
        which = (rng.random(count) < 0.4).astype(int)
    alike = rng.random() < 0.6
    # Those of one kind have the shape of the first of them, or shapes of its family.
    _, first, kind = np.unique(which, return_index=True, return_inverse=True)
    shape = things.shape[first][kind]
    among = rng.integers(0, outlines.VARIANTS, count)
    shape = shape if alike else shape // outlines.VARIANTS * outlines.VARIANTS + among
    lead = things.take(np.zeros(count, int))
    things = things._replace(
        shape=shape,
        stretch=lead.stretch * np.exp(rng.normal(0, 0.1, count)),
        bend=lead.bend + rng.normal(0, 0.03, count),
        rough=lead.rough,
        angle=lead.angle + rng.normal(0, 0.1, count) if rng.random() < 0.5 else things.angle,
    )
    covered = rng.uniform(0.2, 0.7)
    typical = np.sqrt(covered / (np.pi * count)) * rng.choice([1.0, 1.0, 0.7])
    radius = typical * np.exp(rng.normal(0, rng.uniform(0.03, 0.3), count))
    return arrange(rng, things._replace(radius=np.minimum(radius, 0.3))), which


def _scatter(rng: np.random.Generator, things: outlines.Placement) -> outlines.Placement:
    """Each at the one of a few places that is farthest from those before it."""
    count = len(things.radius)
    candidates = rng.uniform(0, 1, (count, _CANDIDATES, 2))
    centre = candidates[:, 0].copy()
    for k in range(1, count):
        gap = ((candidates[k][:, None] - centre[:k]) ** 2).sum(axis=-1).min(axis=1)
        centre[k] = candidates[k, np.argmax(gap)]
    return things._replace(centre=centre)


def _cluster(rng: np.random.Generator, things: outlines.Placement) -> outlines.Placement:
    """A heap around some place."""
    middle = rng.uniform(0.3, 0.7, 2)
    centre = middle + rng.normal(0, 1, (len(things.radius), 2)) * rng.uniform(0.1, 0.25, 2)
    return things._replace(centre=np.clip(centre, -0.02, 1.02))


def _grid(rng: np.random.Generator, things: outlines.Placement) -> outlines.Placement:
    """Rows and columns, slightly shaken, as of windows; they do not overlap much."""
    count = len(things.radius)
    columns = int(np.clip(round(np.sqrt(count) * np.exp(rng.normal(0, 0.5))), 1, count))
    rows = -(-count // columns)
    k = np.arange(count)
    x = (k % columns + 0.5) / columns - 0.5
    y = (k // columns + 0.5) / rows - 0.5
    angle = rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    shift = rng.uniform(0, 0.5) * (k // columns % 2) / columns * rng.integers(0, 2)
    shaken = rng.normal(0, rng.uniform(0, 0.1), (count, 2)) / [columns, rows]
    x, y = (x + shift + shaken[:, 0], y + shaken[:, 1])
    span = rng.uniform(0.7, 1.1, 2)
    x, y = x * span[0], y * span[1]
    cos, sin = np.cos(angle), np.sin(angle)
    centre = 0.5 + np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)
    pitch = min(span[0] / columns, span[1] / rows)
    radius = np.minimum(things.radius, pitch * rng.uniform(0.3, 0.52))
    return things._replace(centre=centre, radius=radius, angle=angle + rng.normal(0, 0.03, count))


def _rosette(rng: np.random.Generator, things: outlines.Placement) -> outlines.Placement:
    """Leaves around a stem, each pointing outwards; the inner ones lie on top."""
    count = len(things.radius)
    turn = np.arange(count) * rng.choice([2.4, 2 * np.pi / count])
    turn = turn + rng.normal(0, 0.15, count) + rng.uniform(0, 2 * np.pi)
    shrink = np.linspace(1.0, rng.uniform(0.4, 1.0), count)
    radius = things.radius * shrink * rng.uniform(1.0, 1.4)
    outward = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    middle = 0.5 + rng.normal(0, 0.08, 2)
    reach = radius * rng.uniform(0.9, 1.4)
    centre = middle + reach[:, None] * outward
    return things._replace(centre=centre, radius=radius, angle=turn, mirrored=np.ones(count))
