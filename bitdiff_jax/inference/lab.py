"""CIE Lab of sRGB images: distances between colours that are even to the eye."""

import numpy as np

_GAMMA = np.arange(256) / 255
_LINEAR = np.where(_GAMMA <= 0.04045, _GAMMA / 12.92, ((_GAMMA + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
# IEC 61966-2-1, each row divided by the white point D65, so that white is (1, 1, 1).
_RGB_TO_XYZ = (
    np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    / np.array([[0.95047], [1.0], [1.08883]])
).astype(np.float32)
_BEND = (6 / 29) ** 3  # below it the curve is a line


def from_rgb(image: np.ndarray) -> np.ndarray:
    """L in 0..100, a and b in about -100..100.

    Args:
        image: uint8 [..., 3], sRGB.

    Returns:
        float32 [..., 3].
    """
    xyz = _LINEAR[image] @ _RGB_TO_XYZ.T
    curve = np.where(xyz > _BEND, np.cbrt(xyz), xyz * np.float32(841 / 108) + np.float32(4 / 29))
    x, y, z = np.moveaxis(curve, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
