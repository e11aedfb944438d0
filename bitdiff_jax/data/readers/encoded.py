"""Pictures and label maps out of records: encoded bytes, or tensors."""

import io

import numpy as np
from PIL import Image

from bitdiff_jax.data import image_files
from bitdiff_jax.errors import InputError

_COLOUR = ("RGB", "L", "P", "1")
_GREY = ("1", "L", "P", "I", "I;16")


def decode_image(value: bytes | np.ndarray, where: str) -> np.ndarray:
    """A picture.

    Args:
        value: an encoded picture, 8-bit RGB, grey or palette; or a tensor, uint8 [h, w, 3 or 1].
        where: what it is, for messages.

    Returns:
        uint8 [h, w, 3].

    Raises:
        InputError: it is damaged, too large or of another kind.
    """
    if isinstance(value, bytes):
        opened = _decode(value, where)
        if opened.mode not in _COLOUR:
            raise InputError(f"{where}: colour mode {opened.mode} is not 8-bit RGB or grey")
        return np.array(opened.convert("RGB"))
    image = np.asarray(value)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise InputError(f"{where}: is {image.dtype} {image.shape}, not uint8 [h, w, 3]")
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def ids(value: bytes | np.ndarray, where: str) -> np.ndarray:
    """A map of region ids.

    Args:
        value: an encoded map, grey of 1 to 16 bits or palette; or a tensor of whole numbers, [h, w]
            or [h, w, 1].
        where: what it is, for messages.

    Returns:
        int32 [h, w], ids as stored, >= 0.

    Raises:
        InputError: it is damaged, too large or of another kind.
    """
    if isinstance(value, bytes):
        opened = _decode(value, where)
        if opened.format == "JPEG" or opened.mode not in _GREY:
            raise InputError(
                f"{where}: a {opened.format} of mode {opened.mode} is no map of region ids; name "
                "another feature (labels=)"
            )
        value = np.array(opened)
    found = np.asarray(value)
    if found.ndim == 3 and found.shape[2] == 1:
        found = found[..., 0]
    if found.ndim != 2 or found.dtype.kind not in "iub" or not found.size:
        raise InputError(f"{where}: is {found.dtype} {found.shape}, not whole numbers [h, w]")
    if int(found.min()) < 0 or int(found.max()) >= 2**31:
        raise InputError(f"{where}: ids {found.min()} to {found.max()} are outside 0..2^31-1")
    return found.astype(np.int32)


def _decode(data: bytes, where: str) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > image_files.pixel_bound():
            raise ValueError(f"{picture.width}x{picture.height} is too large")
        picture.load()
    except Exception as error:  # Pillow's decoders raise nearly everything on damaged bytes
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: damaged, or no image ({reason}); prepare it again") from None
    return picture
