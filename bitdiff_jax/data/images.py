"""Reading pictures and label maps from files, and writing label maps.

Whatever cannot be read is an `InputError` of one line: the file, what is wrong with it, the remedy.
"""

import io
import os

import numpy as np
from etils import epath
from PIL import Image

from bitdiff_jax.data import image_files, image_pixels
from bitdiff_jax.errors import InputError

MAX_LABEL = 65_535

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".png", ".bmp", ".dib", ".gif", ".ppm",
        ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp", ".avif",  # the last with Pillow 11.3
    }
)  # fmt: skip
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
    packing = image_pixels.packing(image)
    image_files.decode(image, path)
    # After decoding: Pillow turns a TIFF itself, and its orientation is gone then.
    orientation = _orientation(image)
    rgb = image_pixels.rgb(image, packing, path)
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
    maps = []
    for number in image_files.frames(image, path):
        if number:
            image.seek(number)
        maps.append(image_pixels.numbers(image, path, grey_palette))
    return tuple(maps)


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
    if not lossless or image.mode != "RGB" or ";16" in image_pixels.packing(image) or frames > 1:
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


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except image_files.BROKEN:  # damaged metadata do not make the pixels unusable
        return None


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
