"""Polygons to label maps, by Pillow's rasteriser on a finer grid."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from bitdiff_jax.scenes.natural.curves import NUM_VERTICES

OVERSAMPLING = 2  # samples along a pixel's side, for labels and colours
_FINE = 256  # least cells along the side of the grid on which polygons are filled
_MEETING = 32  # side of the map on which neighbours are looked up


class Stack(NamedTuple):
    """Polygons from back to front over region 0, in units of the picture's side."""

    polygons: np.ndarray  # float32 [D, V, 2]
    region: np.ndarray  # int [D], 1 .. 254

    def keep(self, kept: np.ndarray) -> "Stack":
        """The polygons of the regions k with kept[k]."""
        chosen = kept[self.region]
        return Stack(self.polygons[chosen], self.region[chosen])


def _corners(stack: Stack, side: int) -> list[list[float]]:
    """x, y, x, y, .. of each polygon, in cells of a grid of that side."""
    return (stack.polygons * side).reshape(len(stack.polygons), 2 * NUM_VERTICES).tolist()


def paint(stack: Stack, side: int) -> np.ndarray:
    """Region of each of side x side samples: uint8 [side, side]."""
    factor = max(2, round(_FINE / side))
    image = Image.new("L", (side * factor, side * factor))
    draw = ImageDraw.Draw(image)
    flat = _corners(stack, side * factor)
    for corners, region in zip(flat, stack.region.tolist(), strict=True):
        draw.polygon(corners, fill=region)
    return np.asarray(image)[factor // 2 :: factor, factor // 2 :: factor].copy()


def beneath(stack: Stack, points: np.ndarray) -> np.ndarray:
    """Region int [D] seen at points [D, 2] just before the polygon of that number is painted."""
    image = Image.new("L", (_MEETING, _MEETING))
    draw = ImageDraw.Draw(image)
    flat = _corners(stack, _MEETING)
    at = np.clip((points * _MEETING).astype(int), 0, _MEETING - 1).tolist()
    seen = []
    for corners, region, (x, y) in zip(flat, stack.region.tolist(), at, strict=True):
        seen.append(image.getpixel((x, y)))
        draw.polygon(corners, fill=region)
    return np.array(seen, int)


def close_gaps(samples: np.ndarray) -> np.ndarray:
    """Gives samples of region 0 to the region to their left, or at the left edge to their right."""
    side = samples.shape[1]
    column = np.arange(side)
    left = np.maximum.accumulate(np.where(samples > 0, column, -1), axis=1)
    right = np.minimum.accumulate(np.where(samples > 0, column, side)[:, ::-1], axis=1)[:, ::-1]
    source = np.where(left >= 0, left, np.minimum(right, side - 1))
    return np.take_along_axis(samples, source, axis=1)


def majority(samples: np.ndarray) -> np.ndarray:
    """The most frequent of each 2 x 2 samples, the frontmost of equals: [2n, 2n] -> [n, n]."""
    corners = ((0, 0), (0, 1), (1, 0), (1, 1))
    a, b, c, d = (np.ascontiguousarray(samples[row::2, column::2]) for row, column in corners)
    pairs = np.maximum(np.where(a == b, a, 0), np.where(c == d, c, 0))
    pairs = np.maximum(pairs, np.maximum(np.where(a == c, a, 0), np.where(b == d, b, 0)))
    pairs = np.maximum(pairs, np.maximum(np.where(a == d, a, 0), np.where(b == c, b, 0)))
    distinct = (a != b) & (a != c) & (a != d) & (b != c) & (b != d) & (c != d)
    first = np.maximum(np.maximum(a, b), np.maximum(c, d))
    return np.where(distinct, first, pairs)
