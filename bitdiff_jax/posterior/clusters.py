"""A partition of units while it is being searched: what each cluster shares with each region."""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.posterior.units import Units

# Empty clusters made at a time: each time the overlaps are copied.
_SPARE = 8


class Remainder(NamedTuple):
    """A partition without one of its units, as far as it matters where that unit goes.

    Attributes:
        area: float, pixels of the unit.
        areas: float64 [k], pixels of each cluster without it.
        shared: float64 [m, k], pixels that the unit's region in each partition shares with each
            cluster, without it.
        squares: as in `Clusters`, without it.
        joint_squares: the same.
    """

    area: float
    areas: np.ndarray
    shared: np.ndarray
    squares: float
    joint_squares: np.ndarray


class Clusters:
    """Areas of clusters and of their overlaps, kept up to date while units move.

    There is always an empty cluster, into which a unit may be put to be alone.

    Attributes:
        labels: intp [u], the cluster of each unit.
        areas: float64 [k], pixels of each cluster; exact, as all areas here.
        overlaps: float64 [c, k], pixels that each region (a column of `units`) and cluster share.
        squares: sum of the squares of `areas`.
        joint_squares: float64 [m], the same of the overlaps with each partition.
        region_squares: float64 [m], the same of the regions of each partition.
        starts: intp [m], the first column of each partition.
    """

    def __init__(self, units: Units, labels: np.ndarray):
        """Counts the overlaps.

        Args:
            units: what is put into clusters.
            labels: int [u], the cluster of each unit, numbered from 0.
        """
        self.units = units
        self.labels = labels.astype(np.intp)
        size, count = len(units.column_weights), int(labels.max()) + 2
        self.areas = np.bincount(labels, units.areas, minlength=count)
        cells = (units.columns * count + labels).ravel()
        each = np.broadcast_to(units.areas, units.columns.shape).ravel()
        self.overlaps = np.bincount(cells, each, minlength=size * count).reshape(size, count)
        self.starts = units.columns.min(axis=1)
        self.squares = float((self.areas**2).sum())
        self.joint_squares = np.add.reduceat((self.overlaps**2).sum(axis=1), self.starts)
        self.region_squares = np.add.reduceat(self.overlaps.sum(axis=1) ** 2, self.starts)

    def without(self, unit: int) -> Remainder:
        """What is left without a unit, of which its regions alone are looked at."""
        area, own = self.units.areas[unit], self.labels[unit]
        areas, shared = self.areas.copy(), self.overlaps[self.units.columns[:, unit]]
        areas[own] -= area
        shared[:, own] -= area
        squares = self.squares - area * (2 * areas[own] + area)
        joint_squares = self.joint_squares - area * (2 * shared[:, own] + area)
        return Remainder(area, areas, shared, squares, joint_squares)

    def move(self, unit: int, cluster: int) -> None:
        """Moves a unit to another cluster."""
        if self.areas[cluster] == 0 and (self.areas == 0).sum() == 1:
            self.areas = np.pad(self.areas, (0, _SPARE))
            self.overlaps = np.pad(self.overlaps, ((0, 0), (0, _SPARE)))
        self._add(unit, self.labels[unit], -self.units.areas[unit])
        self._add(unit, cluster, self.units.areas[unit])
        self.labels[unit] = cluster

    def _add(self, unit: int, cluster: int, area: float) -> None:
        columns = self.units.columns[:, unit]
        self.squares += area * (2 * self.areas[cluster] + area)
        self.joint_squares += area * (2 * self.overlaps[columns, cluster] + area)
        self.areas[cluster] += area
        self.overlaps[columns, cluster] += area
