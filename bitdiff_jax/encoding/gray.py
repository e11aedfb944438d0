"""Reflected Gray codes on a line and on a grid."""

import numpy as np


def gray(n: np.ndarray) -> np.ndarray:
    """The reflected Gray code, n xor (n >> 1); neighbours differ in one bit.

    Args:
        n: int array of non-negative numbers.

    Returns:
        Their codes, of the same shape.
    """
    return n ^ (n >> 1)


def table(num_bits: int) -> np.ndarray:
    """2-D Gray table: all 4-neighbours differ in exactly one bit.

    The row takes the high half of the bits, the column the low half: code(r, c) =
    gray(r) 2^(k/2) + gray(c).

    Args:
        num_bits: k, even.

    Returns:
        int32 [2^(k/2), 2^(k/2)], a permutation of 0..2^k - 1.
    """
    if num_bits < 2 or num_bits % 2:
        raise ValueError(f"num_bits must be even and at least 2 for a square grid, got {num_bits}")
    side = 2 ** (num_bits // 2)
    line = gray(np.arange(side, dtype=np.int32))
    return line[:, None] * side + line[None, :]
