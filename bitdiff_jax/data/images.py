"""Reading pictures and label maps from files, and writing label maps.

Whatever cannot be read is an `InputError` of one line: the file, what is wrong with it, the remedy.
"""

import io
import os

import numpy as np
from etils import epath
from PIL import Image, ImageFile

from bitdiff_jax.data import image_files
from bitdiff_jax.errors import InputError

MAX_LABEL = 65_535

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
# Of forms that keep every number as it is. A GIF keeps the colours and numbers them anew.
LABEL_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".pgm", ".pbm"})
MASK_SUFFIXES = LABEL_SUFFIXES | {".gif"}
_LOSSLESS = frozenset({"PNG", "TIFF", "BMP", "DIB", "GIF", "PPM"})
_LOSSY_IN_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp"})

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow stretches 2- and 4-bit grey to 0..255; a label map wants the stored number back.
_STRETCHED = {"L;2": 85, "L;4": 17}
# Of cameras and microscopes, which write their numbers into 16 bits as they are.
_BIT_DEPTHS = (8, 10, 12, 14, 16)
_MAX_SAMPLE_VALUE = 281  # TIFF tag
# Of the upper bytes of 16-bit colour: below it, the values are of 14 bits or fewer.
_DARK = 1 << (14 - 8)


def read_image(path: os.PathLike | str, *, max_pixels: int | None = None) -> np.ndarray:
    """Reads a picture as 8-bit RGB, the way a browser would show it.

    Grey and palette pictures become RGB; transparency is laid over white; CMYK is converted without
    a colour profile, and embedded profiles are not applied; EXIF rotation is.

    Grey of more than 8 bits is scaled by the range of its bit depth, so that 12 bits of a camera,
    0 to 4095, become 0 to 255 though the file has room for 65535. The depth is that of the TIFF's
    MaxSampleValue, or else the least of 8, 10, 12, 14 and 16 bits that holds the largest value.

    Args:
      path: a local path, or any other that `etils.epath` opens.
      max_pixels: larger pictures are refused before they are decoded; None for the environment
        variable BITDIFF_MAX_PIXELS or, without it, 178,956,970.

    Returns:
      uint8 [h, w, 3].

    Raises:
      InputError: no such file, a folder, an empty, damaged or foreign file, too many pixels,
        several frames, or values that have no 8-bit meaning (floats, more than 16 bits, 16-bit
        colour of which only the lower bits are used).
    """
    image = image_files.open_image(path, max_pixels)
    count = len(image_files.frames(image, path))
    if count > 1:
        raise InputError(
            f"{path}: holds {count} frames (a stack, channels or an animation); save the one that "
            "is meant, or a projection of them, as a file of its own"
        )
    packing = _packing(image)
    image_files.decode(image, path)
    # After decoding: Pillow turns a TIFF itself, and its orientation is gone then.
    orientation = _orientation(image)
    rgb = _to_rgb(image, packing, path)
    return np.array(rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb)


def read_labels(path: os.PathLike | str, *, max_pixels: int | None = None) -> np.ndarray:
    """Reads a map of region ids from an image of one channel, as the numbers that are stored.

    Grey of 1 to 16 bits is read (32 bits, or floats without fractions, from formats that have
    them); of a palette image the indices, not the colours; of RGB the number that all channels of
    all pixels agree on. EXIF rotation of a PNG is not applied.

    Args:
      path: as `read_image`.
      max_pixels: as `read_image`.

    Returns:
      int32 [h, w], ids >= 0.

    Raises:
      InputError: as `read_image`; also colours, lossy files (JPEG), negative numbers, fractions.
    """
    maps = read_label_frames(path, max_pixels=max_pixels)
    if len(maps) > 1:
        raise InputError(
            f"{path}: holds {len(maps)} frames, and a label map is one; save the frame that is "
            "meant as a file of its own, or, if each is the mask of an object, use the kind "
            "'masks', which reads them all"
        )
    return maps[0]


def read_label_frames(
    path: os.PathLike | str, *, max_pixels: int | None = None, grey_palette: bool = False
) -> tuple[np.ndarray, ...]:
    """As `read_labels`, of each frame of a file that may hold several, such as a TIFF stack.

    Args:
      path: as `read_image`.
      max_pixels: as `read_image`.
      grey_palette: where the colours of a palette image are all grey, read these and not the
        indices, as a mask is meant: white is inside, whichever index it has.
    """
    image = image_files.open_image(path, max_pixels)
    compression = str(image.info.get("compression", ""))
    if image.format not in _LOSSLESS or compression in _LOSSY_IN_TIFF:
        form = "JPEG" if image.format == "MPO" else image.format
        within = f" of compression {compression}" if image.format in _LOSSLESS else ""
        raise InputError(
            f"{path}: {form}{within} alters region ids; save label maps and masks as grey PNG"
        )
    numbers = image_files.frames(image, path)
    return tuple(_frame(image, each, path, grey_palette) for each in numbers)


def read_colour_codes(path: os.PathLike | str, *, max_pixels: int | None = None) -> np.ndarray:
    """Reads the colours of a file in which each colour is a number, not a shade.

    Returns:
      uint8 [h, w, 3].

    Raises:
      InputError: as `read_image`; also any other file than a lossless one of 8-bit RGB, in which
        the numbers may have been altered.
    """
    image = image_files.open_image(path, max_pixels)
    lossless = image.format in _LOSSLESS and image.info.get("compression") not in _LOSSY_IN_TIFF
    frames = len(image_files.frames(image, path))
    if not lossless or image.mode != "RGB" or ";16" in _packing(image) or frames > 1:
        raise InputError(
            f"{path}: ids are read from the colours of PNGs of 8-bit RGB alone (or TIFF, BMP, of "
            f"one frame), this is {image.format} of mode {image.mode}; get the original file"
        )
    image_files.decode(image, path)
    return np.array(image)


def is_turned(path: os.PathLike | str) -> bool:
    """Whether EXIF has a picture's width and height exchanged, as phones do held upright."""
    image = image_files.open_image(path)
    return _orientation(image) in (5, 6, 7, 8)


def _frame(
    image: ImageFile.ImageFile, number: int, path: os.PathLike | str, grey_palette: bool
) -> np.ndarray:
    if number:
        image.seek(number)
    # Decoding empties `tile`, which says how the pixels are packed in the file.
    packing, maximum = _packing(image), _maximum(image)
    deep_colour = ";16" in packing and not image.mode.startswith("I")
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
    return labels // _STRETCHED.get(packing, 1)


def _greys(image: Image.Image, indices: np.ndarray) -> np.ndarray:
    """The greys of a palette image; its indices if one that is used is a colour."""
    palette = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
    used = np.unique(indices)
    if used[-1] >= len(palette) or (palette[used] != palette[used, :1]).any():
        return indices
    return palette[indices, 0]


def _packing(image: ImageFile.ImageFile) -> str:
    return str(image.tile[0][3]) if image.tile else ""


def _maximum(image: ImageFile.ImageFile) -> int:
    """The number that a PGM or PPM says is white, if its decoder scales by it; else 0."""
    if image.format != "PPM" or not image.tile or image.tile[0][0] == "raw":
        return 0
    arguments = image.tile[0][3]
    return arguments[1] if isinstance(arguments, tuple) and image.mode != "1" else 0


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except image_files.BROKEN:  # damaged metadata do not make the pixels unusable
        return None


def _to_rgb(image: Image.Image, packing: str, path: os.PathLike | str) -> Image.Image:
    if image.mode.startswith("I"):
        return _scaled(image, path).convert("RGB")
    if image.mode == "F":
        raise InputError(f"{path}: floating-point pixels have no set range; save it as 8-bit PNG")
    colours = image.mode.removesuffix("A")
    # Pillow keeps the upper bytes alone: what the lower ones held is lost.
    if ";16" in packing and 0 < np.asarray(image)[..., : len(colours)].max() < _DARK:
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
    tag = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE, 0)
    told = max(tag) if isinstance(tag, tuple) else int(tag)
    if high <= told <= 65_535:
        depth = max(8, told.bit_length())
    # In 64 bits: rounding is that of exact division.
    return Image.fromarray(np.rint(values * (255.0 / ((1 << depth) - 1))).astype(np.uint8))


def write_labels(path: os.PathLike | str, ids: np.ndarray) -> None:
    """Writes a map of region ids as a 16-bit grey PNG, which `read_labels` gives back unchanged.

    Args:
      path: where to write; its folder must exist.
      ids: integers [h, w] in 0..65535.

    Raises:
      InputError: another shape or dtype, an id out of range, or a place that cannot be written.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or not ids.size or ids.dtype.kind not in "iub":
        raise InputError(f"{path}: ids must be integers [h, w], not {ids.dtype} {ids.shape}")
    low, high = int(ids.min()), int(ids.max())
    if low < 0:
        raise InputError(f"{path}: id {low} cannot be stored; write ignored pixels as 0, say")
    if high > MAX_LABEL:
        raise InputError(f"{path}: id {high} is beyond 16 bits ({MAX_LABEL}); renumber the regions")
    buffer = io.BytesIO()
    Image.fromarray(ids.astype(np.uint16)).save(buffer, format="PNG")
    try:
        epath.Path(path).write_bytes(buffer.getvalue())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: cannot be written ({reason}); check folder and rights") from None
