"""Masks that an edit is drawn with, and their text."""

import itertools

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points


def as_mask(marked: ArrayLike, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A mask or a line as bool [h, w].

    Args:
        marked: bool [h, w]; or integers [n, 2], the points (row, column) of a line, n >= 1.
        shape: (h, w) of the image.
        name: of the argument, for messages.

    Raises:
        InputError: neither, of another shape, outside of the image, or empty.
    """
    wanted = f"bool {tuple(shape)}, or the points [n, 2] of a line, at least one"
    found = points.as_array(marked, name, wanted)
    if found.dtype == bool:
        if found.shape != shape:
            raise InputError(
                f"{name} has shape {found.shape}; give bool of the image's shape, {tuple(shape)}"
            )
        if not found.any():
            raise InputError(f"{name}: is empty; mark at least one pixel")
        return found.copy()
    if found.size == 0 or found.ndim != 2 or found.shape[1] != 2:
        raise InputError(f"{name} is {found.dtype} of shape {found.shape}; give {wanted}")
    points.atoms_at(np.zeros(shape, np.int32), found, name)
    mask = np.zeros(shape, bool)
    mask[tuple(found.T)] = True
    for start, end in itertools.pairwise(found):
        steps = int(np.abs(end - start).max())
        line = np.rint(np.linspace(start, end, steps + 1)).astype(np.intp)
        mask[tuple(line.T)] = True
    return mask


def as_point(point: ArrayLike, shape: tuple[int, int], name: str) -> tuple[int, int]:
    """A point of an image as (row, column).

    Args:
        point: two integers.
        shape: (h, w) of the image.
        name: of the argument, for messages.

    Raises:
        InputError: it is none, several, or outside of the image.
    """
    if points.atoms_at(np.zeros(shape, np.int32), point, name).ndim:
        raise InputError(f"{name} takes one point (row, column), got {points.brief(point)}")
    row, column = np.asarray(point).tolist()
    return row, column


def far_from(near: np.ndarray, inside: np.ndarray, share: float) -> np.ndarray:
    """Pixels of a region, bool [h, w], that are far from some of its pixels.

    Args:
        near: bool [h, w], at least one true.
        inside: bool [h, w], the region.
        share: of the distance of the farthest pixel of the region, from which a pixel is far.
    """
    distance = ndimage.distance_transform_edt(~near)
    farthest = distance[inside].max()
    far: np.ndarray = inside & ~near & (distance >= share * farthest)
    return far


def runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a mask along its rows, the first of false pixels (it may be 0)."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def of_runs(lengths: list[int], shape: tuple[int, int]) -> np.ndarray:
    """The mask bool [h, w] of its `runs`.

    Raises:
        InputError: they are no lengths, or of another number of pixels.
    """
    size = shape[0] * shape[1]
    try:
        counts = np.array(lengths, np.int64)
        # None is longer than the image: the sum of longer ones might wrap round to its size.
        valid = counts.ndim == 1 and ((counts >= 0) & (counts <= size)).all()
        total = sum(counts.tolist()) if valid else -1
    except (TypeError, ValueError, OverflowError):
        total = -1
    if total != size:
        raise InputError(
            f"mask: its runs do not have the {shape[0]} x {shape[1]} pixels of the image; give "
            "those that were saved for it"
        )
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(shape)
