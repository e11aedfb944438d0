"""One scene from a generator of random numbers: layout, materials, light, camera."""

import numpy as np

from bitdiff_jax.scenes.natural import (
    camera,
    composition,
    lighting,
    materials,
    raster,
    surface_textures,
)
from bitdiff_jax.scenes.natural.difficulty_levels import Difficulty

_MIN_PIXELS = 5


def draw(
    rng: np.random.Generator, difficulty: Difficulty, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene.

    Everything but the noise is drawn before anything depends on `size`; a scene of which only one
    region shows is drawn anew.

    Returns:
        Image uint8 [size, size, 3] and labels int32 [size, size], 0 .. n - 1 from back to front,
        2 <= n <= `difficulty.max_regions`.
    """
    while True:
        plan = composition.draw(rng, difficulty)
        stuffs = materials.draw(rng, plan, difficulty)
        light = lighting.draw(rng, plan, difficulty)
        lens = camera.draw(rng, difficulty)
        samples, labels = _visible(plan, difficulty, size)
        if labels.min() < labels.max():
            break
    side = len(samples)
    regions = samples.ravel().astype(np.intp)
    decals = raster.paint(plan.decals, side).ravel()
    colours = surface_textures.paint(stuffs, regions, decals, side, plan.horizon)
    lighting.shine(light, colours, regions, side)
    grid = colours.reshape(3, side, side)
    rows = grid[:, ::2] + grid[:, 1::2]
    image = np.moveaxis((rows[..., ::2] + rows[..., 1::2]) / 4, 0, -1)
    ids = np.cumsum(np.bincount(labels.ravel(), minlength=256) > 0, dtype=np.int32) - 1
    return camera.take(rng, lens, np.ascontiguousarray(image)), ids[labels]


def _visible(
    plan: composition.Layout, difficulty: Difficulty, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Regions of the samples uint8 [2 size, 2 size] and of the pixels [size, size].

    Regions of which too little shows are taken away before anything is painted, so their pixels
    belong to what lies below; then the smallest ones, if there are too many.
    """
    smallest = max(_MIN_PIXELS, difficulty.min_area * size**2)
    kept = np.ones(256, bool)
    while True:
        samples = raster.paint(plan.stack.keep(kept), size * raster.OVERSAMPLING)
        labels, area = _pixels(samples)
        if area[0] < smallest:
            # Nothing lies below region 0: its remains go to their neighbours.
            samples = raster.close_gaps(samples)
            labels, area = _pixels(samples)
        present = np.bincount(samples.ravel(), minlength=256) > 0
        order = 1 + np.argsort(np.where(present[1:], area[1:], size**2), kind="stable")
        tiny = int((present[1:] & (area[1:] < smallest)).sum())
        surplus = int(present.sum()) - difficulty.max_regions
        if tiny == 0 and surplus <= 0:
            return samples, labels
        # What they hid may now be large enough to matter, so the surplus is counted afterwards.
        kept[order[: tiny or surplus]] = False


def _pixels(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the pixels, and the number of pixels [256] of each region."""
    labels = raster.majority(samples)
    return labels, np.bincount(labels.ravel(), minlength=256)
