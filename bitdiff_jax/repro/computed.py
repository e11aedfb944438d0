"""Figures that need no training: of the schedule and of the encodings, by arithmetic."""

import math

import numpy as np
from scipy import special

Table = list[tuple[str, ...]]


def readable_bits() -> Table:
    """Share of bits that the sign of one pixel of x_t gives away, by time and input scale.

    A bit is +1 or -1, x_t = alpha x0 + sigma eps, and so the sign is right with the probability
    Phi(alpha / sigma), alpha / sigma = b / tan(pi t / 2) of the cosine schedule.
    """
    times, scales = (0.1, 0.25, 0.5, 0.75, 0.9), (1.0, 0.1)
    rows: Table = [("t", *(f"b = {b:g}" for b in scales))]
    for t in times:
        shares = (special.ndtr(b / math.tan(math.pi * t / 2)) for b in scales)
        rows.append((f"{t:g}", *(f"{share:.3f}" for share in shares)))
    return rows


def channels() -> Table:
    """Channels of x0 and bytes of one float32 map of 128 x 128, of bits and of one-hot codes."""
    rows: Table = [("codes", "channels, bits", "channels, one-hot", "MB, bits", "MB, one-hot")]
    for k in (2, 4, 6, 8, 10):
        sizes = [4 * 128 * 128 * n / 1e6 for n in (k, 2**k)]
        rows.append((f"{2**k:,}", f"{k}", f"{2**k:,}", *(f"{size:.2f}" for size in sizes)))
    return rows


def input_scale_identity() -> Table:
    """Largest relative departure of gamma_b / (1 - gamma_b) from b² gamma / (1 - gamma)."""
    t = np.linspace(0, 1, 1003)[1:-1]
    gamma = np.cos(np.pi * t / 2) ** 2
    rows: Table = [("b", "largest relative departure")]
    for b in (0.05, 0.1, 1.0):
        scaled = b**2 * gamma / ((b**2 - 1) * gamma + 1)
        # 1 - gamma_b is computed, never subtracted.
        rest = (1 - gamma) / ((b**2 - 1) * gamma + 1)
        departure = np.abs(scaled / rest / (b**2 * gamma / (1 - gamma)) - 1).max()
        rows.append((f"{b:g}", f"{departure:.1e}"))
    return rows
