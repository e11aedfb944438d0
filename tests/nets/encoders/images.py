"""Images by formula, so that references need not store them."""

import numpy as np


def waves(side: int) -> np.ndarray:
    """An image with slow waves, fine rings and squares, uint8 [side, side, 3]."""
    y, x = np.mgrid[:side, :side].astype(np.int64)
    red = 128 + 100 * np.sin(x / 17 + y / 29)
    green = 128 + 120 * np.sin(x * y / 9000)
    blue = 20 + 200 * ((x // 64 + y // 64) % 2)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)
