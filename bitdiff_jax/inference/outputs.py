"""What a segmentation is shown as: ids, colours, overlay, agreement, tables.

A full disk or a killed process leaves the old file or none, never half of one.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from etils import epath
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from bitdiff_jax import files
from bitdiff_jax.data.contact_sheet import NUM_COLOURS, region_colours
from bitdiff_jax.data.images import MAX_LABEL
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.region_table import Region

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

CSV_COLUMNS = (
    "image", "file", "region", "area", "area_low", "area_high", "top", "left", "bottom", "right",
    "centroid_row", "centroid_column", "mean_red", "mean_green", "mean_blue", "agreement", "pieces",
)  # fmt: skip
REGIONS, IMAGES, OVERVIEW = "regions.csv", "images.csv", "overview.png"

_TINT = 0.45
# The next level takes twice the time for a photo with regions, to save 2 %.
_PNG_COMPRESSION = 4
# A boundary is one pixel wide up to this longest side, and grows with the image.
_PIXELS_PER_WIDTH = 600


class ImageRow(NamedTuple):
    """One image of images.csv."""

    image: str
    file: str
    height: int
    width: int
    num_samples: int
    num_regions: int  # without the background, where the model knows one
    num_regions_low: int | None  # in the samples, see `Segmentation.num_regions_interval`
    num_regions_high: int | None
    agreement: float | None  # mean over the image; None for a single sample
    confidence: float  # mean over the image and the samples
    warnings: Sequence[str]  # why the result is not to be trusted


def as_ids(label_map: np.ndarray) -> np.ndarray:
    """Ids as uint16 [h, w], which `data.images.read_labels` gives back unchanged from a PNG.

    Args:
        label_map: integers [h, w] in 0..65535.

    Raises:
        InputError: an id beyond 16 bits.
    """
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high > MAX_LABEL:
        raise InputError(
            f"label_map: ids from {low} to {high} do not fit 16 bits (0..{MAX_LABEL}); renumber "
            "them"
        )
    return label_map.astype(np.uint16)


def colours(label_map: np.ndarray) -> np.ndarray:
    """The regions in colours far apart, uint8 [h, w, 3], with white boundaries; as in `overlay`.

    Args:
        label_map: integers [h, w], ids >= 1; 0 is the background, which is black.
    """
    painted = region_colours()[(label_map - 1) % NUM_COLOURS]
    painted[label_map == 0] = 0
    painted[_boundaries(label_map)] = 255
    return painted


def as_grey(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1, float [h, w], as uint8 [h, w]: 255 = 1; NaN, which is unknown, is 0."""
    return np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)


def agreement_with_legend(agreement: np.ndarray, num_samples: int) -> np.ndarray:
    """The agreement in grey, and below it a bar that says what grey is which value.

    Args:
        agreement: float [h, w] in [0, 1].
        num_samples: of how many samples.

    Returns:
        uint8 [H, W], H > h and W >= w: the first h rows and w columns are the values, 255 = 1.
    """
    height, width = agreement.shape
    size = int(np.clip(width // 32, 11, 40))
    font = ImageFont.load_default(size)
    texts = (
        f"agreement of {num_samples} samples, mean {agreement.mean():.2f}",
        "0: each sample draws another region here",
        "1: all samples draw the same region here",
    )
    margin, bar, pitch = size // 2, size, math.ceil(1.3 * size)
    # The font's own space all but vanishes in small sizes.
    space = max(3, round(0.3 * size))
    box = max(write_words(None, (0, 0), text, font, space) for text in texts) + 2 * margin
    total = max(width, box)
    legend = Image.new("L", (total, margin * 2 + bar + len(texts) * pitch), 255)
    draw = ImageDraw.Draw(legend)
    grey = np.rint(np.linspace(0, 255, total - 2 * margin - 2 * size)).astype(np.uint8)
    left = margin + size
    draw.text((margin, margin), "0", fill=0, font=font)
    draw.text((total - margin - size // 2, margin), "1", fill=0, font=font)
    ramp = Image.fromarray(np.broadcast_to(grey, (bar, len(grey))).copy())
    legend.paste(ramp, (left, margin))
    draw.rectangle((left - 1, margin - 1, left + len(grey), margin + bar), outline=0)
    for line, text in enumerate(texts):
        write_words(draw, (margin, 2 * margin + bar + line * pitch), text, font, space)
    whole = np.full((height + legend.height, total), 255, np.uint8)
    whole[:height, :width] = as_grey(agreement)
    whole[height:] = np.asarray(legend)
    return whole


def write_words(
    draw: ImageDraw.ImageDraw | None,
    at: tuple[int, int],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    space: int,
) -> int:
    """Writes black words `space` pixels apart, or only measures them; where the last one ends."""
    left, top = at
    for word in text.split():
        if draw is not None:
            draw.text((left, top), word, fill=0, font=font)
        left += math.ceil(font.getlength(word)) + space
    return left - space


def region_fields(name: str, file: str, regions: Iterable[Region]) -> list[Sequence[str]]:
    """The rows of one image in regions.csv, see `CSV_COLUMNS`.

    Args:
        name: of the image among the results.
        file: from which it was read.
        regions: of the image. `agreement`, `area_low` and `area_high` are left empty where there
            was nothing to compare.
    """
    return [
        [name, file, str(region.id), str(region.area)]
        + [str(value) for value in region.area_interval or ("", "")]
        + [str(value) for value in region.box]
        + [f"{value:.2f}" for value in region.centroid]
        + [f"{value:.1f}" for value in region.mean_color]
        + ["" if region.agreement is None else f"{region.agreement:.4f}", str(region.pieces)]
        for region in regions
    ]


def image_row(segmentation: "Segmentation", name: str, file: str) -> ImageRow:
    """The line of one segmentation.

    Args:
        segmentation: of the image.
        name: of the image among the results.
        file: from which it was read.
    """
    agreement = segmentation.agreement
    low, high = segmentation.num_regions_interval or (None, None)
    return ImageRow(
        image=name,
        file=file,
        height=segmentation.shape[0],
        width=segmentation.shape[1],
        num_samples=segmentation.num_samples,
        num_regions=int(segmentation.label_map().max()),
        num_regions_low=low,
        num_regions_high=high,
        agreement=None if agreement is None else float(agreement.mean()),
        confidence=float(segmentation.certainty.mean()),
        warnings=segmentation.warnings,
    )


def image_fields(row: ImageRow) -> Sequence[str]:
    """The row of one image in images.csv, with the fields of `ImageRow`."""
    whole = row[: ImageRow._fields.index("agreement")]
    agreement = "" if row.agreement is None else f"{row.agreement:.4f}"
    warnings = "; ".join(row.warnings)
    numbers = ["" if value is None else str(value) for value in whole]
    return [*numbers, agreement, f"{row.confidence:.4f}", warnings]


def as_csv(*rows: Sequence[str]) -> bytes:
    """Rows of a table, its header among them, as the bytes of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    # File names that are no text keep their bytes.
    return text.getvalue().encode("utf-8", "surrogateescape")


def overlay(image: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """The image with its regions tinted in the colours of `colours`, and white boundaries.

    Args:
        image: uint8 [h, w, 3].
        label_map: integers [h, w], ids >= 1; 0 is the background, which is not tinted.

    Returns:
        uint8 [h, w, 3].
    """
    tints = region_colours().astype(np.float32)[(label_map - 1) % NUM_COLOURS]
    result = np.rint(image * np.float32(1 - _TINT) + tints * np.float32(_TINT)).astype(np.uint8)
    background = label_map == 0
    result[background] = image[background]
    result[_boundaries(label_map)] = 255
    return result


def _boundaries(label_map: np.ndarray) -> np.ndarray:
    """bool [h, w], wider in larger images."""
    width = 1 + max(label_map.shape) // _PIXELS_PER_WIDTH
    largest = ndimage.maximum_filter(label_map, size=width + 1, mode="nearest")
    smallest = ndimage.minimum_filter(label_map, size=width + 1, mode="nearest")
    return largest != smallest


def save_png(path: epath.PathLike, array: np.ndarray) -> None:
    """Writes uint8 [h, w, 3], uint8 [h, w] or uint16 [h, w] as PNG.

    Raises:
        InputError: the place cannot be written.
    """
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=_PNG_COMPRESSION)
    files.write(path, buffer.getvalue())
