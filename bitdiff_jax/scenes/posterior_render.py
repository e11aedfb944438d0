"""Draws a planned picture: dark ground, grey pairs, coloured objects in parts, pieces, stones.

Each sort of thing is told by its looks, so that nothing but the choices is open: pairs are grey and
twice as long as wide, objects of the switch are saturated, from blue to red, and made of two or
three parts of clearly different brightness, clutter is small and grey, stones are purple and plain.
Lengths are in units of the picture's side. Edges are hard: every pixel shows its atom's colour.
"""

import colorsys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes import shapes, textures
from bitdiff_jax.scenes.posterior_cues import BLUE, MIN_POSITIONS, SCALES, Group
from bitdiff_jax.scenes.posterior_plan import NUM_DIRECTIONS, Part, Plan

_RADII = {1: 0.27, 2: 0.23, 3: 0.2, 4: 0.175}  # of the circle around an object, by their number
_HEAP_RADIUS, _SPACING, _PIECE_RADIUS = 0.2, 0.13, 0.05
_GAP = 0.035  # between the circles
_BAND = 1.5 / 32  # from one position of a border to the next
_MIN_ATOM_AREA = 3.5 / 1024  # of the picture
_DARK, _BRIGHT = (0.05, 0.12), (0.3, 0.36)  # brightness of a border's sides
_GROUND = (0.05, 0.28)
_PAIR_RANGE = (0.5, 0.97)  # brightness of halves


class Drawing(NamedTuple):
    """A finished picture."""

    image: np.ndarray  # uint8 [size, size, 3]
    atoms: np.ndarray  # int32 [size, size]
    groups: list[Group]


class _Canvas:
    """Pixels in progress: the atom and the colour of each, row by row."""

    def __init__(self, size: int):
        self.x, self.y = shapes.pixel_centres(size)
        self.atoms = np.zeros(size * size, np.int32)
        self.colour = np.zeros((size * size, 3))
        self.num_atoms = 0

    def add(self, mask: np.ndarray, colour: np.ndarray) -> int:
        """Puts a new atom on top of the others and returns its id."""
        self.atoms[mask] = self.num_atoms
        self.colour[mask] = colour
        self.num_atoms += 1
        return self.num_atoms - 1


def render(rng: np.random.Generator, plan: Plan, size: int) -> Drawing:
    """Draws; a layout in which something would be too small to see is drawn anew."""
    while True:
        canvas = _Canvas(size)
        groups = _compose(rng, plan, canvas, size)
        area = np.bincount(canvas.atoms, minlength=canvas.num_atoms)
        if area.min() >= _MIN_ATOM_AREA * size**2:
            break
    noise = rng.uniform(0.004, 0.015) * rng.standard_normal(canvas.colour.shape, dtype=np.float32)
    image = np.rint(np.clip(canvas.colour + noise, 0, 1) * 255).astype(np.uint8)
    return Drawing(image.reshape(size, size, 3), canvas.atoms.reshape(size, size), groups)


def _compose(rng: np.random.Generator, plan: Plan, canvas: _Canvas, size: int) -> list[Group]:
    border = next((part for part in plan.parts if part.kind == "border"), None)
    groups = [_two_grounds(rng, border, canvas)] if border else []
    if not border:
        _one_ground(rng, canvas, size)
    kinds = [
        kind
        for part in plan.parts
        for kind in {"switch": ["object"] * part.form, "border": []}.get(part.kind, [part.kind])
    ]
    places = iter(_places(rng, kinds + ["stone"] * plan.stones))
    for part in plan.parts:
        if part.kind == "pair":
            groups.append(_pair(rng, part, canvas, next(places)))
        elif part.kind == "clutter":
            groups.append(_clutter(rng, part, canvas, next(places)))
        elif part.kind == "switch":
            groups.append(_switch(rng, part, canvas, [next(places) for _ in range(part.form)]))
    for place in places:
        _stone(rng, canvas, place)
    return groups


class _Place(NamedTuple):
    """Where an object lies."""

    x: float
    y: float
    radius: float
    angle: float

    def local(self, canvas: _Canvas) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates along and across it; 1 is its circle."""
        dx, dy = canvas.x - self.x, canvas.y - self.y
        cos, sin = np.cos(self.angle) / self.radius, np.sin(self.angle) / self.radius
        return cos * dx + sin * dy, cos * dy - sin * dx


def _places(rng: np.random.Generator, kinds: list[str]) -> list[_Place]:
    """Circles inside the picture that keep apart."""
    base = _RADII[max(1, len(kinds))]
    radii = rng.uniform(0.9, 1.1, len(kinds)) * base
    for i, kind in enumerate(kinds):
        if kind == "clutter":
            radii[i] = _HEAP_RADIUS
        elif kind == "stone":
            radii[i] *= 0.7
    order = np.argsort(-radii)
    while True:
        centres = np.full((len(kinds), 2), np.inf)
        for i in order:
            candidates = radii[i] + rng.uniform(0, 1, (32, 2)) * (1 - 2 * radii[i])
            away = np.linalg.norm(candidates[:, None] - centres, axis=-1)
            free = np.flatnonzero((away > radii[i] + radii + _GAP).all(axis=1))
            if not len(free):
                break
            centres[i] = candidates[free[0]]
        else:
            break
        # Heaps cannot shrink: their pieces are as small as can be seen.
        radii = np.where(radii == _HEAP_RADIUS, radii, 0.98 * radii)
    angles = rng.uniform(0, 2 * np.pi, len(kinds))
    return [
        _Place(float(x), float(y), float(radius), float(angle))
        for (x, y), radius, angle in zip(centres, radii, angles, strict=True)
    ]


def _tinted(rng: np.random.Generator, brightness: float, saturation: float) -> np.ndarray:
    """A colour [3] of a brightness (the mean of the three), near grey."""
    tint = rng.uniform(-1, 1, 3)
    return brightness * (1 + saturation * (tint - tint.mean()))


def _one_ground(rng: np.random.Generator, canvas: _Canvas, size: int) -> None:
    family = int(rng.integers(len(textures.PATTERNS)))
    period = rng.uniform(0.1, 0.4)
    mix = textures.tone(family, canvas.x, canvas.y, period, size, rng)
    colour = _tinted(rng, rng.uniform(*_GROUND), 0.4)
    canvas.add(np.ones(size * size, bool), colour)
    canvas.colour *= 1 + rng.uniform(0.05, 0.25) * (2 * mix[:, None] - 1)


def _two_grounds(rng: np.random.Generator, part: Part, canvas: _Canvas) -> Group:
    """A dark and a bright ground with a blur of 4 .. 8 possible borders between them."""
    positions = MIN_POSITIONS + part.level
    turn = (part.form + rng.uniform(0.1, 0.9)) / NUM_DIRECTIONS
    cos, sin = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    dx, dy = canvas.x - rng.uniform(0.4, 0.6), canvas.y - rng.uniform(0.4, 0.6)
    across, along = cos * dx + sin * dy, cos * dy - sin * dx
    # Distance from the first border, in bands; it bows a little.
    place = (across + rng.uniform(-0.4, 0.4) * along**2) / _BAND + (positions - 1) / 2
    ramp = np.clip((place + 0.5) / positions, 0, 1)
    mix = (ramp**2 * (3 - 2 * ramp))[:, None]
    dark = _tinted(rng, rng.uniform(*_DARK), 0.4)
    bright = _tinted(rng, rng.uniform(*_BRIGHT), 0.4)
    colour = dark + mix * (bright - dark)
    strip = np.clip(np.floor(place) + 1, 0, positions).astype(int)
    ids = [canvas.add(strip == k, colour[strip == k]) for k in range(positions + 1)]
    return Group("border", tuple((atom,) for atom in ids))


_OUTLINES: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (
    lambda u, v: np.maximum(np.abs(u), 2 * np.abs(v)) < 0.89,
    lambda u, v: u**2 + (1.9 * v) ** 2 < 1,
    lambda u, v: (np.abs(u) - 0.47) ** 2 + v**2 < 0.53**2,
)


def _pair(rng: np.random.Generator, part: Part, canvas: _Canvas, place: _Place) -> Group:
    """A rectangle, an ellipse or two joined discs, in two halves."""
    u, v = place.local(canvas)
    outline = _OUTLINES[rng.integers(len(_OUTLINES))](u, v)
    contrast = SCALES["pair"].draw(rng, part.level)
    low = rng.uniform(_PAIR_RANGE[0], _PAIR_RANGE[1] - contrast)
    grey = _tinted(rng, 1.0, 0.04)
    halves = (outline & (u < 0), outline & (u >= 0))
    ids = [
        canvas.add(half, np.minimum(brightness * grey, 1))
        for half, brightness in zip(halves, (low, low + contrast), strict=True)
    ]
    return Group("pair", tuple((atom,) for atom in ids))


def _switch(rng: np.random.Generator, part: Part, canvas: _Canvas, places: list[_Place]) -> Group:
    """Discs and squares of one hue, each in two or three parts."""
    hue = BLUE * (1 - SCALES["switch"].draw(rng, part.level))
    pure = np.asarray(colorsys.hsv_to_rgb(hue, rng.uniform(0.8, 0.95), 1.0))
    members = []
    for place in places:
        u, v = place.local(canvas)
        disc = rng.random() < 0.5
        outline = u**2 + v**2 < 0.94 if disc else np.maximum(np.abs(u), np.abs(v)) < 0.76
        count = int(rng.integers(2, 4))
        if count == 3 and rng.random() < 0.5:
            which = np.floor(np.arctan2(v, u) * (1.5 / np.pi)).astype(int) % 3
        else:
            width = 2 * (0.94 if disc else 0.76) / count
            which = np.clip(np.floor(u / width + count / 2), 0, count - 1).astype(int)
        values = rng.permutation([1.0, 0.5] if count == 2 else [1.0, 0.7, 0.42])
        members.append(
            tuple(
                canvas.add(outline & (which == k), value * pure) for k, value in enumerate(values)
            )
        )
    return Group("switch", tuple(members))


def _clutter(rng: np.random.Generator, part: Part, canvas: _Canvas, place: _Place) -> Group:
    """A heap of small discs: one in the middle and some in a row around it."""
    spots = np.arange(part.form - 1) * (np.pi / 3) + place.angle
    grid = _SPACING * np.append(np.stack([np.cos(spots), np.sin(spots)], axis=1), [[0, 0]], axis=0)
    ranks = np.linspace(-1, 1, part.form)
    spread = SCALES["clutter"].draw(rng, part.level)
    brightness = 0.68 + spread * rng.permutation(ranks / ranks.std())
    grey = _tinted(rng, 1.0, 0.04)
    ids = []
    for (dx, dy), value in zip(grid, brightness, strict=True):
        mask = np.hypot(canvas.x - place.x - dx, canvas.y - place.y - dy) < _PIECE_RADIUS
        ids.append(canvas.add(mask, np.minimum(value * grey, 1)))
    return Group("clutter", tuple((atom,) for atom in ids))


def _stone(rng: np.random.Generator, canvas: _Canvas, place: _Place) -> None:
    """A plain ellipse or kite, purple: always one region."""
    u, v = place.local(canvas)
    ellipse = rng.random() < 0.5
    inside = u**2 + (1.3 * v) ** 2 < 1 if ellipse else np.abs(u) + 1.2 * np.abs(v) < 1
    hue, value = rng.uniform(0.76, 0.88), rng.uniform(0.55, 1.0)
    canvas.add(inside, np.asarray(colorsys.hsv_to_rgb(hue, rng.uniform(0.6, 0.9), value)))
