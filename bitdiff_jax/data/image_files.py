"""Opening image files with Pillow: their bytes, their size and how many frames they hold.

Whatever cannot be opened is an `InputError` of one line: the file, what is wrong, the remedy.
"""

import contextlib
import io
import os
import re
import threading
from collections.abc import Iterator
from typing import Final

from etils import epath
from PIL import Image, ImageFile

from bitdiff_jax.data import file_names
from bitdiff_jax.errors import InputError

# Twice the size at which Pillow warns: what Pillow itself refuses to open.
MAX_PIXELS: Final = 178_956_970
# The environment variable that sets another bound.
BOUND: Final = "BITDIFF_MAX_PIXELS"

# What Pillow's decoders raise on a broken file: nearly everything, other things in each version.
BROKEN: Final = Exception

# TIFF tags: what a page is (1 a smaller version of another, 4 a mask of another), and a text.
_SUBFILE, _DESCRIPTION = 254, 270
_NO_FRAME = 1 | 4
# ImageJ writes a stack beyond 4 GB as one page, and says so here alone.
_IMAGEJ = re.compile(r"ImageJ=.*?^images=(\d+)", re.DOTALL | re.MULTILINE)
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # major brands
_PILLOW = threading.Lock()


def pixel_bound() -> int:
    """The most pixels that an image may have: BITDIFF_MAX_PIXELS, or `MAX_PIXELS`.

    Raises:
        InputError: the variable is set to something else than a whole number above 0.
    """
    text = os.environ.get(BOUND, "").strip()
    if not text:
        return MAX_PIXELS
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{BOUND}={text}: must be a whole number of pixels, at least 1")
    return int(text)


def open_image(path: os.PathLike | str, max_pixels: int | None = None) -> ImageFile.ImageFile:
    """Opens an image file, whole in memory, and decodes nothing yet.

    Args:
        path: a local path, or any other that `etils.epath` opens.
        max_pixels: larger images are refused; None for `pixel_bound`.

    Raises:
        InputError: no such file, a folder, an empty or foreign file, or too many pixels.
    """
    bound = pixel_bound() if max_pixels is None else max_pixels
    data = _read(path)
    try:
        with _pillow_allows(bound):
            image = Image.open(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{path}: has more than {bound} pixels; shrink it, or set {BOUND} to a larger number "
            "(max_pixels)"
        ) from None
    except BROKEN:
        raise InputError(
            f"{path}: not an image file that Pillow can read{_foreign(data)}; convert it to PNG or "
            "JPEG"
        ) from None
    if image.width * image.height > bound:
        raise InputError(
            f"{path}: {image.width}x{image.height} is more than {bound} pixels; shrink it, or set "
            f"{BOUND} to a larger number (max_pixels)"
        )
    return image


def decode(image: Image.Image, path: os.PathLike | str) -> None:
    """Decodes the pixels of the frame that the image is at.

    Raises:
        InputError: they are damaged or cut short.
    """
    try:
        with _pillow_allows(image.width * image.height):
            image.load()
    except BROKEN as error:
        raise _damaged(path, error) from None


def frames(image: ImageFile.ImageFile, path: os.PathLike | str) -> tuple[int, ...]:
    """The numbers of the frames that a file holds, for `Image.seek`.

    Smaller versions of an image that lie in the same file (the levels of a pyramid, thumbnails, the
    previews in a phone's JPEG) and masks of it are no frames. Pages of other proportions are,
    unless the file says what else they are.

    Raises:
        InputError: the file is damaged, or holds a stack in a form that Pillow cannot read.
    """
    try:
        count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if image.format != "TIFF":
            return tuple(range(count))
        match = _IMAGEJ.match(str(image.tag_v2.get(_DESCRIPTION, "")))  # type: ignore[attr-defined]
        found = tuple(_pages(image, count)) if count > 1 else (0,)
    except BROKEN as error:
        raise _damaged(path, error) from None
    if match and len(found) == 1 and int(match[1]) > 1:
        raise InputError(
            f"{path}: holds a stack of {match[1]} frames as one page, as ImageJ writes large ones; "
            "save each frame as a file of its own"
        )
    return found


def _pages(image: ImageFile.ImageFile, count: int) -> Iterator[int]:
    size = image.size
    yield 0
    for number in range(1, count):
        image.seek(number)
        kind = image.tag_v2.get(_SUBFILE, 0)  # type: ignore[attr-defined]
        if not int(kind) & _NO_FRAME and not _is_smaller_version(image.size, size):
            yield number
    image.seek(0)


def _is_smaller_version(size: tuple[int, int], whole: tuple[int, int]) -> bool:
    """Whether a page may be another one shrunk: of its proportions, to a pixel."""
    (width, height), (full_width, full_height) = size, whole
    if size == whole or width > full_width or height > full_height:
        return False
    return abs(width * full_height - height * full_width) <= max(whole)


def _read(path: os.PathLike | str) -> bytes:
    try:
        data = epath.Path(path).read_bytes()
    except FileNotFoundError:
        data = _read_alike(path)
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name one image file") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); check its permissions") from None
    if not data:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    return data


def _foreign(data: bytes) -> str:
    """What a file that is no image to Pillow is, in parentheses; '' if that is not known."""
    if data.startswith(b"%PDF-"):
        return " (it is a PDF)"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        return " (it is HEIC, as phones save photos)"
    return ""


def _read_alike(path: os.PathLike | str) -> bytes:
    """The bytes of the file that is called the same in another Unicode form."""
    try:
        found = file_names.find(path)
        if found is not None:
            return found.read_bytes()
    except OSError:
        pass
    raise InputError(f"{path}: no such file; check the path")


@contextlib.contextmanager
def _pillow_allows(pixels: int) -> Iterator[None]:
    """Raises Pillow's own bound, which is one of the whole process, as long as this lasts."""
    bound = Image.MAX_IMAGE_PIXELS
    if bound is None or pixels <= 2 * bound:
        yield
        return
    with _PILLOW:
        bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = bound


def _damaged(path: os.PathLike | str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"{path}: the file is damaged or cut short ({reason}); copy or download it again"
    )
