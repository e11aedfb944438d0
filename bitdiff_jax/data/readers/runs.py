"""Masks as runs of pixels, from COCO's three forms: polygons, lists of counts, packed counts.

COCO writes a mask down its columns, from the left: so many pixels outside, so many inside, and so
on. A mask is kept as the runs inside, which are a hundredth of its pixels: painting a picture of
1333 x 800 from runs takes 3 ms where decoding and painting whole masks takes 60 ms. The counts are
checked too, which `pycocotools.mask.decode` does not do: of counts that end too early it returns
memory as it was before.
"""

import types
from typing import Any

import numpy as np

from bitdiff_jax.data.readers import json_values
from bitdiff_jax.errors import InputError

# More than any outline has; what a rasteriser allocates is proportional to it.
_MAX_OUTLINE = 1e6
# Seven characters of five bits hold any count of a picture of 2^32 pixels.
_MAX_CHARACTERS = 7


def runs(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The runs of pixels that a segmentation covers.

    Args:
        segmentation: as COCO has it: a list of polygons `[x0, y0, x1, y1, ...]`, of which the union
            is meant and those of fewer than three points cover nothing; or `{"size": [h, w],
            "counts": ...}` with a list of numbers or, packed, a string.
        height: h of the picture.
        width: w of the picture.

    Returns:
        intp [k, 2], begin and length of each run, none of them empty, ascending and disjoint, where
        pixel (row, column) is number `column * height + row`.

    Raises:
        InputError: counts that are not those of a mask of this size, polygons that are not lists of
            pairs of finite numbers, or, for polygons, pycocotools is not installed.
    """
    if isinstance(segmentation, list):
        counts = _polygon_counts(segmentation, height, width)
    elif isinstance(segmentation, dict):
        size = segmentation.get("size")
        if mask_size(size) != (height, width):
            raise InputError(f"a mask of size {size} for a picture of [{height}, {width}]")
        counts = _counts(segmentation.get("counts"))
    else:
        raise InputError(f"a segmentation must be polygons or RLE, not {segmentation!r:.40}")
    if counts.size and counts.min() < 0:
        raise InputError(f"RLE counts must not be negative, one is {counts.min()}")
    if counts.sum() != height * width:
        raise InputError(
            f"RLE counts cover {counts.sum()} pixels of {height * width}: the mask is damaged"
        )
    begins = np.cumsum(counts) - counts
    inside = np.stack([begins[1::2], counts[1::2]], axis=1).astype(np.intp)
    return inside[inside[:, 1] > 0]


def of_annotation(annotation: dict[str, Any], height: int, width: int, where: str) -> np.ndarray:
    """`runs` of a COCO annotation.

    Raises:
        InputError: as `runs`, which annotation and, in front, `where` it is.
    """
    try:
        return runs(annotation.get("segmentation"), height, width)
    except InputError as error:
        raise InputError(f"{where}: annotation {annotation.get('id')}: {error}") from None


def mask_size(size: Any) -> tuple[int, int] | None:
    """The `size` of a mask, [height, width], whole numbers in any form; None if it is no size."""
    if not isinstance(size, list) or len(size) != 2:
        return None
    try:
        height, width = (json_values.whole_number(side, "size", 1, 2**31 - 1) for side in size)
    except InputError:
        return None
    return height, width


def _counts(counts: Any) -> np.ndarray:
    if isinstance(counts, str):
        try:
            return unpack(counts.encode("ascii"))
        except UnicodeEncodeError:
            raise InputError("packed RLE counts must be ASCII: the mask is damaged") from None
    if not isinstance(counts, list):
        raise InputError(f"RLE counts must be a string or whole numbers, not {counts!r:.40}")
    if not all(type(n) is int for n in counts):
        counts = [json_values.whole_number(n, f"RLE count {k}") for k, n in enumerate(counts)]
    # Sums of numbers below 2^31 do not overflow.
    if any(abs(n) >= 2**31 for n in counts):
        raise InputError(f"RLE counts must be below 2^31, one is {max(counts, key=abs)}")
    return np.array(counts, np.int64)


def unpack(packed: bytes) -> np.ndarray:
    """The counts in COCO's packed form.

    Each count is a string of characters '0' to 'o', six bits each: five of the number, the lowest
    first, and whether more follow; the last one's fifth bit is the sign. From the fourth count on
    it is the difference to the count two before.

    Args:
        packed: the characters.

    Returns:
        int64 [n].

    Raises:
        InputError: another character, or a count that does not end or is too long.
    """
    codes = np.frombuffer(packed, np.uint8).astype(np.int64) - 48
    if not codes.size:
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise InputError("packed RLE counts are cut short or not COCO's: the mask is damaged")
    last = np.flatnonzero((codes & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last + 1 - first
    if lengths.max() > _MAX_CHARACTERS:
        raise InputError("packed RLE counts hold a number of more than 32 bits: it is damaged")
    place = np.arange(codes.size) - np.repeat(first, lengths)
    values = np.add.reduceat((codes & 31) << (5 * place), first)
    values -= np.where(codes[last] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _polygon_counts(polygons: list[Any], height: int, width: int) -> np.ndarray:
    if polygons and all(isinstance(each, int | float | str) for each in polygons):
        raise InputError(
            "the polygon is a flat list of numbers; a segmentation is a list of polygons: write "
            "[[x0, y0, x1, y1, ...]]"
        )
    outlines = [_outline(each) for each in polygons]
    if len(outlines) > 2 and all(len(outline) == 2 for outline in outlines):
        raise InputError(
            "the polygon is a list of points [x, y]; write the numbers of each polygon by turns in "
            "one list: [[x0, y0, x1, y1, ...]]"
        )
    outlines = [outline for outline in outlines if len(outline) >= 6]
    if not outlines:
        return np.array([height * width])
    mask = _pycocotools()
    pieces = mask.frPyObjects([outline.tolist() for outline in outlines], height, width)
    return unpack(mask.merge(pieces)["counts"])


def _outline(polygon: Any) -> np.ndarray:
    try:
        outline = np.array(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        outline = np.array(np.nan)
    if outline.ndim != 1 or len(outline) % 2 or not np.isfinite(outline).all():
        raise InputError(f"a polygon must be a list of x and y by turns, not {polygon!r:.40}")
    if outline.size < 6:
        return outline
    steps = np.abs(np.diff(outline.reshape(-1, 2), axis=0, append=outline[None, :2]))
    if np.abs(outline).max() + steps.max(axis=1).sum() > _MAX_OUTLINE:
        raise InputError("a polygon runs more than 10^6 pixels: it is damaged")
    return outline


def _pycocotools() -> types.ModuleType:
    try:
        from pycocotools import mask
    except ImportError:
        raise InputError("polygons need pycocotools; pip install 'bitdiff_jax[coco]'") from None
    return mask
