"""Features of an image that an encoder computed before training, and what a crop shows of them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from bitdiff_jax import feature_grids
from bitdiff_jax.feature_grids import WHOLE, StoredCells, View

# Values are kept in 8 bits, at a scale of its own for each channel.
_LARGEST = 127


@dataclasses.dataclass(frozen=True)
class Cells:
    """Features of the cells of one image.

    Attributes:
        values: int8 [gh, gw, C].
        scale: float32 [C]; a feature is its value times this.
        extent: (height, width) of the image in cells, where a part of a cell counts as such.
    """

    values: np.ndarray
    scale: np.ndarray
    extent: tuple[float, float]

    @classmethod
    def of(cls, features: np.ndarray, extent: tuple[float, float]) -> "Cells":
        """The cells of an image out of what an encoder returned, float [G, G, C]."""
        height, width = (int(np.ceil(side)) for side in extent)
        cells = np.asarray(features[:height, :width], np.float32)
        scale = np.maximum(np.abs(cells).max((0, 1)), 1e-12).astype(np.float32) / _LARGEST
        return cls(np.rint(cells / scale).astype(np.int8), scale, extent)

    def stored(
        self, view: View, size: tuple[int, int], side: int, grid: int, most: int
    ) -> StoredCells:
        """The cells as a training batch holds them, [most, most, C], with what reads a view off."""
        rows, columns = feature_grids.view_weights(
            np, self.values.shape, self.extent, view, size, side, grid
        )
        height, width, channels = self.values.shape
        values = np.zeros((most, most, channels), np.int8)
        values[:height, :width] = self.values
        return StoredCells(
            values,
            self.scale,
            np.pad(rows, ((0, 0), (0, most - height))),
            np.pad(columns, ((0, 0), (0, most - width))),
        )

    def resampled(self, view: View, size: tuple[int, int], side: int, grid: int) -> np.ndarray:
        """Features of a view, float16 [grid, grid, C]; see `feature_grids.resample`."""
        cells = self.values.astype(np.float32)
        found = feature_grids.resample(np, cells, self.extent, view, size, side, grid)
        return (found * self.scale).astype(np.float16)


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of an image and of its mirror image.

    Attributes:
        read: function of whether the image is mirrored that returns the cells.
    """

    read: Callable[[bool], Cells]

    def resampled(
        self, size: tuple[int, int], side: int, grid: int, view: View = WHOLE
    ) -> np.ndarray:
        """Features of a view, float16 [grid, grid, C].

        Args:
            size: (h, w) in pixels that the view fills of the square that the network sees.
            side: pixels along that square.
            grid: cells along it.
            view: what is shown of the image.
        """
        return self.read(view.mirrored).resampled(view, size, side, grid)
