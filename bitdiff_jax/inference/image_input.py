"""What a caller may hand in as a picture -> uint8 RGB."""

import os
from typing import Any

import jax
import numpy as np
from PIL import Image

from bitdiff_jax.data import file_names, images
from bitdiff_jax.errors import InputError


def as_rgb(image: Any) -> np.ndarray:
    """Brings a picture to uint8 [h, w, 3].

    Args:
        image: the path of an image file, read as `data.images.read_image` says; or an array, uint8
            [h, w, 3], grey [h, w] or [h, w, 1], or with alpha [h, w, 4], laid over white.

    Raises:
        InputError: a file that cannot be read, or an empty name of one; another type, dtype or
            shape; no pixels.
    """
    if _is_path(image):
        if not os.fspath(image):
            raise InputError("image: the name of the file is empty; give its path")
        return images.read_image(image)
    if not isinstance(image, (np.ndarray, jax.Array)):
        raise InputError(
            f"image is a {type(image).__name__}; give a path, or a uint8 array [h, w, 3] such as "
            "numpy.asarray(picture.convert('RGB'))"
        )
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise InputError(
            f"image has dtype {array.dtype}; scale it to 0..255 and convert it with "
            ".astype(numpy.uint8)"
        )
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise InputError(
            f"image has shape {array.shape}; give [h, w, 3], [h, w] for grey or [h, w, 4] with "
            "alpha, each side at least 1"
        )
    if channels == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if channels == 4:
        picture = Image.fromarray(np.ascontiguousarray(array))
        white = Image.new("RGBA", picture.size, "white")
        return np.array(Image.alpha_composite(white, picture).convert("RGB"))
    return array


def name_of(image: Any) -> str:
    """The name under which a picture draws its randomness: a path's stem, '' for an array."""
    if not _is_path(image):
        return ""
    stem = os.path.splitext(os.path.basename(os.fspath(image)))[0]
    return file_names.as_text(stem)


def file_of(image: Any) -> str:
    """The path of a picture's file, '' for an array."""
    return os.fspath(image) if _is_path(image) else ""


def _is_path(image: Any) -> bool:
    return isinstance(image, (str, os.PathLike))
