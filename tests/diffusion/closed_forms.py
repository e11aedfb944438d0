"""The schedules as their formulas are written down, in extended precision: an oracle.

Nothing is rearranged here: gamma, Eq. 7, the affine map to the limits. What cancels near the ends
has 64 bits of mantissa to do so where the platform's long double has them.
"""

import numpy as np

L = np.longdouble
PI = np.arccos(L(-1))
SCALES = {"b1": 1.0, "b0p5": 0.5, "b0p1": 0.1, "b0p05": 0.05}


def base(name, t):
    """Gamma of the unscaled schedule and its slope."""
    t = np.asarray(t, L)
    if name == "cosine":
        # sin(pi t) is not 0 at t = 1.
        return np.cos(PI * t / 2) ** 2, np.where(t == 1, 0, -PI / 2 * np.sin(PI * t))
    if name == "linear":
        u = L("1e-4") + 10 * t**2
        return 1 / (1 + np.exp(np.log(np.expm1(u)))), -20 * t * np.exp(-u)
    if name == "linear_simple":
        return 1 - t, -np.ones_like(t)
    assert name == "parabola"
    return (1 - t**2) ** 2, -4 * t * (1 - t**2)


def scaled(gamma, b):
    return b**2 * gamma / ((b**2 - 1) * gamma + 1)


def schedule(name, t, b, logsnr_min=-20.0, logsnr_max=20.0):
    """All quantities at t; what they share with the code under test is the paper alone."""
    b = L(np.float32(b))
    gamma, slope = base(name, t)
    start, end = (scaled(base(name, at)[0], b) for at in (0, 1))
    top, bottom = (1 / (1 + np.exp(-L(x))) for x in (logsnr_max, logsnr_min))
    stretch = (top - bottom) / (start - end)
    signal = stretch * (scaled(gamma, b) - end) + bottom
    noise = stretch * (start - scaled(gamma, b)) + 1 / (1 + np.exp(L(logsnr_max)))
    slope = stretch * b**2 * slope / ((b**2 - 1) * gamma + 1) ** 2
    return {
        "gamma": signal,
        "one_minus_gamma": noise,
        "alpha": np.sqrt(signal),
        "sigma": np.sqrt(noise),
        "logsnr": np.log(signal) - np.log(noise),
        "dlogsnr_dt": slope / (signal * noise),
        "snr": signal / noise,
    }


def reference_rounding(name, t, b):
    """What float64 costs the reference, which subtracts gamma from 1: absolute, in gamma.

    A few units in the last place of the unscaled gamma, times the slope of Eq. 7, and of the
    scaled one. Relative errors: this / gamma, this / (1 - gamma), their sum in SNR.
    """
    b = L(np.float32(b))
    gamma, _ = base(name, t)
    return 8 * np.finfo(np.float64).eps * (1 + b**2 / ((b**2 - 1) * gamma + 1) ** 2)
