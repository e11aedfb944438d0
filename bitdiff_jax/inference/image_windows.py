"""Parts of a large image, at its own size or smaller, without holding all of it."""

from typing import Any

import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError

_STRIP = 2**22  # pixels of the image that are read at once


def shape_of(image: Any) -> tuple[int, int]:
    """(h, w) of what stands for an image.

    Raises:
        InputError: it is no uint8 [h, w, 3].
    """
    shape: tuple[int, ...] = getattr(image, "shape", ())
    dtype = getattr(image, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or not all(shape):
        raise InputError(
            f"image is {dtype or type(image).__name__} of shape {tuple(shape)}; give uint8 "
            "[h, w, 3], each side at least 1"
        )
    return int(shape[0]), int(shape[1])


def window(image: Any, shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    """A part of the image as it is when resized by area to a smaller shape.

    Args:
        image: uint8 [h, w, 3]; anything that gives arrays of its parts for `image[rows, columns]`.
        shape: (h', w'), at most (h, w).
        rows: of the smaller image.
        columns: of the smaller image.

    Returns:
        uint8 [rows, columns, 3].
    """
    height, width = shape_of(image)
    if shape == (height, width):
        return np.ascontiguousarray(image[rows, columns])
    left, right = _source(columns.start, columns.stop, width, shape[1])
    at_once = max(1, _STRIP * shape[0] // ((right - left) * height))
    strips = []
    for first in range(rows.start, rows.stop, at_once):
        last = min(first + at_once, rows.stop)
        top, bottom = _source(first, last, height, shape[0])
        strip = np.ascontiguousarray(image[top:bottom, left:right])
        strips.append(transforms.resize_image(strip, (last - first, columns.stop - columns.start)))
    return np.concatenate(strips)


def _source(start: int, stop: int, large: int, small: int) -> tuple[int, int]:
    """The pixels of the larger side that lie under some of the smaller one."""
    return start * large // small, -(-stop * large // small)
