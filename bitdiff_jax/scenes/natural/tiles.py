"""A pool of periodic texture tiles of mean 0 and standard deviation 1, with smaller copies.

Each family is drawn several times on a torus; a region shows a tile moved, turned and scaled, so
no two look alike. Tiles are kept as int8 with copies at half, a quarter and an eighth of the side:
sampled at the copy that fits, fine patterns fade as in a camera instead of aliasing.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SIDE = 256
COPIES = 4  # sides 256, 128, 64, 32
UNIT = 36.0  # of int8 in one standard deviation
_POOL_SEED = 20_012
_LINE = np.arange(SIDE) / SIDE
_SHIFTS = [(dx, dy) for dx in (-SIDE, 0, SIDE) for dy in (-SIDE, 0, SIDE)]
_V, _U = np.meshgrid(_LINE, _LINE, indexing="ij")

# A tile float [SIDE, SIDE], and how many features it has along its side.
Tile = tuple[np.ndarray, float]


class Pool(NamedTuple):
    """N tiles; copy c of tile n starts at n * STRIDE + STARTS[c] and has side SIDE >> c."""

    texels: np.ndarray  # int8 [N * STRIDE]
    features: np.ndarray  # float [N] features along a tile's side
    families: dict[str, tuple[int, int]]  # first tile and number of tiles


_AREAS = [(SIDE >> copy) ** 2 for copy in range(COPIES)]
STARTS = np.cumsum([0] + _AREAS[:-1])
STRIDE = sum(_AREAS)


@functools.cache
def pool() -> Pool:
    """The constant pool: the same in every process."""
    rng = np.random.default_rng(_POOL_SEED)
    texels: list[np.ndarray] = []
    features: list[float] = []
    families: dict[str, tuple[int, int]] = {}
    for name, (make, count) in FAMILIES.items():
        families[name] = (len(texels), count)
        for k in range(count):
            tile, along = make(rng, k / max(count - 1, 1))
            texels.append(_pyramid((tile - tile.mean()) / tile.std()))
            features.append(along)
    return Pool(np.concatenate(texels), np.array(features), families)


def _pyramid(tile: np.ndarray) -> np.ndarray:
    """A tile and its smaller copies as int8 [STRIDE]."""
    copies = []
    for _ in range(COPIES):
        copies.append(np.clip(np.rint(tile * UNIT), -127, 127).astype(np.int8).ravel())
        tile = (tile[::2, ::2] + tile[1::2, ::2] + tile[::2, 1::2] + tile[1::2, 1::2]) / 4
    return np.concatenate(copies)


def _filtered(rng: np.random.Generator, gain: Callable[..., np.ndarray]) -> np.ndarray:
    """White noise, each of its frequencies (x, y, in waves per side) times `gain`."""
    fx, fy = np.arange(SIDE // 2 + 1)[None], (np.fft.fftfreq(SIDE) * SIDE)[:, None]
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * gain(fx, fy)
    spectrum[0, 0] = 0
    return np.fft.irfft2(spectrum, (SIDE, SIDE))


def _noise(rng: np.random.Generator, share: float) -> Tile:
    """1/f^a noise, a from 0.7 to 2.2."""
    slope = 0.7 + 1.5 * share
    return _filtered(rng, lambda x, y: np.maximum(np.hypot(x, y), 1.5) ** -slope), 6.0


def _grain(rng: np.random.Generator, share: float) -> Tile:
    """1/f^a noise drawn out along one axis: wood, grass, fur, brushed metal."""
    ratio, slope = rng.uniform(3, 10), rng.uniform(0.9, 1.6)
    return _filtered(rng, lambda x, y: np.maximum(np.hypot(x, ratio * y), 2.0) ** -slope), 12.0


def _patches(rng: np.random.Generator, share: float) -> Tile:
    """Two tones with winding borders: hides, camouflage, lichen; elongated: zebras."""
    waves, ratio = rng.uniform(6, 10), rng.choice([1.0, 1.0, 2.5])

    def band(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-(((np.hypot(x, ratio * y) - waves) / (0.35 * waves)) ** 2))

    field = _filtered(rng, band)
    threshold = rng.choice([0.0, 0.0, 0.8, -0.8])
    return np.tanh(6 * (field / field.std() - threshold)), waves


def _stripes(rng: np.random.Generator, share: float) -> Tile:
    """Even or uneven stripes, soft or sharp, at times in groups."""
    waves = int(rng.integers(6, 11))
    wave = np.sin(2 * np.pi * waves * _U + rng.uniform(0, 0.8) * np.sin(2 * np.pi * _V))
    wave = wave + rng.choice([0.0, 0.6]) * np.sin(2 * np.pi * (waves // 2) * _U)
    return np.tanh(rng.choice([0.5, 4.0]) * (wave - rng.uniform(-0.7, 0.7))), waves


def _waves(rng: np.random.Generator, share: float) -> Tile:
    """Zigzags, ripples and roof tiles."""
    waves, turns = int(rng.integers(6, 10)), int(rng.integers(2, 7))
    bend = np.sin(2 * np.pi * turns * _U)
    bend = bend if rng.random() < 0.5 else np.abs(bend) * 2
    phase = waves * _V + rng.uniform(0.2, 0.6) * bend
    return np.tanh(rng.choice([0.7, 4.0]) * np.sin(2 * np.pi * phase)), waves


def _checks(rng: np.random.Generator, share: float) -> Tile:
    """Chessboards and plaids."""
    waves = int(rng.integers(4, 7))
    x, y = np.sin(2 * np.pi * waves * _U), np.sin(2 * np.pi * waves * _V)
    if rng.random() < 0.5:
        return np.tanh(5 * x * y), 2.0 * waves
    return np.tanh(4 * (x - 0.3)) + np.tanh(4 * (y - 0.3)), 1.5 * waves


def _dots(rng: np.random.Generator, share: float) -> Tile:
    """Dots or holes on a square or a staggered lattice."""
    count, stagger = 2 * int(rng.integers(3, 5)), rng.choice([0.0, 0.5])
    row = np.floor(count * _V)
    x = (count * _U + stagger * (row % 2)) % 1 - 0.5
    y = (count * _V) % 1 - 0.5
    dot = np.tanh(10 * (rng.uniform(0.22, 0.4) - np.hypot(x, y)))
    return dot * rng.choice([-1.0, 1.0]), count


def _bricks(rng: np.random.Generator, share: float) -> Tile:
    """Bricks, paving and shingles: joints, and stones that differ a little."""
    rows = 2 * int(rng.integers(3, 6))
    columns = int(rng.integers(2, rows // 2 + 1)) if share < 0.6 else rows
    row = np.floor(rows * _V)
    at = (columns * _U + 0.5 * (row % 2)) % columns
    tone = rng.normal(size=(rows, columns))[row.astype(int), np.floor(at).astype(int)]
    gap_x = (0.5 - np.abs(at % 1 - 0.5)) / columns
    gap_y = (0.5 - np.abs(rows * _V % 1 - 0.5)) / rows
    joint = np.minimum(gap_x, gap_y) < rng.uniform(0.06, 0.12) / rows
    return np.where(joint, -2.5 * rng.choice([-1, 1]), rng.uniform(0.2, 0.9) * tone), rows


def _lattice(rng: np.random.Generator, share: float) -> Tile:
    """Fences, nets and window grids: thin bars in two directions or one."""
    waves = int(rng.integers(5, 9))
    u, v = (_U, _V) if share < 0.5 else (_U + _V, _U - _V)
    bars = np.maximum(np.cos(2 * np.pi * waves * u), np.cos(2 * np.pi * waves * v))
    bars = bars if rng.random() < 0.7 else np.cos(2 * np.pi * waves * u)
    return np.tanh(8 * (bars - rng.uniform(0.5, 0.8))), waves


def _nearest(rng: np.random.Generator, cells: int) -> tuple[np.ndarray, ...]:
    """Distances to the nearest and second nearest of cells^2 scattered points, and whose it is."""
    shaken = rng.uniform(0, 1, (cells, cells, 2))
    x, y = cells * _U, cells * _V
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    first, second = np.full_like(x, 9.0), np.full_like(x, 9.0)
    whose = np.zeros(x.shape, int)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            r, c = (row + dy) % cells, (column + dx) % cells
            point = shaken[r, c]
            far = np.hypot(column + dx + point[..., 0] - x, row + dy + point[..., 1] - y)
            whose = np.where(far < first, r * cells + c, whose)
            second = np.minimum(second, np.maximum(first, far))
            first = np.minimum(first, far)
    return first, second, whose


def _stones(rng: np.random.Generator, share: float) -> Tile:
    """Cells of their own tone with dark joints: pebbles, walls, scales, crowds."""
    cells = int(rng.integers(6, 12))
    first, second, whose = _nearest(rng, cells)
    tone = rng.normal(size=cells * cells)[whose]
    joint = second - first < rng.uniform(0.08, 0.2)
    return np.where(joint, -2.2, tone - rng.uniform(0, 1.2) * first), cells


def _cracks(rng: np.random.Generator, share: float) -> Tile:
    """A net of thin lines: dry earth, bark, membranes."""
    cells = int(rng.integers(5, 9))
    first, second, _ = _nearest(rng, cells)
    line = np.exp(-(((second - first) / rng.uniform(0.08, 0.2)) ** 2))
    return line * rng.choice([-1.0, 1.0]), cells


def _bumps(rng: np.random.Generator, share: float) -> Tile:
    """Rounded bumps lit from one side: foam, berries, leaf canopies."""
    first, _, _ = _nearest(rng, int(rng.integers(6, 11)))
    lit = (np.roll(first, -1, axis=(0, 1)) - np.roll(first, 1, axis=(0, 1))) * SIDE / 32
    return np.clip(lit, -1.5, 1.5) - rng.uniform(0.5, 1.5) * first, 8.0


def _litter(rng: np.random.Generator, share: float) -> Tile:
    """Overlapping flakes of all sizes: leaf litter, gravel, heaps."""
    image = Image.new("L", (SIDE, SIDE), 128)
    draw = ImageDraw.Draw(image)
    turn = np.arange(12) * (2 * np.pi / 12)
    for _ in range(350):
        angle, radius = rng.uniform(0, np.pi), SIDE * 0.012 / rng.uniform(0.12, 1)
        long = radius * np.sqrt(rng.uniform(1, 4))
        x, y = long * np.cos(turn), radius**2 / long * np.sin(turn)
        cos, sin = np.cos(angle), np.sin(angle)
        flake = np.stack([cos * x - sin * y, sin * x + cos * y], axis=1) + SIDE * rng.random(2)
        tone = int(rng.integers(20, 236))
        for shift in _SHIFTS:
            draw.polygon((flake + shift).ravel().tolist(), fill=tone)
    return np.asarray(image, float), 12.0


def _strokes(rng: np.random.Generator, share: float) -> Tile:
    """Many short lines of one direction: grass, straw, hair, rain."""
    image = Image.new("L", (SIDE, SIDE), 100)
    draw = ImageDraw.Draw(image)
    spread, width = rng.uniform(0.1, 0.5), int(rng.integers(2, 6))
    for _ in range(450):
        start, angle = SIDE * rng.random(2), rng.normal(0, spread)
        end = start + SIDE * rng.uniform(0.08, 0.2) * np.array([np.cos(angle), np.sin(angle)])
        tone = int(rng.integers(20, 236))
        for shift in _SHIFTS:
            draw.line([*(start + shift), *(end + shift)], fill=tone, width=width)
    return np.asarray(image, float), 10.0


FAMILIES: dict[str, tuple[Callable[[np.random.Generator, float], Tile], int]] = {
    "noise": (_noise, 10),
    "grain": (_grain, 6),
    "patches": (_patches, 8),
    "stripes": (_stripes, 6),
    "waves": (_waves, 4),
    "checks": (_checks, 4),
    "dots": (_dots, 4),
    "bricks": (_bricks, 6),
    "lattice": (_lattice, 4),
    "stones": (_stones, 5),
    "cracks": (_cracks, 4),
    "bumps": (_bumps, 4),
    "litter": (_litter, 4),
    "strokes": (_strokes, 4),
}
