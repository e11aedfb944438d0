"""Tensors in 8 bits: whole numbers with one factor for each output channel, the last axis.

A model's file in `int8` has them for what has two axes or more, which is nearly all of it.
"""

from collections.abc import Mapping

import numpy as np

SCALES = "scales/"  # before the name of a tensor: the name of its factors
_LARGEST = 127


def quantised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A tensor in 8 bits and its factors.

    Args:
        values: float [..., C], finite.

    Returns:
        int8 [..., C], in [-127, 127], and float32 [C] >= 0, whose product is within half a factor
        of the values; 0 where a channel holds zeros alone.
    """
    values = np.asarray(values, np.float32)
    scale = np.abs(values).max(tuple(range(values.ndim - 1)), initial=0) / np.float32(_LARGEST)
    # A factor may be too small to divide by, although it is not 0.
    whole = np.rint(values / np.maximum(scale, np.finfo(np.float32).tiny))
    return np.clip(whole, -_LARGEST, _LARGEST).astype(np.int8), scale


def restored(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a file with those in 8 bits as float32, without their factors.

    Args:
        tensors: arrays by name; the factors of `name` are called `SCALES + name`.

    Raises:
        ValueError: factors have no tensor in 8 bits of their number of channels.
    """
    found = {name: each for name, each in tensors.items() if not name.startswith(SCALES)}
    for name in tensors.keys() - found.keys():
        values, scale = found.get(name.removeprefix(SCALES)), tensors[name]
        fits = values is not None and values.dtype == np.int8 and values.shape[-1:] == scale.shape
        if values is None or not fits:
            raise ValueError(f"{name} has no tensor in 8 bits of its size")
        found[name.removeprefix(SCALES)] = values * scale
    return found
