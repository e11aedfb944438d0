"""An uploaded file -> an image, or one sentence that says why not."""

import contextlib
import os
import unicodedata
from collections.abc import Iterator

import numpy as np

from bitdiff_jax.data import image_files, images
from bitdiff_jax.errors import InputError
from bitdiff_jax.serve.limits import Limits

# Others that Pillow opens are read by programs outside of it (EPS), or fetch what they name.
_FORMS = frozenset(
    {"JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "PPM", "JPEG2000"}
)
_ANY_SIZE = 1 << 62
_LONGEST_NAME = 80


def check(path: os.PathLike | str, name: str, limits: Limits) -> None:
    """Refuses a file by its size and its header, before anything of it is decoded.

    Args:
        path: of the file.
        name: under which the visitor knows it.
        limits: the bounds.

    Raises:
        InputError: too many bytes or pixels, no image file, or not there any more.
    """
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        raise InputError(
            f"{name}: is not kept any more ({limits.keep_text} at most); send it again"
        ) from None
    check_size(size, name, limits)
    with _called(path, name):
        image = image_files.open_image(path, _ANY_SIZE)
    if image.format not in _FORMS:
        raise InputError(f"{name}: {image.format} files are not taken; convert it to PNG or JPEG")
    if image.width * image.height > limits.max_pixels:
        raise InputError(
            f"{name}: {image.width} x {image.height} pixels are more than the "
            f"{limits.max_pixels / 1e6:.0f} megapixels that this page takes; shrink it"
        )


def check_size(size: float, name: str, limits: Limits) -> None:
    """Refuses a file of too many bytes.

    Args:
        size: bytes.
        name: as `check`.
        limits: as `check`.

    Raises:
        InputError: it is larger than the page takes.
    """
    if size > limits.max_bytes:
        raise InputError(
            f"{name}: {size / 1e6:.1f} MB is more than the {limits.max_bytes / 1e6:.0f} MB that "
            "this page takes; save it as JPEG, or shrink it"
        )


def read(path: os.PathLike | str, name: str, limits: Limits) -> np.ndarray:
    """Reads an image that `check` lets pass.

    Args:
        path: as `check`.
        name: as `check`.
        limits: as `check`.

    Returns:
        uint8 [h, w, 3].

    Raises:
        InputError: as `check`, and see `data.images.read_image`.
    """
    check(path, name, limits)
    with _called(path, name):
        return images.read_image(path, max_pixels=limits.max_pixels)


def plain_name(name: str) -> str:
    """The last part of a file's name, of printable characters and of a bounded length."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip()
    stem, dot, ending = printable.rpartition(".")
    if len(printable) > _LONGEST_NAME and dot:
        return f"{stem[:_LONGEST_NAME]}.{ending[:8]}"
    return printable[:_LONGEST_NAME] or "image"


@contextlib.contextmanager
def _called(path: os.PathLike | str, name: str) -> Iterator[None]:
    """Names a file in messages as the visitor does, and not by its place on the server."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(os.fspath(path), name)) from None
