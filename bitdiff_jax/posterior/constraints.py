"""Which partitions keep pairs of points together and apart as they are told to."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.atoms import Atoms

# Pairs (p, q) of points (row, column).
Pairs = Iterable[Any]


def satisfied(atoms: Atoms, same: Pairs, different: Pairs) -> np.ndarray:
    """bool [m]: the partitions that meet all constraints; at least one.

    Raises:
        InputError: none does, or a point is none, see `points.atoms_at`.
    """
    left = np.ones(len(atoms.regions), bool)
    for name, pairs, wanted in (("same", same, True), ("different", different, False)):
        for pair in pairs:
            p, q = _atoms_of(atoms, pair, name)
            left &= (atoms.regions[:, p] == atoms.regions[:, q]) == wanted
            if not left.any():
                raise InputError(
                    f"{name}: no sample has {_text(pair[0])} and {_text(pair[1])} in "
                    f"{'one region' if wanted else 'two regions'} and meets the constraints before "
                    "it; leave it out or draw more samples"
                )
    return left


def _atoms_of(atoms: Atoms, pair: Any, name: str) -> tuple[int, int]:
    found = points.atoms_at(atoms.index, pair, name)
    if found.shape != (2,):
        raise InputError(
            f"{name} must hold pairs of points ((row, column), (row, column)), got {pair!r}"
        )
    return int(found[0]), int(found[1])


def _text(point: Any) -> str:
    row, column = np.asarray(point).tolist()
    return f"({row}, {column})"
