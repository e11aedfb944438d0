"""Expected losses of a partition, under the posterior that the weighted samples stand for.

Binder's loss and the variation of information have one form. With f(x) = x^2 for Binder (1978) and
f(x) = x log x for the VI (Meila 2007; Wade & Ghahramani 2018, equation 9), and up to a constant and
a factor, the expected loss of a partition C is

    sum_c f(|c|) - 2 sum_k w_k sum_{c, r} f(|c and r|),

where r runs over the regions of sample k. So a change that concerns two clusters alone can be
priced from those two, with the joint g(x, y) = f(x + y) - f(x) - f(y). For Binder's loss this is
the correlation clustering of the atoms with weights a_i a_j (p_ij - 1/2). The adjusted Rand index
has no such form: it is divided by the number of joined pairs of the whole partition.
"""

from typing import Protocol

import numpy as np
from scipy.special import xlogy

from bitdiff_jax.posterior.clusters import Clusters, Remainder

# Differences below this share of what is compared are roundings.
PRECISION = 1e-12


class Loss(Protocol):
    """Prices changes of a partition. What is not priced is the same for all of them."""

    def insertions(self, clusters: Clusters, rest: Remainder) -> np.ndarray:
        """float64 [k]: the loss after the unit that is left out of `rest` goes to each cluster."""

    def scale(self, total: float, area: float) -> float:
        """What differences must exceed, times the machine's precision, to be no roundings."""


class PairLoss:
    """Binder's loss or the VI, by the joint g of two areas."""

    def joint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """g(x, y) = f(x + y) - f(x) - f(y), >= 0, for areas in pixels."""
        raise NotImplementedError

    def insertions(self, clusters: Clusters, rest: Remainder) -> np.ndarray:
        """The part of the loss that depends on the cluster, see `Loss`."""
        area = np.array(rest.area)
        gains = clusters.units.weights @ self.joint(rest.shared, area)
        return self.joint(rest.areas, area) - 2 * gains

    def joins(self, clusters: Clusters, one: int) -> np.ndarray:
        """float64 [k]: by how much the loss grows if a cluster is joined with each other."""
        columns = np.flatnonzero(clusters.overlaps[:, one])
        shared = clusters.overlaps[columns]
        gains = clusters.units.column_weights[columns] @ self.joint(shared, shared[:, [one]])
        return self.joint(clusters.areas, clusters.areas[one]) - 2 * gains

    def scale(self, total: float, area: float) -> float:
        """See `Loss`."""
        return float(self.joint(np.array(total), np.array(area)))


class Binder(PairLoss):
    """Expected number of pixel pairs that are wrongly joined or parted, each counted twice."""

    def joint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """2 x y."""
        return 2 * x * y


class Information(PairLoss):
    """Expected variation of information, in nats times the number of pixels."""

    def joint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(x + y) log(x + y) - x log x - y log y."""
        return xlogy(x + y, x + y) - xlogy(x, x) - xlogy(y, y)


class AdjustedRand:
    """1 - the expected adjusted Rand index (Hubert & Arabie 1985)."""

    def insertions(self, clusters: Clusters, rest: Remainder) -> np.ndarray:
        """See `Loss`."""
        squares = rest.squares + rest.area * (2 * rest.areas + rest.area)
        joint = rest.joint_squares[:, None] + rest.area * (2 * rest.shared + rest.area)
        return self._loss(clusters, squares, joint)

    def joins(self, clusters: Clusters, one: int) -> np.ndarray:
        """float64 [k]: the loss after a cluster is joined with each other; not the difference."""
        columns = np.flatnonzero(clusters.overlaps[:, one])
        shared = clusters.overlaps[columns]
        # Every cluster has a region in each partition, so that no sum is empty.
        starts = np.searchsorted(columns, clusters.starts)
        products = np.add.reduceat(shared * shared[:, [one]], starts)
        joint = clusters.joint_squares[:, None] + 2 * products
        squares = clusters.squares + 2 * clusters.areas * clusters.areas[one]
        return self._loss(clusters, squares, joint)

    def now(self, clusters: Clusters) -> float:
        """The loss of a partition as it is."""
        squares, joint = np.array([clusters.squares]), clusters.joint_squares[:, None]
        return float(self._loss(clusters, squares, joint)[0])

    def scale(self, total: float, area: float) -> float:
        """See `Loss`."""
        return 1.0

    def _loss(self, clusters: Clusters, squares: np.ndarray, joint: np.ndarray) -> np.ndarray:
        pixels = float(clusters.units.areas.sum())
        joined = squares - pixels
        regions = (clusters.region_squares - pixels)[:, None]
        expected = joined * regions / max(pixels * (pixels - 1), 1.0)
        most = (joined + regions) / 2
        # 0/0 where both are one region or both are single pixels: equal partitions.
        equal = most <= expected
        values = np.where(
            equal, 1.0, (joint - pixels - expected) / np.where(equal, 1.0, most - expected)
        )
        return 1 - clusters.units.weights @ values
