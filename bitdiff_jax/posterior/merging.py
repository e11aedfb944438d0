"""Greedy merging: of all pairs of clusters the best is joined, again and again."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bitdiff_jax.posterior.atoms import by_first
from bitdiff_jax.posterior.clusters import Clusters
from bitdiff_jax.posterior.expected_losses import PRECISION, AdjustedRand, PairLoss
from bitdiff_jax.posterior.units import Units


class Join(NamedTuple):
    """Two clusters that average linkage joins.

    Attributes:
        one: intp [k], units of the one.
        other: intp [l], units of the other.
        together: the mean over their pairs of pixels of the probability of lying together.
    """

    one: np.ndarray
    other: np.ndarray
    together: float


def agglomerate(
    scores: np.ndarray,
    join: Callable[[int, int], np.ndarray],
    accept: Callable[[int, int, float], bool],
) -> np.ndarray:
    """Joins the pair of the highest score until that of the best pair is not accepted.

    Each row's best partner is remembered, so that a step costs little more than one row. Of equal
    scores the lowest numbers win.

    Args:
        scores: float64 [k, k], symmetric; it is overwritten.
        join: function of (i, j) that joins j into i and returns the new scores [k] of i.
        accept: function of (i, j, score) that says whether the pair is joined.

    Returns:
        intp [k], the cluster of each, numbered in the order of their first members.
    """
    count = len(scores)
    labels, alive = np.arange(count), np.ones(count, bool)
    np.fill_diagonal(scores, -np.inf)
    partner = scores.argmax(axis=1)
    best = scores[labels, partner].copy()
    for _ in range(count - 1):
        i = int(best.argmax())
        j = int(partner[i])
        if not accept(i, j, float(best[i])):
            break
        i, j = min(i, j), max(i, j)
        row = join(i, j)
        alive[j] = False
        labels[labels == j] = i
        row = np.where(alive, row, -np.inf)
        row[i] = -np.inf
        scores[j], scores[:, j] = -np.inf, -np.inf
        scores[i], scores[:, i] = row, row
        best[j] = -np.inf
        stale = alive & ((partner == i) | (partner == j))
        stale[i] = True
        improved = ~stale & ((row > best) | ((row == best) & (i < partner))) & alive
        partner[improved], best[improved] = i, row[improved]
        rows = np.flatnonzero(stale)
        partner[rows] = scores[rows].argmax(axis=1)
        best[rows] = scores[rows, partner[rows]]
    return by_first(labels)


def merge(
    units: Units, loss: PairLoss | AdjustedRand, labels: np.ndarray | None = None
) -> np.ndarray:
    """Joins clusters as long as that lowers the expected loss.

    Args:
        units: of the label maps.
        loss: what is to be low.
        labels: int [u], the clusters to begin with, numbered from 0; None for each unit alone.

    Returns:
        intp [u], the cluster of each unit.
    """
    if isinstance(loss, AdjustedRand):
        return _merge_by_ari(units, np.arange(len(units.areas)) if labels is None else labels)
    if labels is None:
        labels = np.arange(len(units.areas))
        # Two units lie in one region or in two, so their price needs no look at the regions.
        gains = loss.joint(units.areas[:, None], units.areas) * (2 * units.together - 1)
        clusters = Clusters(units, labels)
    else:
        clusters = Clusters(units, labels)
        gains = np.stack([-loss.joins(clusters, i)[:-1] for i in range(int(labels.max()) + 1)])

    def join(i: int, j: int) -> np.ndarray:
        for array in (clusters.areas, clusters.overlaps.T):
            array[i] += array[j]
            array[j] = 0
        return -loss.joins(clusters, i)[:-1]

    def accept(i: int, j: int, gain: float) -> bool:
        return gain > PRECISION * loss.scale(clusters.areas[i], clusters.areas[j])

    return agglomerate(gains, join, accept)[labels]


def _merge_by_ari(units: Units, labels: np.ndarray) -> np.ndarray:
    """Joins clusters as long as that raises the mean adjusted Rand index.

    A join changes what all others are worth, so that each step looks at all pairs.
    """
    loss = AdjustedRand()
    while (count := int(labels.max()) + 1) > 1:
        clusters = Clusters(units, labels)
        losses = np.stack([loss.joins(clusters, i)[:count] for i in range(count)])
        np.fill_diagonal(losses, np.inf)
        i, j = np.unravel_index(losses.argmin(), losses.shape)
        if losses[i, j] >= loss.now(clusters) - PRECISION:
            break
        labels = by_first(np.where(labels == j, i, labels))
    return labels


def average_linkage(units: Units, max_apart: float) -> np.ndarray:
    """Joins the two clusters whose pixels lie together most often, up to a distance.

    The distance of two clusters is the mean over their pairs of pixels of the probability that the
    pair lies in two regions (UPGMA of pixels: each atom counts by its area).

    Args:
        units: of the label maps; two that `together` has at -inf are never joined, nor clusters
            that hold them.
        max_apart: the largest distance at which clusters are joined, in [0, 1].

    Returns:
        intp [u], the cluster of each unit.
    """
    return _linkage(units, lambda i, j, p: 1 - p <= max_apart + PRECISION)


def all_joins(units: Units) -> list[Join]:
    """The joins of average linkage, up to the last one that is allowed.

    Args:
        units: of the label maps; two that `together` has at -inf are never joined, nor clusters
            that hold them.
    """
    members = [np.array([unit]) for unit in range(len(units.areas))]
    joins: list[Join] = []

    def accept(i: int, j: int, together: float) -> bool:
        if together == -np.inf:
            return False
        i, j = min(i, j), max(i, j)
        joins.append(Join(members[i], members[j], together))
        members[i] = np.concatenate([members[i], members[j]])
        return True

    _linkage(units, accept)
    return joins


def _linkage(units: Units, accept: Callable[[int, int, float], bool]) -> np.ndarray:
    together, areas = units.together.copy(), units.areas.copy()

    def join(i: int, j: int) -> np.ndarray:
        row = (areas[i] * together[i] + areas[j] * together[j]) / (areas[i] + areas[j])
        areas[i] += areas[j]
        return row

    return agglomerate(together, join, accept)
