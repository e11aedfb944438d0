"""From a layout to colours: flat (level 0), or textured, lit and noisy (level 1)."""

import numpy as np

from bitdiff_jax.scenes import shapes, textures

_NUM_COLOURS = 5
_NUM_CANDIDATES = 12
_MIN_CONTRAST = 0.6  # between the two colours of a texture, euclidean in RGB in [0, 1]
_CALM_GROUND = 0.9  # share of scenes; in the others the ground's texture could be a shape's


def flat(
    rng: np.random.Generator, layout: shapes.ShapeLayout, labels: np.ndarray, size: int
) -> np.ndarray:
    """One colour a region, no two alike; float [P, 3] in [0, 1]."""
    code = rng.permutation(27)[: len(layout.depth) + 1]
    return np.stack([code % 3, code // 3 % 3, code // 9], axis=1)[labels] / 2


def lit(
    rng: np.random.Generator, layout: shapes.ShapeLayout, labels: np.ndarray, size: int
) -> np.ndarray:
    """Two-tone textures, one light, soft shadows, sensor noise; float32 [P, 3], not clipped."""
    x, y = shapes.pixel_centres(size)
    (family, colours), *materials = _materials(rng, len(layout.depth) + 1)
    light = np.float32(rng.uniform(0, 2 * np.pi))
    relief = np.float32(rng.uniform(0.3, 0.5))
    shadow = np.float32(rng.uniform(0.45, 0.7))
    shadow_width = np.float32(rng.uniform(0.05, 0.09))

    if rng.random() < _CALM_GROUND:
        family, period = textures.MOTTLE, rng.uniform(0.35, 0.6)
        colours = colours[0] + np.float32(rng.uniform(0.2, 0.5)) * (colours - colours[0])
    else:
        period = rng.uniform(0.08, 0.16)
    image = _blend(colours, textures.tone(family, x, y, period, size, rng))

    for k, (family, colours) in enumerate(materials):
        near = np.flatnonzero(layout.depth[k] > -shadow_width)
        depth = layout.depth[k, near]
        facing = np.cos(layout.angle[k, near] - light)
        # What lies below is darkened around the shape, most on the side away from the light.
        dark = np.clip(1 + depth / shadow_width, 0, 1)
        dark *= np.float32(0.6) - np.float32(0.4) * facing
        below = image[near] * (1 - shadow * dark)[:, None]
        # A dome: towards the outline it leans to the light or away, and sees less of the sky.
        lean = layout.reach[k, near] ** 3
        period = rng.uniform(0.08, 0.16)
        body = _blend(colours, textures.tone(family, x[near], y[near], period, size, rng))
        body *= (1 + lean * (relief * facing - np.float32(0.25)))[:, None]
        cover = np.clip(depth * size + np.float32(0.5), 0, 1)[:, None]
        image[near] = below + cover * (body - below)

    fall = np.float32(rng.uniform(0.15, 0.4))
    image *= (1 + fall * ((x - 0.5) * np.cos(light) + (y - 0.5) * np.sin(light)))[:, None]
    noise = np.float32(rng.uniform(0.01, 0.03))
    return image + noise * rng.standard_normal(image.shape, dtype=np.float32)


def _blend(colours: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """The first colour where `mix` [P] is 0, the second where it is 1; float32 [P, 3]."""
    return colours[0] + mix[:, None] * (colours[1] - colours[0])


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Colours [5, 3] of one scene, each the candidate farthest from those before it."""
    candidates = rng.uniform(0.08, 0.92, (_NUM_COLOURS, _NUM_CANDIDATES, 3))
    colours = candidates[:, 0].copy()
    for k in range(1, _NUM_COLOURS):
        gap = np.linalg.norm(candidates[k][:, None] - colours[:k], axis=-1).min(axis=1)
        colours[k] = candidates[k, np.argmax(gap)]
    return colours


def _materials(rng: np.random.Generator, count: int) -> list[tuple[int, np.ndarray]]:
    """(texture family, two colours float32 [2, 3]) of each region.

    Families repeat only when all are used, and no two regions share both family and colours as
    long as there are pairs left: what could not be told apart is not asked for.
    """
    palette = _palette(rng)
    pairs = np.stack(np.triu_indices(_NUM_COLOURS, 1), axis=1)
    contrast = np.linalg.norm(palette[pairs[:, 0]] - palette[pairs[:, 1]], axis=1)
    pairs = pairs[contrast >= min(_MIN_CONTRAST, contrast.max())]
    rounds = -(-count // len(textures.PATTERNS))
    families = [rng.permutation(len(textures.PATTERNS)) for _ in range(rounds)]
    taken: set[tuple[int, int]] = set()
    chosen: list[tuple[int, np.ndarray]] = []
    for family in np.concatenate(families)[:count].tolist():
        free = [p for p in range(len(pairs)) if (family, p) not in taken] or range(len(pairs))
        pair = int(rng.choice(free))
        taken.add((family, pair))
        first, second = rng.permutation(pairs[pair])
        colours = palette[[first, second]] + rng.normal(0, 0.03, (2, 3))
        chosen.append((family, colours.astype(np.float32)))
    return chosen
