"""A variance-preserving noise schedule: a base gamma, the input scale b and the logsnr limits.

`x_t = alpha(t) x0 + sigma(t) eps`, `alpha^2 = gamma`, `sigma^2 = 1 - gamma`, with t = 0 the data
and t = 1 the noise. `logsnr = log(alpha^2 / sigma^2)`; the paper (arXiv 2601.02881) calls
alpha / sigma the SNR, so its log is half of ours.

The input scale b multiplies alpha / sigma by b at every t, which is what training on b * x0
would do (paper, Eq. 7). Neighbouring pixels share their bits, so at b = 1 a network can
average the noise away; b = 0.1 makes denoising hard enough to need the image.

`1 - gamma` is computed, never subtracted: in float32 Eq. 7 as typed gives gamma(0) = 1.000001 at
b = 0.1, and sigma(0) = NaN. The same care goes to the ends. The reference implementation takes
the scaled base from its value at t = 1, g_b(t) - g_b(1), before it stretches it to the limits.
With h = (g - g(1)) / (g(0) - g(1)), which falls from 1 to 0, and
q = (b^2 g(0) + 1 - g(0)) / (b^2 g(1) + 1 - g(1)), that quotient of differences is
q h / (q h + 1 - h), in which nothing cancels; q = b^2 where g itself falls from 1 to 0.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.diffusion.precision import widened

TimeFunction = Callable[[jax.Array], jax.Array]

# Beyond these limits float64 (of the reference) rounds gamma to 1, and float32 rounds it to 0.
LOGSNR_LIMITS = (-80.0, 36.0)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A variance-preserving schedule: a base gamma, scaled by b, with chosen end points.

    Schedules are equal by value, so two calls of `cosine(0.1)` share one compilation when a
    schedule is a static argument. All methods take t of any shape in [0, 1] (not checked) and
    return that shape, in float32 unless t is float64: half-precision times are accepted, but
    nothing is computed in half precision.

    The limits are reached exactly, `logsnr(0) = logsnr_max` and `logsnr(1) = logsnr_min`, by an
    affine map of gamma as in the reference implementation, not by clipping: the slope is never
    cut to zero inside of (0, 1).

    Attributes:
        fall: function h(t): gamma of the unscaled schedule, stretched so that it falls from exactly
            1 to exactly 0.
        rise: function 1 - h(t), computed without cancellation.
        input_scale: input scale b > 0; it is rounded to float32 as in the reference implementation.
        logsnr_min: logsnr at t = 1; at least -80, where float32 can still tell gamma from 0.
        logsnr_max: logsnr at t = 0; at most 36, where float64 can still tell gamma from 1.
        start_noise: 1 - gamma(0) of the unscaled schedule.
        end_signal: gamma(1) of the unscaled schedule.
    """

    fall: TimeFunction
    rise: TimeFunction
    input_scale: float = 0.1
    logsnr_min: float = -20.0
    logsnr_max: float = 20.0
    start_noise: float = 0.0
    end_signal: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < np.float32(self.input_scale) < np.inf:
            raise ValueError(f"input_scale must be positive and finite, got {self.input_scale}")
        lowest, highest = LOGSNR_LIMITS
        if not lowest <= self.logsnr_min < self.logsnr_max <= highest:
            raise ValueError(
                f"logsnr_min must lie below logsnr_max, and both in [{lowest:g}, {highest:g}], got "
                f"logsnr_min={self.logsnr_min}, logsnr_max={self.logsnr_max}"
            )

    def gamma(self, t: ArrayLike) -> jax.Array:
        """Share of signal, alpha^2, in (0, 1)."""
        fall, rise = self._base(widened(t))
        scaled = self._squared_scale * fall
        return self._span * (scaled / (scaled + rise)) + _sigmoid(self.logsnr_min)

    def one_minus_gamma(self, t: ArrayLike) -> jax.Array:
        """Share of noise, sigma^2, in (0, 1); accurate where gamma rounds to 1."""
        fall, rise = self._base(widened(t))
        total = self._squared_scale * fall + rise
        return self._span * (rise / total) + _sigmoid(-self.logsnr_max)

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
        """Slope of logsnr; never positive, and finite at both ends.

        With m the slope of h there, it is `span m / (q sigmoid(-logsnr_max))` at t = 0, up to a
        factor within 1e-8 of 1 for the default limits, and `span q m / sigmoid(logsnr_min)` at
        t = 1; `span` is what gamma falls by, nearly 1. Schedules with m = 0 have slope 0 there.
        """
        t = widened(t)
        fall, fall_slope = jax.jvp(self.fall, (t,), (jnp.ones_like(t),))
        rise, rise_slope = jax.jvp(self.rise, (t,), (jnp.ones_like(t),))
        # h and 1 - h have the same slope but for the sign; that of the smaller one is more exact.
        slope = jnp.where(fall < rise, fall_slope, -rise_slope)
        # d(q h / (q h + 1 - h)) = q dh / total^2: no difference of terms. One total at a time, as
        # the square of a small one would not fit into float32.
        q = self._squared_scale
        total = q * fall + rise
        slope = self._span * (q / total) * (slope / total)
        derivative: jax.Array = slope / self.gamma(t) / self.one_minus_gamma(t)
        return derivative

    def t_at(self, logsnr: ArrayLike) -> jax.Array:
        """The time of a logsnr, found by bisection; the end of [0, 1] that is nearer beyond both.

        Args:
            logsnr: of any shape.

        Returns:
            t of that shape, to the precision of its dtype.
        """
        logsnr = widened(logsnr)

        def halve(_: jax.Array, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            early, late = ends
            middle = (early + late) / 2
            above = self.logsnr(middle) > logsnr
            return jnp.where(above, middle, early), jnp.where(above, late, middle)

        start = jnp.zeros_like(logsnr), jnp.ones_like(logsnr)
        halvings = int(np.finfo(logsnr.dtype).nmant) + 8
        early, late = jax.lax.fori_loop(0, halvings, halve, start)
        middle: jax.Array = (early + late) / 2
        return middle

    @property
    def _squared_scale(self) -> float:
        """`q` of the module's docstring, in float64."""
        squared = float(np.float32(self.input_scale)) ** 2
        at_start = squared * (1 - self.start_noise) + self.start_noise
        at_end = squared * self.end_signal + (1 - self.end_signal)
        return at_start / at_end

    @property
    def _span(self) -> float:
        """gamma(0) - gamma(1), without the subtraction."""
        top, bottom = self.logsnr_max, self.logsnr_min
        return _sigmoid(top) * _sigmoid(-bottom) * -math.expm1(bottom - top)

    def _base(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        # A `fall` that was stretched by subtraction may be slightly below 0.
        return jnp.maximum(self.fall(t), 0), jnp.maximum(self.rise(t), 0)


def input_scaled(
    gamma: TimeFunction,
    one_minus_gamma: TimeFunction,
    input_scale: float,
    logsnr_min: float = -20.0,
    logsnr_max: float = 20.0,
) -> Schedule:
    """A schedule from a gamma of your own, with input scaling.

    Where gamma(1) or 1 - gamma(0) is not 0 it is subtracted, which loses digits near that end; to
    avoid this, construct a `Schedule` yourself.

    Args:
        gamma: jax function of t in [0, 1], falling from about 1 to about 0.
        one_minus_gamma: jax function of t for 1 - gamma, computed without subtracting from 1.
        input_scale: input scale b > 0.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        The schedule. Two of them are equal only if both functions are the same objects, so define
        these at module level rather than as lambdas inside a loop.

    Raises:
        ValueError: gamma does not fall.
    """
    fall, rise = _Stretched(gamma, 1.0), _Stretched(one_minus_gamma, 0.0)
    (end_signal, top), (start_noise, _) = fall.ends, rise.ends
    if not top > end_signal:
        raise ValueError(f"gamma must fall from t = 0 to t = 1, got {top} and {end_signal} there")
    return Schedule(
        fall, rise, input_scale, logsnr_min, logsnr_max, start_noise=start_noise,
        end_signal=end_signal,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Stretched:
    """A function of t, stretched to 0 at t = `zero_at` and to 1 at the other end of [0, 1]."""

    function: TimeFunction
    zero_at: float

    @property
    def ends(self) -> tuple[float, float]:
        """The unstretched values at the end that becomes 0 and at the other, in float64."""
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            at = (self.zero_at, 1 - self.zero_at)
            low, high = (float(self.function(jnp.asarray(t, jnp.float64))) for t in at)
        return low, high

    def __call__(self, t: jax.Array) -> jax.Array:
        low, high = self.ends
        return (self.function(t) - low) / (high - low)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
