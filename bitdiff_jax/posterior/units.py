"""What the search for a consensus moves about: atoms, or, where there are too many, lumps of them.

Thousands of atoms are mostly slivers between boundaries that nearly coincide. All but the largest
are absorbed into a neighbour before a search: each by the adjacent one with which most samples join
it. What a search returns is therefore the optimum over unions of units only, and a unit counts in
the search as if all of it lay where its largest atom does. The losses that this room states are
computed on the atoms themselves.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from bitdiff_jax.posterior.atoms import Atoms, by_first

# All pairs are compared: 2,000 units are matrices of 32 MB.
MAX_UNITS = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """Lumps of pixels, and the region of each in each partition.

    Attributes:
        areas: float64 [u], pixels of each.
        columns: intp [m, u], the region of each in each partition; the numbers of one partition
            follow those of the one before.
        weights: float64 [m], weights of the partitions, whose sum is 1.
        column_weights: float64 [c], of each region the weight of its partition.
        unit: intp [a], the unit of each atom.
        head: intp [u], the largest atom of each unit.
        together: float64 [u, u], the probability that two units lie in one region.
    """

    areas: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    column_weights: np.ndarray
    unit: np.ndarray
    head: np.ndarray
    together: np.ndarray


def make_units(atoms: Atoms, max_units: int = MAX_UNITS, kept: ArrayLike = ()) -> Units:
    """The `max_units` largest atoms, each with the smaller ones that it absorbs.

    Args:
        atoms: of the label maps.
        max_units: as many atoms at most stay as they are.
        kept: int [k], atoms that come into a unit each.
    """
    unit, head = absorb_small(atoms, max_units, kept)
    regions = np.stack([by_first(row) for row in atoms.regions[:, head]])
    sizes = regions.max(axis=1) + 1
    columns = regions + (np.cumsum(sizes) - sizes)[:, None]
    areas = np.bincount(unit, atoms.areas)
    column_weights = np.repeat(atoms.weights, sizes)
    together = atoms.together(head[:, None], head)
    return Units(areas, columns, atoms.weights, column_weights, unit, head, together)


def joined(units: Units, cluster: np.ndarray) -> Units:
    """Clusters as units, as far as average linkage goes on from them.

    Args:
        units: what is joined.
        cluster: int [u], the cluster of each unit, numbered from 0.

    Returns:
        Their areas, and the mean over pairs of pixels of `together`; all else is that of `units`.
    """
    members = sparse.csr_matrix((units.areas, (cluster, np.arange(len(cluster)))))
    areas = np.asarray(members.sum(axis=1)).ravel()
    means = (members @ (members @ units.together).T) / np.outer(areas, areas)
    together = means.round(12)  # so that what is equal but for the order of sums stays equal
    return dataclasses.replace(units, areas=areas, together=together)


def absorb_small(
    atoms: Atoms, max_units: int, kept: ArrayLike = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Gives every small atom to the adjacent one that most samples join with it.

    Of equals to the larger one. It is repeated until there are no more than `max_units`. Pixels
    beside ignored ones are adjacent to the nearest pixel that is not.

    Args:
        atoms: of the label maps.
        max_units: as many atoms at most stay as they are; more if more are kept.
        kept: int [k], atoms that come into a unit each.

    Returns:
        intp [a], the unit of each atom, and intp [u], the largest atom of each unit.
    """
    kept = np.asarray(kept, np.intp)
    count, max_units = len(atoms.areas), max(max_units, len(kept))
    unit, head = np.arange(count), np.arange(count)
    areas = atoms.areas
    pairs = _adjacent(atoms.index) if count > max_units else None
    while len(head) > max_units and pairs is not None:
        is_small = np.ones(len(head), bool)
        is_kept = np.zeros(len(head), bool)
        is_kept[unit[kept]] = True
        is_small[np.lexsort((head, -areas, ~is_kept))[:max_units]] = False
        chosen = _best_neighbours(pairs, is_small, areas, atoms, head)
        graph = sparse.coo_matrix((np.ones(len(chosen[0])), chosen), shape=(len(head), len(head)))
        lump = by_first(csgraph.connected_components(graph, directed=False)[1])
        # Each lump has the place in the partitions of its largest atom, the first of equals.
        order = np.lexsort((head, -atoms.areas[head], lump))
        first = np.flatnonzero(np.r_[True, np.diff(lump[order]) > 0])
        head, areas = head[order[first]], np.bincount(lump, areas)
        unit, pairs = lump[unit], lump[pairs]
        pairs = np.unique(pairs[:, pairs[0] != pairs[1]], axis=1)
    return unit, head


def _best_neighbours(
    pairs: np.ndarray, is_small: np.ndarray, areas: np.ndarray, atoms: Atoms, head: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The small units and the neighbour into which each goes."""
    first, second = np.concatenate([pairs, pairs[::-1]], axis=1)
    first, second = first[is_small[first]], second[is_small[first]]
    joined = atoms.together(head[first], head[second])
    order = np.lexsort((second, -areas[second], -joined, first))
    best = order[np.flatnonzero(np.r_[True, np.diff(first[order]) > 0])]
    return first[best], second[best]


def _adjacent(index: np.ndarray) -> np.ndarray:
    """intp [2, e]: pairs of atoms with pixels side by side or one above the other."""
    if index.min() < 0:
        nearest = ndimage.distance_transform_edt(
            index < 0, return_distances=False, return_indices=True
        )
        index = index[tuple(nearest)]
    beside = np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()])
    above = np.stack([index[:-1].ravel(), index[1:].ravel()])
    both = np.concatenate([beside, above], axis=1).astype(np.intp)
    return np.unique(np.sort(both[:, both[0] != both[1]], axis=0), axis=1)
