"""Colours of all samples at once: each looks its region up and samples that region's tiles."""

import functools

import numpy as np

from bitdiff_jax.scenes.natural import tiles
from bitdiff_jax.scenes.natural.materials import Materials

_NEAREST = np.float32(0.12)  # distance of the nearest ground, for perspective


@functools.lru_cache(maxsize=8)
def positions(side: int) -> np.ndarray:
    """Coordinates float32 [2, side * side], (x, y) in (0, 1), row by row; not to be changed."""
    line = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    grid = np.stack([np.tile(line, side), np.repeat(line, side)])
    grid.flags.writeable = False
    return grid


def paint(
    materials: Materials, regions: np.ndarray, decals: np.ndarray, side: int, horizon: float
) -> np.ndarray:
    """Colours float32 [3, side * side] in sRGB, not clipped.

    Args:
        materials: of K regions.
        regions: int [side * side], 0 .. K - 1.
        decals: the same shape; samples where it equals `regions` are drawn on.
        side: samples along the picture's side.
        horizon: y towards which receding textures shrink; nan if there is none.
    """
    x, y = positions(side)
    colours = np.take(materials.base.T, regions, axis=1)
    if materials.receding.any():
        depth = np.float32(0.5) / (np.maximum(y - np.float32(horizon), 0) + _NEAREST)
        recedes = np.take(materials.receding, regions)
        x = np.where(recedes, (x - np.float32(0.5)) * depth, x)
        y = np.where(recedes, -depth, y)
    for layer in range(len(materials.tile)):
        mix = sample(
            materials.tile[layer],
            materials.matrix[layer],
            materials.shift[layer],
            regions,
            np.stack([x, y]),
            side,
        )
        colours += mix * np.take(materials.swing[layer].T, regions, axis=1)
    drawn = np.flatnonzero((decals == regions) & (regions > 0))
    colours[:, drawn] += np.take(materials.decal.T, regions[drawn], axis=1)
    return colours


def sample(
    tile: np.ndarray,
    matrix: np.ndarray,
    shift: np.ndarray,
    regions: np.ndarray,
    at: np.ndarray,
    side: int,
) -> np.ndarray:
    """Values of the tiles of K regions at points [2, P]: float32 [P], of unit variance.

    The copy of a tile is used of which one texel is about one sample.
    """
    texels = np.sqrt(np.abs(np.linalg.det(matrix))) * tiles.SIDE / side
    copy = np.clip(np.rint(np.log2(np.maximum(texels, 1e-6))), 0, tiles.COPIES - 1).astype(int)
    width = tiles.SIDE >> copy
    # Whole periods are added so that all coordinates are positive and truncation rounds down.
    scaled = np.concatenate([matrix, shift[:, :, None] + 64], axis=2) * width[:, None, None]
    table = scaled.reshape(len(tile), 6).T.astype(np.float32)
    a, b, s, c, d, t = np.take(table, regions, axis=1)
    starts = np.stack([tile * tiles.STRIDE + tiles.STARTS[copy], width]).astype(np.int32)
    start, wide = np.take(starts, regions, axis=1)
    column = (a * at[0] + b * at[1] + s).astype(np.int32) & (wide - 1)
    row = (c * at[0] + d * at[1] + t).astype(np.int32) & (wide - 1)
    return np.take(tiles.pool().texels, start + row * wide + column) * np.float32(1 / tiles.UNIT)
