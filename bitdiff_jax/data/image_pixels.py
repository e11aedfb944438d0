"""Pixels as Pillow decodes them: as 8-bit RGB, or as the numbers that a file stores."""

import os

import numpy as np
from PIL import Image, ImageFile

from bitdiff_jax.data import image_files
from bitdiff_jax.errors import InputError

# Pillow stretches 2- and 4-bit grey to 0..255; a label map wants the stored number back.
_STRETCHED = {"L;2": 85, "L;4": 17}
# Of cameras and microscopes, which write their numbers into 16 bits as they are.
_BIT_DEPTHS = (8, 10, 12, 14, 16)
_MAX_SAMPLE_VALUE = 281  # TIFF tag
# Of the upper bytes of 16-bit colour: below it, the values are of 14 bits or fewer.
_DARK = 1 << (14 - 8)


def packing(image: ImageFile.ImageFile) -> str:
    """How the pixels are packed in the file, in Pillow's words; '' once they are decoded."""
    return str(image.tile[0][3]) if image.tile else ""


def _maximum(image: ImageFile.ImageFile) -> int:
    """The number that a PGM or PPM says is white, if its decoder scales by it; else 0."""
    if image.format != "PPM" or not image.tile or image.tile[0][0] == "raw":
        return 0
    arguments = image.tile[0][3]
    return arguments[1] if isinstance(arguments, tuple) and image.mode != "1" else 0


def rgb(image: Image.Image, packed: str, path: os.PathLike | str) -> Image.Image:
    """A decoded picture as 8-bit RGB; see `images.read_image`.

    Args:
        image: the picture.
        packed: its `packing` before it was decoded.
        path: its file, for messages.

    Raises:
        InputError: pixels that have no 8-bit meaning.
    """
    if image.mode.startswith("I"):
        return _scaled(image, path).convert("RGB")
    if image.mode == "F":
        raise InputError(f"{path}: floating-point pixels have no set range; save it as 8-bit PNG")
    colours = image.mode.removesuffix("A")
    # Pillow keeps the upper bytes alone: what the lower ones held is lost.
    is_deep = ";16" in packed and colours in ("L", "RGB")
    if is_deep and 0 < np.asarray(image)[..., : len(colours)].max() < _DARK:
        raise InputError(
            f"{path}: is 16-bit colour whose values use 14 bits or fewer, which would be read as "
            "nearly black; scale it to 8 bits, or to the whole of 16 bits"
        )
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        return Image.alpha_composite(white, colour).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError:  # LAB, in some versions of Pillow
        raise InputError(
            f"{path}: colour mode {image.mode} cannot be turned into RGB; save it as RGB"
        ) from None


def _scaled(image: Image.Image, path: os.PathLike | str) -> Image.Image:
    """Grey of more than 8 bits as grey of 8, by the range of its bit depth."""
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65_535:
        raise InputError(
            f"{path}: grey values from {low} to {high} do not fit 16 bits; scale them to 8 or 16 "
            "bits"
        )
    depth = next(depth for depth in _BIT_DEPTHS if high < 1 << depth)
    tag = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE, ())
    tags = tag if isinstance(tag, tuple) else (tag,)
    told = max((each for each in tags if isinstance(each, int)), default=0)
    if high <= told <= 65_535:
        depth = max(8, told.bit_length())
    # In 64 bits: rounding is that of exact division.
    return Image.fromarray(np.rint(values * (255.0 / ((1 << depth) - 1))).astype(np.uint8))


def numbers(image: ImageFile.ImageFile, path: os.PathLike | str, grey_palette: bool) -> np.ndarray:
    """The numbers of the frame that the image is at, not yet decoded; see `images.read_labels`.

    Args:
        image: the file.
        path: its path, for messages.
        grey_palette: see `images.read_label_frames`.

    Returns:
        int32 [h, w], >= 0.

    Raises:
        InputError: damaged pixels, colours, fractions or negative numbers.
    """
    # Decoding empties `tile`, which says how the pixels are packed in the file.
    packed, maximum = packing(image), _maximum(image)
    deep_colour = ";16" in packed and not image.mode.startswith("I")
    image_files.decode(image, path)
    array = np.asarray(image)
    if array.ndim == 3:
        colours = image.mode.removesuffix("A")
        opaque = colours == image.mode or int(array[..., -1].min()) == 255
        array = array[..., : len(colours)]
        if (
            colours not in ("L", "RGB")
            or deep_colour
            or not opaque
            or (array != array[..., :1]).any()
        ):
            raise InputError(
                f"{path}: a label map must be a grey or palette PNG of region ids, this one is "
                f"{image.mode}; give each colour a number and save it as 8- or 16-bit grey"
            )
        array = array[..., 0]
    elif image.mode == "F":
        if not (np.abs(array) < 2**31).all() or (array % 1).any():
            raise InputError(
                f"{path}: holds floating-point numbers that are no ids (fractions, NaN or beyond "
                "31 bits); save region ids as 8- or 16-bit grey"
            )
    elif image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
        raise InputError(
            f"{path}: a label map must be a grey or palette PNG of region ids, this one is "
            f"{image.mode}; give each colour a number and save it as 8- or 16-bit grey"
        )
    elif image.mode == "P" and grey_palette:
        array = _greys(image, array)
    labels = array.astype(np.int32)
    if labels.min() < 0:
        raise InputError(f"{path}: region id {labels.min()} is negative; use 0 for unlabelled")
    if maximum:  # scaled to 8 or 16 bits by Pillow
        full = 65_535 if image.mode.startswith("I") else 255
        return np.rint(labels * (maximum / full)).astype(np.int32)
    return labels // _STRETCHED.get(packed, 1)


def _greys(image: Image.Image, indices: np.ndarray) -> np.ndarray:
    """The greys of a palette image; its indices if one that is used is a colour."""
    palette = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
    used = np.unique(indices)
    if used[-1] >= len(palette) or (palette[used] != palette[used, :1]).any():
        return indices
    return palette[indices, 0]
