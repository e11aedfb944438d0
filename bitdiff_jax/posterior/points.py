"""Points of an image, by which questions about regions are asked."""

import reprlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.boundary_pixels import border_pixels


def atoms_at(index: np.ndarray, points: ArrayLike, name: str) -> np.ndarray:
    """The atoms that points lie in.

    Args:
        index: int32 [h, w], the atom of each pixel, -1 where it is ignored.
        points: integers [..., 2], (row, column), from 0.
        name: of the argument, for the message.

    Returns:
        int32 [...].

    Raises:
        InputError: a point is no (row, column) of integers, lies outside, or is ignored.
    """
    found = _as_points(points, name)
    rows, columns = found[..., 0], found[..., 1]
    height, width = index.shape
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    if outside.any():
        raise InputError(
            f"{name}: point {_first(found, outside)} lies outside of {height} x {width} pixels; "
            "points are (row, column), from 0"
        )
    atoms: np.ndarray = index[rows, columns]
    if (atoms < 0).any():
        raise InputError(
            f"{name}: point {_first(found, atoms < 0)} is ignored (-1) by a label map; choose a "
            "pixel that all maps label"
        )
    return atoms


def as_array(values: Any, name: str, wanted: str) -> np.ndarray:
    """An argument as an array.

    Args:
        values: the argument.
        name: of it, for the message.
        wanted: what it should be, likewise.

    Raises:
        InputError: it has rows of different lengths.
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError(f"{name} has rows of different lengths; give {wanted}") from None


def brief(value: Any) -> str:
    """A value in one line, for a message."""
    return " ".join(reprlib.repr(value).split())


def _as_points(points: ArrayLike, name: str) -> np.ndarray:
    found = as_array(points, name, "(row, column) of integers, or an array [..., 2]")
    if found.ndim < 1 or found.shape[-1] != 2 or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            f"{name} must be (row, column) of integers, or an array [..., 2], got {brief(points)}"
        )
    return found


def _first(points: np.ndarray, where: np.ndarray) -> tuple[Any, ...]:
    return tuple(points[where].reshape(-1, 2)[0].tolist())


def interior(index: np.ndarray, count: int) -> np.ndarray:
    """The most interior pixel of each atom: the one farthest from all other atoms and the edge.

    Args:
        index: int32 [h, w], the atom of each pixel, -1 where it is ignored.
        count: number of atoms.

    Returns:
        intp [count, 2], (row, column); of equals the first in raster order.
    """
    padded = np.pad(index, 1, constant_values=-1)
    border = border_pixels(padded, np.ones(padded.shape, bool))
    depth = ndimage.distance_transform_edt(~border)[1:-1, 1:-1]
    labelled = np.flatnonzero(index.ravel() >= 0)
    atom = index.ravel()[labelled]
    order = labelled[np.lexsort((labelled, -depth.ravel()[labelled], atom))]
    first = np.searchsorted(index.ravel()[order], np.arange(count))
    return np.stack(np.divmod(order[first], index.shape[1]), axis=1)
