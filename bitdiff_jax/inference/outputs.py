"""Files of a segmentation: label maps, overlays, agreement, the table of regions.

A full disk or a killed process leaves the old file or none, never half of one.
"""

import csv
import io
from collections.abc import Iterable

import numpy as np
from etils import epath
from PIL import Image
from scipy import ndimage

from bitdiff_jax import files
from bitdiff_jax.data.images import MAX_LABEL
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.region_table import Region

CSV_COLUMNS = (
    "image", "file", "region", "area", "top", "left", "bottom", "right", "centroid_row",
    "centroid_column", "mean_red", "mean_green", "mean_blue", "agreement",
)  # fmt: skip

_TINT = 0.45
_GOLDEN_TURN = 0.618034
# A boundary is one pixel wide up to this longest side, and grows with the picture.
_PIXELS_PER_WIDTH = 600


def save_label_map(path: epath.PathLike, label_map: np.ndarray) -> None:
    """Writes ids as a 16-bit grey PNG, which `data.images.read_labels` gives back unchanged.

    Args:
        path: where to; its folder must exist.
        label_map: integers [h, w] in 0..65535.

    Raises:
        InputError: an id beyond 16 bits, or a place that cannot be written.
    """
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high > MAX_LABEL:
        raise InputError(
            f"{path}: ids from {low} to {high} do not fit 16 bits (0..{MAX_LABEL}); renumber them"
        )
    _save_png(path, label_map.astype(np.uint16))


def save_overlay(path: epath.PathLike, image: np.ndarray, label_map: np.ndarray) -> None:
    """Writes `overlay(image, label_map)` as PNG; errors as `save_label_map`."""
    _save_png(path, overlay(image, label_map))


def save_agreement(path: epath.PathLike, agreement: np.ndarray) -> None:
    """Writes values [h, w] in [0, 1] as 8-bit grey PNG, 255 = 1; errors as `save_label_map`."""
    _save_png(path, np.rint(np.clip(agreement, 0, 1) * 255).astype(np.uint8))


def save_regions(
    path: epath.PathLike, results: Iterable[tuple[str, str, Iterable[Region]]]
) -> None:
    """Writes the regions of several pictures as one CSV with a header, see `CSV_COLUMNS`.

    Args:
        path: where to; its folder must exist.
        results: (name, file, regions) of each picture. `agreement` is left empty where there was
            nothing to compare.

    Raises:
        InputError: the place cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, file, regions in results:
        for region in regions:
            writer.writerow(
                [name, file, region.id, region.area, *region.box]
                + [f"{value:.2f}" for value in region.centroid]
                + [f"{value:.1f}" for value in region.mean_color]
                + ["" if region.agreement is None else f"{region.agreement:.4f}"]
            )
    # File names that are no text keep their bytes.
    files.write(path, text.getvalue().encode("utf-8", "surrogateescape"))


def overlay(image: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """The picture with its regions tinted in colours far apart, and their boundaries in white.

    Args:
        image: uint8 [h, w, 3].
        label_map: integers [h, w], ids >= 1.

    Returns:
        uint8 [h, w, 3].
    """
    colors = _colors(int(label_map.max()))
    tinted = image * np.float32(1 - _TINT) + (colors * np.float32(_TINT))[label_map - 1]
    result = np.rint(tinted).astype(np.uint8)
    width = 1 + max(label_map.shape) // _PIXELS_PER_WIDTH
    largest = ndimage.maximum_filter(label_map, size=width + 1, mode="nearest")
    smallest = ndimage.minimum_filter(label_map, size=width + 1, mode="nearest")
    result[largest != smallest] = 255
    return result


def _colors(count: int) -> np.ndarray:
    """float32 [count, 3] in 0..255: hues a golden section apart, in three strengths in turn."""
    index = np.arange(count)
    hue = (index * _GOLDEN_TURN) % 1
    strength = np.array([1.0, 0.65, 0.8])[index % 3]
    offsets = np.array([0, 1 / 3, 2 / 3])
    # A triangle wave for each primary: one turn of hue without the branches of HSV.
    wave = np.clip(np.abs(((hue[:, None] + offsets) % 1) * 6 - 3) - 1, 0, 1)
    return (255 * strength[:, None] * wave).astype(np.float32)


def _save_png(path: epath.PathLike, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    files.write(path, buffer.getvalue())
