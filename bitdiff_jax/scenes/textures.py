"""Two-tone textures: fields that say where a region shows its first colour and where its second.

Every pattern maps coordinates in units of its period to a wave around 0; `tone` turns that into
a mix in [0, 1] whose edges are about one pixel wide. Inner edges are as strong as outlines, so a
method that looks at colour alone takes every stripe for a region.
"""

from collections.abc import Callable

import numpy as np

_TURN = np.float32(2 * np.pi)
Pattern = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def _wave(u: np.ndarray, cycles: float = 1.0) -> np.ndarray:
    return np.sin(np.float32(2 * np.pi * cycles) * u)


def _stripes(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _wave(u)


def _waves(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _wave(u + np.float32(0.35) * _wave(v, 0.3))


def _checks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 2 * _wave(u, 0.7) * _wave(v, 0.7)


def _dots(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _wave(u, 0.8) + _wave(v, 0.8) - np.float32(0.5)


def _lattice(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.maximum(_wave(u, 0.7), _wave(v, 0.7)) - np.float32(0.6)


def _bricks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # Rows are one unit of v high; every other one is shifted by half a brick.
    joint = np.cos(_TURN / 2 * (u + np.floor(v)))
    return np.float32(0.75) - np.maximum(joint, np.cos(_TURN * v))


def _mottle(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Plane waves of one length in all directions: a two-tone noise with a known grain."""
    headings = (np.arange(5) + rng.uniform(0, 1, 5)) * (np.pi / 5)
    phases = rng.uniform(0, 1, 5).astype(np.float32)
    total = np.zeros_like(u)
    for heading, phase in zip(headings, phases, strict=True):
        along = np.float32(np.cos(heading)) * u + np.float32(np.sin(heading)) * v
        total += _wave(np.float32(0.8) * along + phase)
    return np.float32(0.7) * total


PATTERNS: tuple[Pattern, ...] = (_stripes, _waves, _checks, _dots, _lattice, _bricks, _mottle)
MOTTLE = PATTERNS.index(_mottle)


def tone(
    family: int,
    x: np.ndarray,
    y: np.ndarray,
    period: float,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Mix float32 in [0, 1], 0 = first colour, at coordinates `x`, `y`.

    Args:
        family: index into `PATTERNS`.
        x: coordinates, in units of the picture's side.
        y: the same shape as `x`.
        period: length of one repetition, in units of the picture's side.
        size: pixels along the side; sets how sharp an edge may be.
        rng: source of the orientation and the phase.
    """
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(angle) / period), np.float32(np.sin(angle) / period)
    shift_u, shift_v = rng.uniform(0, 1, 2).astype(np.float32)
    wave = PATTERNS[family](cos * x + sin * y + shift_u, cos * y - sin * x + shift_v, rng)
    # A wave of slope 2 pi / period crosses zero; one pixel of ramp is gain = period / (2 pi).
    gain = np.float32(max(0.55, period * size / (2 * np.pi)))
    return np.clip(np.float32(0.5) + gain * wave, 0, 1)
