"""What an encoder made of an image, kept small until someone asks for it pixel by pixel."""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.data import labelmaps


class EncodedImage(NamedTuple):
    """The cells of the square that the network sees, in whose upper left corner the image lies."""

    cells: np.ndarray  # floating-point [g, g, C]
    side: int  # of the square, in pixels of the maps

    def pixels(self, height: int, width: int) -> np.ndarray:
        """The features of each pixel of a map, that of the cell in which it lies.

        Args:
            height: h, of the map, at most `side`.
            width: w, of the map, at most `side`.

        Returns:
            [h, w, C], of the type of `cells`.
        """
        square = labelmaps.at_centres(np.moveaxis(self.cells, -1, 0), (self.side, self.side))
        return np.moveaxis(square[:, :height, :width], 0, -1).copy()
