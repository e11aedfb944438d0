"""Encodings: label maps to and from what diffuses, as pure functions of arrays.

Example:
    encoding = BitEncoding(6)
    x0 = encoding.encode(codes)  # int [...] -> float32 [..., 6] in {-1, 1}
    grid = palette.table("similar", encoding.num_codes)
    codes = palette.assign(label_map, grid, max_regions=256).codes
"""

from bitdiff_jax.encoding import palette
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.encoding.fill import nearest_label
from bitdiff_jax.encoding.interface import Encoding, check, make
from bitdiff_jax.encoding.onehot import OneHotEncoding
from bitdiff_jax.encoding.rgb import RGBEncoding

__all__ = [
    "BitEncoding",
    "Encoding",
    "OneHotEncoding",
    "RGBEncoding",
    "check",
    "make",
    "nearest_label",
    "palette",
]
