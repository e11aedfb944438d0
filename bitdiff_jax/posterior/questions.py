"""Which yes-or-no question about two points says most about the partition."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.atoms import Atoms
from bitdiff_jax.posterior.units import absorb_small

# Atoms that are asked about, in pairs: small ones say no more than large ones.
_MAX_ASKED = 500


class Question(NamedTuple):
    """Do two points lie in one region?

    Attributes:
        p: (row, column) of the one point.
        q: (row, column) of the other.
        prob_same: probability of the answer yes.
        information: expected information about the partition in bits, in (0, 1]: the entropy of the
            answer, since a partition leaves no doubt about it.
    """

    p: tuple[int, int]
    q: tuple[int, int]
    prob_same: float
    information: float


def best_question(atoms: Atoms, candidates: ArrayLike | None = None) -> Question | None:
    """The pair of points with the highest entropy of the answer; None if all are certain.

    Of equal pairs that with the largest product of the areas of its atoms, of equals again the
    first.

    Args:
        atoms: of the label maps.
        candidates: integers [k, 2], points (row, column); None for the most interior pixel of each
            of the largest atoms, see `units.absorb_small`.

    Raises:
        InputError: the points are not as above, lie outside, or are ignored.
    """
    if candidates is None:
        asked = absorb_small(atoms, _MAX_ASKED)[1]
        places = points.interior(atoms.index, len(atoms.areas))[asked]
    else:
        asked = points.atoms_at(atoms.index, candidates, "candidates")
        if asked.ndim != 1:
            raise InputError("candidates must be points [k, 2], (row, column)")
        places = np.asarray(candidates)
    prob_same = atoms.together(asked[:, None], asked)
    bits = answer_entropy(prob_same).round(9)
    if not bits.any():
        return None
    areas = atoms.areas[asked].astype(np.float64)
    product = np.where(bits == bits.max(), areas[:, None] * areas, 0)
    i, j = np.unravel_index(int(product.argmax()), product.shape)
    p, q = ((int(row), int(column)) for row, column in places[[i, j]])
    return Question(p, q, float(prob_same[i, j]), float(bits[i, j]))


def answer_entropy(prob_same: np.ndarray) -> np.ndarray:
    """Entropy in bits of an answer that is yes with probability `prob_same`, of any shape."""
    bits: np.ndarray = (entr(prob_same) + entr(1 - prob_same)) / np.log(2)
    return bits
