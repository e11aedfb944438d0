"""Which partitions keep pairs of points together and apart as they are told to."""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.atoms import Atoms

# Pairs (p, q) of points (row, column).
Pairs = Iterable[Any]


def as_pairs(pairs: Pairs, name: str) -> tuple[Any, ...]:
    """Pairs of points as a tuple; InputError if they are no sequence."""
    try:
        return tuple(pairs)
    except TypeError:
        raise InputError(
            f"{name} is {points.brief(pairs)}; give pairs of points ((row, column), (row, "
            "column)), or () for none"
        ) from None


def likelihood(atoms: Atoms, same: Pairs, different: Pairs, reliability: float) -> np.ndarray:
    """How probable the answers are by each partition, relative to that which they fit best.

    Args:
        atoms: of the label maps.
        same: pairs of points that are said to lie together.
        different: pairs that are said to lie apart.
        reliability: probability that an answer is what the partition says, in (.5, 1].

    Returns:
        float64 [m] in [0, 1], its maximum is 1: the product of (1 - reliability) / reliability over
        the answers that the partition contradicts.

    Raises:
        InputError: the reliability is out of its range; it is 1 and no partition meets all answers;
            or a point is none, see `points.atoms_at`.
    """
    if not isinstance(reliability, numbers.Real) or not 0.5 < reliability <= 1:
        raise InputError(
            f"reliability is {points.brief(reliability)}; use a probability in (.5, 1], 1 for "
            "answers that are certain"
        )
    left = np.ones(len(atoms.regions))
    for name, pairs, wanted in (("same", same, True), ("different", different, False)):
        for pair in as_pairs(pairs, name):
            p, q = atoms_of(atoms, pair, name)
            meets = (atoms.regions[:, p] == atoms.regions[:, q]) == wanted
            left *= np.where(meets, 1, (1 - reliability) / reliability)
            if not left.any():
                raise InputError(
                    f"{name}: no sample has {text(pair[0])} and {text(pair[1])} in "
                    f"{'one region' if wanted else 'two regions'} and meets the constraints before "
                    "it; leave it out, draw more samples, or say a reliability below 1"
                )
            left /= left.max()
    return left


def atoms_of(atoms: Atoms, pair: Any, name: str) -> tuple[int, int]:
    """The atoms of a pair of points, `name` being the argument; InputError if it is no pair."""
    found = points.atoms_at(atoms.index, pair, name)
    if found.shape != (2,):
        raise InputError(
            f"{name} must hold pairs of points ((row, column), (row, column)), got "
            f"{points.brief(pair)}"
        )
    return int(found[0]), int(found[1])


def text(point: Any) -> str:
    """A point as messages write it."""
    row, column = np.asarray(point).tolist()
    return f"({row}, {column})"
