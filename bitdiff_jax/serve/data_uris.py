"""Arrays as images that a browser shows without asking for a file."""

import base64
import io

import numpy as np
from PIL import Image


def png(pixels: np.ndarray) -> str:
    """A lossless image, uint8 [h, w] or [h, w, 3], as a data URI."""
    return _encoded(pixels, "png", compress_level=4)


def jpeg(pixels: np.ndarray, quality: int = 85) -> str:
    """A photograph, uint8 [h, w, 3], as a data URI."""
    return _encoded(pixels, "jpeg", quality=quality)


def ids(label_map: np.ndarray) -> str:
    """Ids below 2^24, integers [h, w], as a PNG: red + 256 green + 65536 blue."""
    bands = [(label_map >> shift) & 255 for shift in (0, 8, 16)]
    return png(np.stack(bands, axis=-1).astype(np.uint8))


def _encoded(pixels: np.ndarray, form: str, **options: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format=form, **options)
    return f"data:image/{form};base64,{base64.b64encode(buffer.getvalue()).decode()}"
