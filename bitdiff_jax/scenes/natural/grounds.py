"""What lies behind the things: one stuff, layers of it, a landscape, or a mosaic of cells."""

import functools
from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.natural import curves

_POOL_SEED = 20_011
_PROFILES, _PROFILE_LENGTH = 48, 256
_TESSELLATIONS = 40  # of each kind
_MOST_CELLS = 24
_OVERLAP = 0.003
_SQUARE = np.array([[-0.1, -0.1], [1.1, -0.1], [1.1, 1.1], [-0.1, 1.1]])


class Ground(NamedTuple):
    """Layers 1 .. n over layer 0, which is everywhere; from back to front."""

    polygons: np.ndarray  # float32 [n, V, 2]
    horizon: float  # y of the landscape's first border; nan if it is none


class Pool(NamedTuple):
    """Profiles of borders, and unit squares cut into cells."""

    profiles: np.ndarray  # float32 [_PROFILES, _PROFILE_LENGTH], periodic, standard deviation 1
    tessellations: dict[str, list[np.ndarray]]  # by kind, each [cells, V, 2], fewest cells first


@functools.cache
def pool() -> Pool:
    """The constant pool: the same in every process."""
    rng = np.random.default_rng(_POOL_SEED)
    profiles = [_profile(rng, k) for k in range(_PROFILES)]
    makers = {"rooms": _rooms, "fields": _fields, "cells": _cells}
    tessellations = {
        kind: [
            np.stack([_grown(curves.edges(cell)) for cell in make(rng, count)])
            for count in np.linspace(2, _MOST_CELLS, _TESSELLATIONS).round().astype(int)
        ]
        for kind, make in makers.items()
    }
    return Pool(np.stack(profiles).astype(np.float32), tessellations)


def _grown(cell: np.ndarray) -> np.ndarray:
    """A cell a little larger, so that roundings leave no gaps between neighbours."""
    outward = cell - cell.mean(axis=0)
    return cell + _OVERLAP * outward / np.linalg.norm(outward, axis=1, keepdims=True)


def _profile(rng: np.random.Generator, k: int) -> np.ndarray:
    """Hills for the first two thirds, then skylines of steps."""
    if k < _PROFILES * 2 // 3:
        return curves.rough(rng, rng.uniform(0.8, 2.0), _PROFILE_LENGTH)
    widths = rng.integers(4, 24, _PROFILE_LENGTH // 4)
    steps = np.repeat(rng.normal(size=len(widths)), widths)[:_PROFILE_LENGTH]
    return (steps - steps.mean()) / steps.std()


def _split(rng: np.random.Generator, count: int, square_to: float) -> list[np.ndarray]:
    """Cuts a square by lines into `count` convex cells, mostly the largest one first.

    Args:
        rng: source of randomness.
        count: number of cells.
        square_to: 1 = cuts are upright or level, 0 = in any direction.
    """
    cells = [_SQUARE]
    while len(cells) < count:
        extent = [np.prod(np.ptp(cell, axis=0)) * rng.uniform(0.3, 1) for cell in cells]
        cell = cells.pop(int(np.argmax(extent)))
        angle = rng.uniform(0, np.pi)
        if rng.random() < square_to:
            angle = np.pi / 2 * int(np.argmax(np.ptp(cell, axis=0) * rng.uniform(0.6, 1, 2)))
        normal = np.array([np.cos(angle), np.sin(angle)])
        low, high = np.quantile(cell @ normal, [0, 1])
        offset = low + (high - low) * rng.uniform(0.25, 0.75)
        cells += [
            curves.convex_piece(cell, normal, offset),
            curves.convex_piece(cell, -normal, -offset),
        ]
    return cells


def _rooms(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    return _split(rng, count, 1.0)


def _fields(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    return _split(rng, count, 0.0)


def _cells(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Voronoi cells of points that keep a distance."""
    candidates = rng.uniform(-0.05, 1.05, (count, 12, 2))
    sites = candidates[:1, 0]
    for k in range(1, count):
        gap = np.linalg.norm(candidates[k][:, None] - sites, axis=-1).min(axis=1)
        sites = np.concatenate([sites, candidates[k, [np.argmax(gap)]]])
    cells = []
    for k, site in enumerate(sites):
        cell = _SQUARE
        for other in np.delete(sites, k, axis=0):
            cell = curves.convex_piece(cell, other - site, (other @ other - site @ site) / 2)
        cells.append(cell)
    return cells


def plain() -> Ground:
    """One stuff."""
    return Ground(np.zeros((0, curves.NUM_VERTICES, 2), np.float32), np.nan)


def layers(rng: np.random.Generator, count: int, landscape: bool) -> Ground:
    """Bands with uneven borders.

    Args:
        rng: source of randomness.
        count: number of borders.
        landscape: borders are about level, and the bands become wider towards the front; else they
            run in any one direction.
    """
    profiles = pool().profiles
    at = np.sort(rng.uniform(0.12, 0.88, count))
    if landscape:
        at = at[0] + (at - at[0]) * rng.uniform(0.4, 1.0)
    along = np.linspace(-0.9, 0.9, curves.NUM_VERTICES - 2)
    row = rng.integers(0, len(profiles), count)
    # A profile is stretched so that 0.4 .. 1.3 of it spans the picture.
    step = rng.uniform(0.4, 1.3, count) * _PROFILE_LENGTH / 1.8 * (along[1] - along[0])
    place = rng.integers(0, _PROFILE_LENGTH, count)[:, None] + np.outer(step, np.arange(len(along)))
    height = 0.1 * rng.random(count) ** 1.5
    uneven = height[:, None] * profiles[row[:, None], place.astype(int) % _PROFILE_LENGTH]
    slope = rng.normal(0, 0.06, count)
    border = np.stack(
        [
            np.broadcast_to(along, uneven.shape),
            (at - 0.5)[:, None] + slope[:, None] * along + uneven,
        ],
        axis=-1,
    )
    ends = np.broadcast_to(np.array([[0.9, 1.5], [-0.9, 1.5]]), (count, 2, 2))
    polygons = np.concatenate([border, ends], axis=1)
    angle = rng.normal(0, 0.04) if landscape else rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    polygons = polygons @ np.array([[cos, sin], [-sin, cos]]) + 0.5
    return Ground(polygons.astype(np.float32), float(at[0]) if landscape else np.nan)


def mosaic(rng: np.random.Generator, count: int) -> Ground:
    """About `count` cells that touch: rooms and facades, fields, or tissue with or without gaps."""
    kind = ("rooms", "fields", "cells", "cells")[int(rng.integers(4))]
    entries = pool().tessellations[kind]
    last = np.searchsorted([len(entry) for entry in entries], count, side="right")
    cells = entries[max(0, int(last) - 1 - int(rng.integers(0, 3)))] - 0.5
    cells = cells[rng.permutation(len(cells))]

    if kind == "cells" and rng.random() < 0.5:
        # Rounded and drawn apart: what lies between shows.
        for _ in range(int(rng.integers(1, 5))):
            cells = (np.roll(cells, 3, axis=1) + cells + np.roll(cells, -3, axis=1)) / 3
        middle = cells.mean(axis=1, keepdims=True)
        cells = middle + (cells - middle) * rng.uniform(0.8, 0.98, (len(cells), 1, 1))
    if kind != "rooms":
        # The same shift wherever two cells meet, so they still do.
        wave = rng.uniform(0.0, 0.02 if kind == "fields" else 0.05, 2)
        phase = rng.uniform(0, 2 * np.pi, 2)
        cells = cells + wave * np.sin(rng.uniform(6, 14, 2) * cells[..., ::-1] + phase)
    angle = rng.normal(0, 0.08) if kind == "rooms" else rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    zoom = rng.uniform(1.0, 1.4) * np.where(rng.random(2) < 0.5, 1, -1)
    cells = (cells * zoom) @ np.array([[cos, sin], [-sin, cos]]) + 0.5
    return Ground(cells.astype(np.float32), np.nan)
