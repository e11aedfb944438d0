"""Pictures and label maps to network examples: resizing and padding, as pure numpy functions.

A picture goes into a network of size S like this (arXiv 2601.02881, released recipe): its longest
side is brought to S, its content sits in the top-left corner, the rest of the S x S square is
padding. Label maps are resized and renumbered by `bitdiff_jax.data.labelmaps`, whose functions are
here too.
"""

import functools
import zlib

import numpy as np
from scipy import sparse

from bitdiff_jax.data.labelmaps import (
    IGNORE,
    LabelMethod,
    LabelPadding,
    compact,
    compact_objects,
    renumber,
    resize_labels,
)
from bitdiff_jax.errors import InputError

__all__ = [
    "IGNORE",
    "LabelMethod",
    "LabelPadding",
    "compact",
    "example",
    "image_id",
    "pad_to_square",
    "renumber",
    "resize_image",
    "resize_labels",
    "resized_shape",
]

# A huge picture is resized in bands of rows of at most this many values.
_BAND_FLOATS = 1 << 23


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Shape of a picture whose longest side becomes `size`.

    The other side is round(ratio * size), halves to even, and at least 1.

    Raises:
        InputError: a side or `size` is below 1.
    """
    if min(height, width, size) < 1:
        raise InputError(
            f"cannot resize a {height}x{width} picture to size {size}: all three must be at least 1"
        )
    if height > width:
        return size, max(1, round(width / height * size))
    return max(1, round(height / width * size)), size


@functools.lru_cache(maxsize=512)
def _box_filter(source: int, target: int) -> sparse.csr_array:
    """The box filter from `source` to `target` pixels: float32 [target, source], rows sum to 1."""
    # The pieces of a side of source * target units, cut at every source and target pixel edge.
    starts = np.union1d(np.arange(source) * target, np.arange(target) * source)
    lengths = np.diff(starts, append=source * target)
    row_starts = np.searchsorted(starts, np.arange(target + 1) * source)
    weights = (lengths / source).astype(np.float32)
    return sparse.csr_array((weights, starts // target, row_starts), shape=(target, source))


def _turned(image: np.ndarray) -> np.ndarray:
    """[h, w, c] -> [w, h, c]: `image.transpose(1, 0, 2)`, copied by whole pixels, twice as fast."""
    height, width, channels = image.shape
    pixels = image.view(np.dtype((np.void, image.itemsize * channels)))[..., 0]
    return np.ascontiguousarray(pixels.T).view(image.dtype).reshape(width, height, channels)


def resize_image(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resizes by area: each target pixel is the mean of the source area that it covers.

    Equals OpenCV's INTER_AREA within 1 of 255, both when shrinking and when enlarging.

    Args:
        image: uint8 [h, w, c].
        shape: (height, width) of the result.

    Returns:
        uint8 [height, width, c], halves rounded to even; `image` itself if it has the shape
        already.
    """
    height, width, channels = image.shape
    target_height, target_width = shape
    if (height, width) == (target_height, target_width):
        return image
    rows = _box_filter(height, target_height)
    columns = _box_filter(width, target_width)
    reduced = np.empty((target_height, width * channels), np.float32)
    source_rows = max(1, _BAND_FLOATS // (width * channels))
    band = max(1, source_rows * target_height // height)
    for first in range(0, target_height, band):
        last = min(first + band, target_height)
        # Outside this range of source rows the weights of the band are zero.
        top, bottom = first * height // target_height, -(-last * height // target_height)
        block = image[top:bottom].reshape(bottom - top, -1).astype(np.float32)
        whole = last - first == target_height
        reduced[first:last] = (rows if whole else rows[first:last, top:bottom]) @ block
    turned = _turned(reduced.reshape(target_height, width, channels))
    resized = columns @ turned.reshape(width, target_height * channels)
    # The mean of bytes lies in 0..255 up to float32 rounding, which rint removes.
    resized = np.rint(resized, out=resized).astype(np.uint8)
    return _turned(resized.reshape(target_width, target_height, channels))


def pad_to_square(array: np.ndarray, size: int, value: int = 0) -> np.ndarray:
    """Puts `array` [h, w, ...] at the top-left of a [size, size, ...] array filled with `value`."""
    height, width = array.shape[:2]
    if max(height, width) > size:
        raise InputError(f"a {height}x{width} array does not fit size {size}: resize it first")
    padded = np.full((size, size, *array.shape[2:]), value, array.dtype)
    padded[:height, :width] = array
    return padded


def image_id(name: str) -> int:
    """crc32 of an example's name: the same on every machine and in every run."""
    return zlib.crc32(name.encode())


def example(
    image: np.ndarray,
    labels: np.ndarray,
    size: int,
    *,
    name: str = "",
    label_padding: LabelPadding = IGNORE,
    label_method: LabelMethod = "majority",
    reserve_zero: bool = False,
    has_background: bool = False,
    image_scale: int = 1,
) -> dict[str, np.ndarray]:
    """One network example: resized, padded, renumbered.

    Args:
        image: uint8 [h, w, 3].
        labels: int32 [h, w], ids >= 0 and -1 = ignore.
        size: S, side of the network's square.
        name: the example's name, for `image_id`.
        label_padding: -1, or 0 as released: the padding then is of the region with original id 0.
        label_method: see `resize_labels`.
        reserve_zero: id 0 of the example is the background's alone, whether there is any or not.
        has_background: id 0 of `labels` is the background. Without `reserve_zero` it is a region
            like the others.
        image_scale: how many times S the image's square measures.

    Returns:
        'image' uint8 [M, M, 3] padded with 0, where M = image_scale * S, 'labels' int32 [S, S]
        with ids 0..n-1 ascending by original id, or 1..n with `reserve_zero` and 0 for the
        background, 'size' int32 [2] = (height, width) of the content of 'labels', 'image_id'
        uint32 [].
    """
    height, width = image.shape[:2]
    shape = resized_shape(height, width, size)
    resized = resize_labels(labels.astype(np.int32, copy=False), shape, label_method)
    ids = pad_to_square(resized, size, label_padding)
    larger = (shape[0] * image_scale, shape[1] * image_scale)
    return {
        "image": pad_to_square(resize_image(image, larger), size * image_scale),
        "labels": compact_objects(ids, has_background) if reserve_zero else compact(ids)[0],
        "size": np.asarray(shape, np.int32),
        "image_id": np.asarray(image_id(name), np.uint32),
    }
