"""Reading pictures and label maps from files, and writing label maps.

Whatever cannot be read is an `InputError` of one line: the file, what is wrong with it, the remedy.
"""

import io
import os

import numpy as np
from etils import epath
from PIL import Image, ImageFile

from bitdiff_jax.errors import InputError

# Twice the size at which Pillow warns: what Pillow itself refuses to open.
MAX_PIXELS = 178_956_970
MAX_LABEL = 65_535

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)

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
# What Pillow's decoders raise on a broken file: nearly everything, other things in each version.
_BROKEN = Exception


def _open(path: os.PathLike | str, max_pixels: int) -> ImageFile.ImageFile:
    file = epath.Path(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name one image file") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); check its permissions") from None
    if not data:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    try:
        image = Image.open(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{path}: has more than {max_pixels} pixels; shrink it, or raise max_pixels "
            "and PIL.Image.MAX_IMAGE_PIXELS"
        ) from None
    except _BROKEN:
        raise InputError(
            f"{path}: not an image file that Pillow can read; convert it to PNG or JPEG"
        ) from None
    if image.width * image.height > max_pixels:
        raise InputError(
            f"{path}: {image.width}x{image.height} is more than {max_pixels} pixels; "
            "shrink it, or raise max_pixels"
        )
    return image


def _decode(image: Image.Image, path: os.PathLike | str) -> None:
    try:
        image.load()
    except _BROKEN as error:
        raise InputError(
            f"{path}: the file is damaged or cut short ({_one_line(error)}); "
            "copy or download it again"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION)
    except _BROKEN:  # damaged metadata do not make the pixels unusable
        orientation = None
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image, path: os.PathLike | str) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65_535:
            raise InputError(
                f"{path}: grey values from {values.min()} to {values.max()} do not fit 16 bits; "
                "scale them to 8 or 16 bits"
            )
        # 65535 / 255 = 257 exactly; the picture's own range plays no part.
        grey = np.rint(values.astype(np.float32) / 257).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "F":
        raise InputError(f"{path}: floating-point pixels have no set range; save it as 8-bit PNG")
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


def read_image(path: os.PathLike | str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture as 8-bit RGB, the way a browser would show it.

    Grey and palette pictures become RGB; 16-bit grey is divided by 257, whatever range it uses;
    transparency is laid over white; CMYK is converted without a colour profile, and embedded
    profiles are not applied; EXIF rotation is; of an animation the first frame is read.

    Args:
      path: a local path, or any other that `etils.epath` opens.
      max_pixels: larger pictures are refused before they are decoded.

    Returns:
      uint8 [h, w, 3].

    Raises:
      InputError: no such file, a folder, an empty, damaged or foreign file, too many pixels, or
        values that have no 8-bit meaning (floats, more than 16 bits).
    """
    image = _open(path, max_pixels)
    _decode(image, path)
    return np.array(_to_rgb(_upright(image), path))


def read_labels(path: os.PathLike | str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a map of region ids from a grey or palette image, as the numbers that are stored.

    Grey of 1 to 16 bits is read (32 bits from formats that have it); of a palette image the
    indices, not the colours.

    Returns:
      int32 [h, w], ids >= 0.

    Raises:
      InputError: as `read_image`; also colour, lossy (JPEG) and negative maps.
    """
    image = _open(path, max_pixels)
    if image.format == "JPEG":
        raise InputError(f"{path}: JPEG alters region ids; save label maps as grey PNG")
    if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
        raise InputError(
            f"{path}: a label map must be a grey or palette PNG of region ids, this one is "
            f"{image.mode}; give each colour a number and save it as 8- or 16-bit grey"
        )
    # Decoding empties `tile`, which says how the pixels are packed in the file.
    packing = str(image.tile[0][3]) if image.tile else ""
    _decode(image, path)
    labels = np.asarray(image).astype(np.int32)
    if labels.min() < 0:
        raise InputError(f"{path}: region id {labels.min()} is negative; use 0 for unlabelled")
    return labels // _STRETCHED.get(packing, 1)


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
