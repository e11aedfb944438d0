"""The check of a label map that is written in a format of its own accord."""

from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError


def check_label_map(label_map: Any) -> None:
    """Raises InputError unless it is an array of integers [h, w], h, w >= 1."""
    if not isinstance(label_map, np.ndarray):
        raise InputError(
            f"label_map is of type {type(label_map).__name__}; give an array of integers [h, w]"
        )
    if label_map.ndim != 2 or not label_map.size:
        raise InputError(f"label_map has the shape {label_map.shape}; it needs [h, w], h, w >= 1")
    if not np.issubdtype(label_map.dtype, np.integer):
        raise InputError(f"label_map is {label_map.dtype}; give integers, one for each region")
