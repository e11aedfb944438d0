"""Which yes-or-no question about two points says most about the partition or its consensus."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.atoms import Atoms
from bitdiff_jax.posterior.consensus import Linkage
from bitdiff_jax.posterior.merging import all_joins
from bitdiff_jax.posterior.units import absorb_small

# Atoms that are asked about, in pairs: small ones say no more than large ones.
_MAX_ASKED = 500


class Question(NamedTuple):
    """Do two points lie in one region?

    Attributes:
        p: (row, column) of the one point.
        q: (row, column) of the other.
        prob_same: probability of the answer yes.
        information: expected information about the partition in bits, in [0, 1]: the entropy of the
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


def next_question(atoms: Atoms, linkage: Linkage) -> Question | None:
    """The question whose answer is worth most to a consensus by average linkage.

    Linkage joins two clusters, again and again, and the consensus is where it is cut. Of all these
    joins, those beyond the cut as well, the one is asked about that decides most pairs of pixels,
    each counted by how doubtful the join is: 1/2 at the cut, 0 where all samples agree. The points
    lie in the part of each cluster that the others of it go with most.

    Args:
        atoms: of the label maps.
        linkage: of the atoms, which holds the answers so far.

    Returns:
        The question; None if no join is doubtful.
    """
    areas, together = linkage.units.areas, linkage.units.together
    joins = all_joins(linkage.units)
    worth = [
        areas[each.one].sum() * areas[each.other].sum() * _doubt(each.together, linkage.max_apart)
        for each in joins
    ]
    if not joins or max(worth) <= 0:
        return None
    join = joins[int(np.argmax(worth))]
    largest = np.lexsort((-atoms.areas, linkage.unit))
    of_unit = largest[np.flatnonzero(np.r_[True, np.diff(linkage.unit[largest]) > 0])]
    places = points.interior(atoms.index, len(atoms.areas))
    ends = []
    for cluster in (join.one, join.other):
        within = together[np.ix_(cluster, cluster)] @ areas[cluster]
        ends.append(of_unit[cluster[int((areas[cluster] * within).argmax())]])
    prob_same = atoms.together(*ends)
    p, q = ((int(row), int(column)) for row, column in places[ends])
    return Question(p, q, float(prob_same), float(answer_entropy(prob_same)))


def _doubt(together: float, max_apart: float) -> float:
    """How likely the cut is wrong about a join: 1/2 at the cut, 0 where the samples are sure."""
    cut = 1 - max_apart
    share = together / cut if together < cut else (1 - together) / max(max_apart, 1e-12)
    return min(share, 1.0) / 2


def answer_entropy(prob_same: np.ndarray) -> np.ndarray:
    """Entropy in bits of an answer that is yes with probability `prob_same`, of any shape."""
    bits: np.ndarray = (entr(prob_same) + entr(1 - prob_same)) / np.log(2)
    return bits
