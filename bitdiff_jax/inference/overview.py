"""The first images of a call side by side: what to look at first."""

import functools
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from bitdiff_jax.data import transforms
from bitdiff_jax.data.contact_sheet import contact_sheet
from bitdiff_jax.inference import outputs

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

MOST = 8  # images on it
_CELL = 256  # pixels of the longest side of each


class Overview:
    """Collects images and their segmentations, a column each, up to `MOST`."""

    def __init__(self) -> None:
        self._columns: list[list[np.ndarray]] = []

    def add(self, result: "Segmentation") -> bool:
        """Takes a result if there is room; whether there was.

        Its column is the image, the regions over it and, of several samples, their agreement.
        """
        if len(self._columns) == MOST:
            return False
        shape = transforms.resized_shape(*result.shape, _CELL)
        smaller = functools.partial(transforms.resize_image, shape=shape)
        image = smaller(result.image)
        labels = transforms.resize_labels(result.label_map(), shape, "majority")
        column = [image, outputs.overlay(image, labels)]
        if result.agreement is not None:
            grey = outputs.as_grey(result.agreement)
            column.append(smaller(np.repeat(grey[..., None], 3, axis=-1)))
        self._columns.append(column)
        return True

    def save(self, folder: epath.Path) -> None:
        """Writes `outputs.OVERVIEW`.

        Raises:
            InputError: the place cannot be written.
        """
        rows = list(zip(*self._columns, strict=True))
        outputs.save_png(folder / outputs.OVERVIEW, contact_sheet(rows, cell=_CELL))
