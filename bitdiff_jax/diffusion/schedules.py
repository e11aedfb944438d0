"""Noise schedules: how much signal and noise there is at time t.

Variance preserving: `x_t = alpha(t) x0 + sigma(t) eps`, `alpha^2 = gamma`, `sigma^2 = 1 - gamma`,
with t = 0 the data and t = 1 the noise. `logsnr = log(alpha^2 / sigma^2)`; the paper
(arXiv 2601.02881) calls alpha / sigma the SNR, so its log is half of ours.

The input scale b multiplies alpha / sigma by b at every t, which is what training on b * x0
would do (paper, Eq. 7). Neighbouring pixels share their bits, so at b = 1 a network can
average the noise away; b = 0.1 makes denoising hard enough to need the picture.

`1 - gamma` is computed, never subtracted: in float32 Eq. 7 as typed gives gamma(0) = 1.000001 at
b = 0.1, and sigma(0) = NaN.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

TimeFunction = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A variance-preserving schedule: a base gamma, scaled by b, with chosen end points.

    Equal by value, so two calls of `cosine(0.1)` share one compilation when a schedule is a
    static argument. All methods take t of any shape in [0, 1] (not checked) and return that
    shape, in float32 unless t is float64.

    The limits are reached exactly, `logsnr(0) = logsnr_max` and `logsnr(1) = logsnr_min`, by an
    affine map of gamma as in the reference implementation, not by clipping: every t keeps a
    non-zero slope.

    Attributes:
        base_gamma: gamma of the unscaled schedule, a function of t that falls from ~1 to ~0.
        base_one_minus_gamma: 1 - gamma of it, computed without cancellation.
        input_scale: b > 0. Rounded to float32 as in the reference implementation.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0; at most 36, where float64 can still tell gamma from 1.
    """

    base_gamma: TimeFunction
    base_one_minus_gamma: TimeFunction
    input_scale: float = 0.1
    logsnr_min: float = -20.0
    logsnr_max: float = 20.0

    def __post_init__(self) -> None:
        if not self.input_scale > 0:
            raise ValueError(f"input_scale must be positive, got {self.input_scale}")
        if not self.logsnr_min < self.logsnr_max <= 36:
            raise ValueError(
                "logsnr_min must lie below logsnr_max, and that at most at 36, got "
                f"logsnr_min={self.logsnr_min}, logsnr_max={self.logsnr_max}"
            )

    def gamma(self, t: ArrayLike) -> jax.Array:
        """Share of signal, alpha^2, in (0, 1)."""
        _, end = self._scaled_ends()
        # Not below 0: the difference of two roundings may be, and the rest is as small as they are.
        above_end = jnp.maximum(self._scaled(_as_float(t))[0] - end[0], 0)
        return self._stretch * above_end + _sigmoid(self.logsnr_min)

    def one_minus_gamma(self, t: ArrayLike) -> jax.Array:
        """Share of noise, sigma^2, in (0, 1); accurate where gamma rounds to 1."""
        start, _ = self._scaled_ends()
        above_start = jnp.maximum(self._scaled(_as_float(t))[1] - start[1], 0)
        return self._stretch * above_start + _sigmoid(-self.logsnr_max)

    def alpha(self, t: ArrayLike) -> jax.Array:
        """Factor of the data in x_t."""
        return jnp.sqrt(self.gamma(t))

    def sigma(self, t: ArrayLike) -> jax.Array:
        """Factor of the noise in x_t."""
        return jnp.sqrt(self.one_minus_gamma(t))

    def logsnr(self, t: ArrayLike) -> jax.Array:
        """log(alpha^2 / sigma^2): from `logsnr_max` at t = 0 down to `logsnr_min` at t = 1."""
        return jnp.log(self.gamma(t)) - jnp.log(self.one_minus_gamma(t))

    def dlogsnr_dt(self, t: ArrayLike) -> jax.Array:
        """Slope of logsnr; never positive. Zero at the ends of the cosine schedule."""
        t = _as_float(t)
        gamma, gamma_slope = jax.jvp(self.base_gamma, (t,), (jnp.ones_like(t),))
        rest, rest_slope = jax.jvp(self.base_one_minus_gamma, (t,), (jnp.ones_like(t),))
        # Of the two slopes, equal but for the sign, that of the smaller one has the digits.
        slope = jnp.where(gamma < rest, gamma_slope, -rest_slope)
        # d(gamma_b) = b^2 d(gamma) / total^2: no difference of terms, unlike d(1 - gamma_b).
        squared = self._scale**2
        slope = self._stretch * squared * slope / jnp.square(squared * gamma + rest)
        return slope / (self.gamma(t) * self.one_minus_gamma(t))

    @property
    def _scale(self) -> float:
        return float(np.float32(self.input_scale))

    @property
    def _stretch(self) -> float:
        """Slope of the affine map that brings the scaled gamma to the limits."""
        start, end = self._scaled_ends()
        return (_sigmoid(self.logsnr_max) - _sigmoid(self.logsnr_min)) / (start[0] - end[0])

    def _scaled(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(gamma, 1 - gamma) of the input-scaled base, before the limits."""
        return _scale(self.base_gamma(t), self.base_one_minus_gamma(t), self._scale)

    def _scaled_ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """`_scaled` at t = 0 and t = 1, as constants in float64."""
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            ends = [self._scaled(jnp.asarray(end, jnp.float64)) for end in (0.0, 1.0)]
            (g0, n0), (g1, n1) = [(float(g), float(n)) for g, n in ends]
        return (g0, n0), (g1, n1)


def cosine(
    input_scale: float = 0.1, logsnr_min: float = -20.0, logsnr_max: float = 20.0
) -> Schedule:
    """The paper's schedule: gamma = cos^2(pi t / 2), scaled by b (Eq. 7).

    Args:
        input_scale: b > 0; the paper's best is 0.1. 1 is the plain cosine schedule.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        The schedule; at b = 0.1, logsnr(.125) = -1.375 and logsnr(.5) = -4.605.
    """
    return Schedule(_cosine_gamma, _cosine_one_minus_gamma, input_scale, logsnr_min, logsnr_max)


def input_scaled(
    gamma: TimeFunction,
    one_minus_gamma: TimeFunction,
    input_scale: float,
    logsnr_min: float = -20.0,
    logsnr_max: float = 20.0,
) -> Schedule:
    """Input scaling for a gamma of one's own.

    Args:
        gamma: jax function of t in [0, 1], falling from ~1 to ~0.
        one_minus_gamma: the same for 1 - gamma, computed without subtracting from 1.
        input_scale: b > 0.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        A schedule; equal to another one if both functions are the same objects, so define them
        at module level rather than as lambdas inside a loop.
    """
    return Schedule(gamma, one_minus_gamma, input_scale, logsnr_min, logsnr_max)


def _cosine_gamma(t: jax.Array) -> jax.Array:
    # sin(pi (1 - t) / 2), not cos(pi t / 2): the latter is not 0 at t = 1 in floating point.
    return jnp.square(jnp.sin(0.5 * jnp.pi * (1 - t)))


def _cosine_one_minus_gamma(t: jax.Array) -> jax.Array:
    return jnp.square(jnp.sin(0.5 * jnp.pi * t))


def _scale(
    gamma: jax.Array, one_minus_gamma: jax.Array, input_scale: float
) -> tuple[jax.Array, jax.Array]:
    """Eq. 7 and its complement, in the form in which neither is a difference."""
    squared = input_scale**2
    total = squared * gamma + one_minus_gamma
    return squared * gamma / total, one_minus_gamma / total


def _sigmoid(x: float) -> float:
    return 1 / (1 + float(np.exp(-x)))


def _as_float(t: ArrayLike) -> jax.Array:
    t = jnp.asarray(t)
    return t if jnp.issubdtype(t.dtype, jnp.floating) else t.astype(jnp.float32)
