"""What a picture is to show before it is drawn, and which combinations are held out.

Every cue has a level 0 .. 4, and three choices a form besides, which does not bear on their
probabilities: the number of the switch's objects, the direction of the border (in fifths of a turn,
from dark to bright) and the number of pieces of clutter. A picture is held out if all its levels
and forms add up to a multiple of 5: a fifth of the combinations. Whoever has seen the others has
met each level of contrast, hue, blur and spread, but in other company. (With the switch alone
these are hue level 3 on two objects, 2 on three and 1 on four.)
"""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.scenes.posterior_cues import NUM_LEVELS

KINDS = ("mixed", "pairs", "switch", "border", "clutter")
NUM_DIRECTIONS = 5
_MAX_OBJECTS = 4  # of all sorts, so that none is too small to be cut at 32 x 32


class Part(NamedTuple):
    """One choice of a picture: the level of its cue, and its form (0 where there is none)."""

    kind: str
    level: int
    form: int = 0


class Plan(NamedTuple):
    """The choices of a picture and the number of objects beside them that are never cut."""

    parts: tuple[Part, ...]
    stones: int


def is_held_out(parts: tuple[Part, ...]) -> bool:
    """The rule."""
    return sum(part.level + part.form for part in parts) % NUM_LEVELS == 0


def draw(rng: np.random.Generator, kind: str, held_out: bool) -> Plan:
    """A plan of a kind, on one side of the rule or the other."""
    while True:
        kinds = _kinds(rng, kind)
        parts = tuple(_part(rng, each, mixed=kind == "mixed") for each in kinds)
        if is_held_out(parts) == held_out:
            break
    objects = sum(part.form if part.kind == "switch" else part.kind != "border" for part in parts)
    stones = min(_MAX_OBJECTS - objects, int(rng.integers(0, 4 if kind == "border" else 2)))
    return Plan(parts, max(0, stones))


def _kinds(rng: np.random.Generator, kind: str) -> list[str]:
    """Which choices there are."""
    if kind == "pairs":
        return ["pair"] * int(rng.integers(2, _MAX_OBJECTS + 1))
    if kind == "clutter":
        return ["clutter"] * int(rng.integers(1, 3))
    if kind != "mixed":
        return [kind]
    names = ("pair", "switch", "border", "clutter")
    chosen = [names[i] for i in np.sort(rng.permutation(4)[: rng.integers(2, 4)])]
    crowded = "switch" in chosen and "clutter" in chosen
    if "pair" in chosen and not crowded and rng.random() < 0.5:
        chosen.insert(0, "pair")
    return chosen


def _part(rng: np.random.Generator, kind: str, mixed: bool) -> Part:
    forms = {
        "switch": (2, 3 if mixed else _MAX_OBJECTS + 1),
        "border": (0, NUM_DIRECTIONS),
        "clutter": (3, 8),
    }
    low, high = forms.get(kind, (0, 1))
    return Part(kind, int(rng.integers(NUM_LEVELS)), int(rng.integers(low, high)))
