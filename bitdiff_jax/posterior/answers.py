"""Answers about pairs of points that a consensus holds, whatever the samples say.

Few samples of a model have no map that meets many answers, and leaving out those that contradict
one loses what they know of the rest. So the samples stay, and an answer changes how probably two
parts lie together: the two that were asked about for certain, and others by as much as the samples
join them with these.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import constraints
from bitdiff_jax.posterior.atoms import Atoms, by_first
from bitdiff_jax.posterior.constraints import Pairs
from bitdiff_jax.posterior.units import Units, joined


class Answers(NamedTuple):
    """Pairs of atoms that are known to lie together or apart, without a contradiction.

    Attributes:
        same: intp [k, 2].
        different: intp [l, 2].
    """

    same: np.ndarray
    different: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        """intp [n], each atom that an answer speaks of, once."""
        return np.unique(np.concatenate([self.same, self.different]))


NONE = Answers(np.zeros((0, 2), np.intp), np.zeros((0, 2), np.intp))


def answers_of(atoms: Atoms, same: Pairs, different: Pairs) -> Answers:
    """The answers about pairs of points as answers about atoms.

    Args:
        atoms: of the label maps.
        same: pairs (p, q) of points (row, column) that lie in one region.
        different: pairs that lie in two.

    Raises:
        InputError: a point is none, see `points.atoms_at`; no sample parts two points that are
            `different`; or the answers contradict each other.
    """
    both = (constraints.as_pairs(same, "same"), constraints.as_pairs(different, "different"))
    together, apart = (
        np.array([constraints.atoms_of(atoms, pair, name) for pair in pairs], np.intp)
        for pairs, name in zip(both, ("same", "different"), strict=True)
    )
    found = Answers(together.reshape(-1, 2), apart.reshape(-1, 2))
    component = _components(found.same, len(atoms.areas))
    for pair, (p, q) in zip(both[1], found.different.tolist(), strict=True):
        ends = f"{constraints.text(pair[0])} and {constraints.text(pair[1])}"
        if p == q:
            raise InputError(
                f"different: no sample has {ends} in two regions, so that the consensus cannot; "
                "leave the pair out, or draw more samples"
            )
        if component[p] == component[q]:
            raise InputError(
                f"different: {ends} lie in one region by what is given as same; leave one of these "
                "answers out"
            )
    return found


def held(units: Units, answers: Answers) -> tuple[Units, np.ndarray]:
    """Units as answers leave them to average linkage.

    Args:
        units: of the label maps; atoms that are asked about have a unit each.
        answers: about atoms.

    Returns:
        The units, those that lie together joined into one and `together` as `believed` says, -inf
        for two that lie apart and so for clusters that hold them; and intp [u], which of these each
        of the units before is in.
    """
    same, different = units.unit[answers.same], units.unit[answers.different]
    cluster = by_first(_components(same, len(units.areas)))
    together = believed(units.together, same, different)
    left = joined(dataclasses.replace(units, together=together), cluster)
    p, q = cluster[different].T
    left.together[p, q] = left.together[q, p] = -np.inf
    return left, cluster


def believed(together: np.ndarray, same: np.ndarray, different: np.ndarray) -> np.ndarray:
    """How probably two units lie together once answers are known.

    The answer that p and q lie together joins r and s at least as probably as r lies with p and s
    with q; that they lie apart makes it as improbable, if r lies with p and s with q, that r and s
    lie together. No answer is changed by the order of the others.

    Args:
        together: float64 [u, u], the probability that two units lie in one region; symmetric.
        same: intp [k, 2], pairs of units.
        different: intp [l, 2], the same.

    Returns:
        float64 [u, u], symmetric.
    """
    found, not_apart = together.copy(), np.ones_like(together)
    for p, q in same:
        np.maximum(found, _through(together, p, q), out=found)
    for p, q in different:
        not_apart *= 1 - _through(together, p, q)
    found *= not_apart
    np.fill_diagonal(found, 1)
    return found


def _through(together: np.ndarray, p: int, q: int) -> np.ndarray:
    """float64 [u, u]: how probably the one of two units lies with p and the other with q."""
    one_way = np.outer(together[p], together[q])
    return np.maximum(one_way, one_way.T)


def _components(pairs: np.ndarray, count: int) -> np.ndarray:
    """int [count], what pairs of things join, directly or by way of others."""
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
    components: np.ndarray = csgraph.connected_components(graph, directed=False)[1]
    return components
