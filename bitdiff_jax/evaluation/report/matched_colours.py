"""Colours of maps that are shown side by side: a region has the same colour in all of them."""

from collections.abc import Sequence

import numpy as np

from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.data.contact_sheet import paint
from bitdiff_jax.evaluation.host_contingency import contingency

# Greatest number of regions times regions that are matched; more colours would look alike.
_MAX_CELLS = 1 << 20


def by_area(ids: np.ndarray) -> np.ndarray:
    """The map with ids 0..n-1 from the largest region down, which get the most distinct colours.

    Args:
        ids: int [h, w]; negative pixels become -1.
    """
    numbers = labelmaps.compact(np.asarray(ids))[0]
    count = int(numbers.max()) + 1
    areas = np.bincount(numbers[numbers >= 0], minlength=count)
    new = np.empty(count + 1, np.int32)
    new[np.argsort(-areas, kind="stable")] = np.arange(count)
    new[-1] = -1
    return new[numbers]


def alike(ids: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The map with the reference's ids where regions are matched, one to one by pixels shared.

    Args:
        ids: int [h, w].
        reference: int [h, w], ids 0..n-1.

    Returns:
        int32 [h, w]; regions without a match get ids from n on, negative pixels -1.
    """
    # Imported here: reading the package must not cost the import of scipy.
    from scipy.optimize import linear_sum_assignment

    numbers = by_area(ids)
    count, taken = int(numbers.max()) + 1, int(reference.max()) + 1
    new = np.full(count + 1, -1, np.int32)
    if 0 < count * taken <= _MAX_CELLS:
        # What is in no region competes for the reference's regions, as its background does, but
        # gets no colour: or an object would be painted like the background around it.
        table = contingency(np.where(numbers >= 0, numbers, count), reference)
        rows, columns = linear_sum_assignment(-table)
        shares = (table[rows, columns] > 0) & (rows < count)
        new[rows[shares]] = columns[shares]
    left = np.flatnonzero(new[:-1] < 0)
    new[left] = taken + np.arange(len(left))
    return new[numbers]


def painted(maps: Sequence[np.ndarray], cell: int) -> list[np.ndarray]:
    """Maps of one image, of any sizes, painted with the first one's colours.

    Args:
        maps: maps int [h, w]; negative pixels are near black.
        cell: longest side, in pixels, of each result.

    Returns:
        Images uint8 [h, w, 3] with white boundaries.
    """
    height, width = maps[0].shape
    shape = transforms.resized_shape(height, width, cell)
    small = [labelmaps.at_centres(np.asarray(each), shape) for each in maps]
    reference = by_area(small[0])
    return [paint(each) for each in (reference, *(alike(each, reference) for each in small[1:]))]


def photo(image: np.ndarray, cell: int) -> np.ndarray:
    """The image at that longest side, uint8 [h, w, 3]."""
    height, width = image.shape[:2]
    return transforms.resize_image(image, transforms.resized_shape(height, width, cell))
