"""Reflected Gray codes on a line and on a grid."""

import numpy as np


def gray(n: np.ndarray) -> np.ndarray:
    """The reflected Gray code, n xor (n >> 1); neighbours differ in one bit.

    Args:
        n: int array of non-negative numbers.

    Returns:
        Their codes, of the same shape.
    """
    code: np.ndarray = n ^ (n >> 1)
    return code


def table(num_bits: int) -> np.ndarray:
    """2-D Gray table: all 4-neighbours differ in exactly one bit, also around the edges.

    The row takes the high bits, the column the low ones: code(r, c) = gray(r) columns + gray(c).
    The grid is square for an even number of bits, as released; for an odd one it has twice as many
    columns as rows.

    Args:
        num_bits: k in [1, 30].

    Returns:
        int32 [2^(k // 2), 2^(k - k // 2)], a permutation of 0..2^k - 1.
    """
    if not 1 <= num_bits <= 30:
        raise ValueError(f"num_bits must be in [1, 30], got {num_bits}")
    rows, columns = 2 ** (num_bits // 2), 2 ** (num_bits - num_bits // 2)
    row_code = gray(np.arange(rows, dtype=np.int32))
    column_code = gray(np.arange(columns, dtype=np.int32))
    codes: np.ndarray = row_code[:, None] * columns + column_code[None, :]
    return codes
