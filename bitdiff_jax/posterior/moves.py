"""Improvement of a partition by moving single units, one after the other, to where they cost least.

The sweep of SALSO (Dahl, Johnson & Mueller 2022), from a good partition and in a fixed order
instead of from random ones.
"""

import numpy as np

from bitdiff_jax.posterior.atoms import by_first
from bitdiff_jax.posterior.clusters import Clusters
from bitdiff_jax.posterior.expected_losses import PRECISION, Loss
from bitdiff_jax.posterior.units import Units

MAX_SWEEPS = 20


def move(units: Units, loss: Loss, labels: np.ndarray) -> np.ndarray:
    """Moves units to other clusters, or to one of their own, as long as the expected loss falls.

    Args:
        units: of the label maps.
        loss: what is to be low.
        labels: int [u], the clusters to begin with, numbered from 0.

    Returns:
        intp [u]. No move of a single unit improves it, unless `MAX_SWEEPS` were not enough.
    """
    clusters = Clusters(units, labels)
    total = float(units.areas.sum())
    least = [PRECISION * loss.scale(total, area) for area in units.areas]
    order = np.argsort(-units.areas, kind="stable")
    unmoved = 0
    for unit in np.tile(order, MAX_SWEEPS):
        losses = loss.insertions(clusters, clusters.without(unit))
        best = int(losses.argmin())
        if losses[clusters.labels[unit]] - losses[best] > least[unit]:
            clusters.move(unit, best)
            unmoved = 0
        else:
            unmoved += 1
        if unmoved == len(order):
            break
    return by_first(clusters.labels)
