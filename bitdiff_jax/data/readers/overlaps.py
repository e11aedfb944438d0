"""Masks that may overlap, painted into one map of region ids."""

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np

from bitdiff_jax.data.labelmaps import IGNORE

Order = Literal["later", "earlier", "smaller"]
ORDERS: tuple[str, ...] = get_args(Order)
Mask = tuple[int, np.ndarray]


def paint(
    masks: Iterable[Mask],
    height: int,
    width: int,
    *,
    order: Order = "later",
    uncovered: int = IGNORE,
) -> np.ndarray:
    """One map of masks that may overlap: in each pixel lies the id of one mask.

    Args:
        masks: id and runs of each, as `runs.runs` returns them; several may have one id.
        height: h of the picture.
        width: w of the picture.
        order: which mask a pixel of several belongs to: the 'later' or the 'earlier' of the list,
            or the 'smaller' one by its whole area, of equal ones the later.
        uncovered: what pixels of no mask become.

    Returns:
        int32 [h, w]. The id of a mask that is empty or lies below others altogether is not in it.
    """
    # By columns, as the runs are numbered.
    columns = np.full(width * height, uncovered, np.int32)
    for region, pixels in ordered(masks, order):
        columns[_numbers(pixels)] = region
    return np.ascontiguousarray(columns.reshape(width, height).T)


def ordered(masks: Iterable[Mask], order: Order) -> list[Mask]:
    """The masks as they are painted one over the other, the lowest first; see `paint`."""
    if order == "earlier":
        return list(masks)[::-1]
    if order == "smaller":
        return sorted(masks, key=lambda mask: -int(mask[1][:, 1].sum()))
    return list(masks)


def _numbers(pixels: np.ndarray) -> np.ndarray:
    """The numbers of all pixels of the runs."""
    begins, lengths = pixels.T
    before = np.cumsum(lengths) - lengths
    return np.repeat(begins - before, lengths) + np.arange(lengths.sum())
