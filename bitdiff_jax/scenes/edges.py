"""How far borders between regions can be seen: figures that compare scenes with photographs."""

from typing import NamedTuple

import numpy as np

STRONG_SHARE = 0.1  # of the steps of a picture
WEAK_STEP = 10.0  # in Lab; right at a border, photographs at 64 pixels have 16 in the median

_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750]]
    + [[0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


class Edges(NamedTuple):
    """Shares in one picture; a step is the Lab distance of two pixels that share a side."""

    strong_on_borders: float  # of the largest tenth of steps: lie within one pixel of a border
    weak_borders: float  # of steps across a border: none within one pixel reaches `WEAK_STEP`
    near_borders: float  # of all steps: lie within one pixel of a border, so what chance gives


def measure(image: np.ndarray, labels: np.ndarray) -> Edges:
    """Figures of an image uint8 [h, w, 3] with labels int [h, w]; nan where there is no border.

    'Within one pixel' allows for blur: a step counts as on a border if it, the step before it or
    the one after it in its own direction crosses one.
    """
    lab = to_lab(image)
    steps, crosses, near, largest = [], [], [], []
    for axis in (0, 1):
        step = np.linalg.norm(np.diff(lab, axis=axis), axis=-1)
        cross = np.diff(labels, axis=axis) != 0
        steps.append(step.ravel())
        crosses.append(cross.ravel())
        near.append(_most_nearby(cross, axis).ravel())
        largest.append(_most_nearby(step, axis).ravel())
    step, cross, close, most = (np.concatenate(part) for part in (steps, crosses, near, largest))
    if not cross.any():
        return Edges(np.nan, np.nan, 0.0)
    strong = step >= np.quantile(step, 1 - STRONG_SHARE)
    return Edges(
        float(close[strong].mean()), float((most[cross] < WEAK_STEP).mean()), float(close.mean())
    )


def to_lab(image: np.ndarray) -> np.ndarray:
    """An sRGB image uint8 [..., 3] in CIE Lab (D65)."""
    value = np.arange(256) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    xyz = linear[image] @ _RGB_TO_XYZ.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (841 / 108) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _most_nearby(values: np.ndarray, axis: int) -> np.ndarray:
    """Maximum of each value and those before and after it along an axis."""
    values = np.moveaxis(values, axis, 0)
    most = values.copy()
    most[1:] = np.maximum(most[1:], values[:-1])
    most[:-1] = np.maximum(most[:-1], values[1:])
    return np.moveaxis(most, 0, axis)
