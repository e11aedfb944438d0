"""The palette's tables by name: which code lies in which cell of the grid."""

import math

import numpy as np

from bitdiff_jax.encoding import gray

LAYOUTS = ("similar", "different", "random", "range")


def table(layout: str, num_codes: int, seed: int = 0) -> np.ndarray:
    """A grid of codes by name (paper, Sec. 3.3 and Table 3).

    Args:
        layout: 'similar', the 2-D Gray table, where cells side by side differ in one bit;
            'different', where the code that follows another along the rows, every second one
            from right to left, is the one that differs in most bits (see `farthest_walk`);
            'random', a permutation; 'range', the codes in raster order.
        num_codes: number of cells and codes. A power of 2 for 'similar' and 'different'; for the
            others any number with a grid at most twice as wide as high, such as 121 = 11 x 11.
        seed: of 'random', whose table is `numpy.random.default_rng(seed).permutation`.

    Returns:
        int32 [rows, columns], rows * columns = num_codes, a permutation of 0..num_codes - 1. It is
        square where num_codes is a square number; other powers of 2 have columns = 2 rows.

    Raises:
        ValueError: an unknown layout, or a number of codes that it cannot lay out.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"palette layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    rows, columns = _grid(num_codes)
    if layout == "range":
        return np.arange(num_codes, dtype=np.int32).reshape(rows, columns)
    if layout == "random":
        codes = np.random.default_rng(seed).permutation(num_codes)
        return codes.astype(np.int32).reshape(rows, columns)
    num_bits = num_codes.bit_length() - 1
    if num_codes != 2**num_bits:
        raise ValueError(
            f"num_codes must be a power of 2 for palette layout {layout!r}, got {num_codes}; "
            "use 'random' or 'range'"
        )
    if layout == "similar":
        return gray.table(num_bits)
    codes = farthest_walk(num_bits).reshape(rows, columns)
    codes[1::2] = codes[1::2, ::-1].copy()  # the copy, as the two sides share their memory
    return codes


def farthest_walk(num_bits: int) -> np.ndarray:
    """All codes of k bits, each followed by the unused one that differs from it in most bits.

    Starts at 0; of several codes at the same distance the smallest follows.

    Args:
        num_bits: k, at most 12: the walk compares every pair of codes.

    Returns:
        int32 [2^k], a permutation.
    """
    if not 1 <= num_bits <= 12:
        raise ValueError(f"layout 'different' is made for 1 to 12 bits, got {num_bits}")
    codes = np.arange(2**num_bits, dtype=np.int32)
    weight = np.bitwise_count(codes).astype(np.int8)  # of a code and of a difference alike
    walk, unused = np.zeros_like(codes), np.ones(codes.shape, bool)
    for i in range(1, len(codes)):
        unused[walk[i - 1]] = False
        walk[i] = np.argmax(np.where(unused, weight[codes ^ walk[i - 1]], -1))
    return walk


def _grid(num_codes: int) -> tuple[int, int]:
    """Rows and columns of the grid that is nearest to a square and not higher than wide."""
    if num_codes >= 2:
        side = math.isqrt(num_codes)
        rows = next(n for n in range(side, 0, -1) if num_codes % n == 0)
        if num_codes <= 2 * rows**2:
            return rows, num_codes // rows
    raise ValueError(
        "num_codes must have a grid at most twice as wide as high, like a power of 2 or "
        f"121 = 11 x 11, got {num_codes}"
    )
