"""The variational bound in bits of given analog bits: how probable a model takes them to be.

In continuous time (VDM, arXiv 2107.00630) the bound of one x0 in {-1, 1}^d is, in nats,

    -log p(x0) <= 1/2 int SNR ||x0 - x0_hat(x_t)||^2 dlogsnr  +  KL(q(x_1 | x0) || N(0, 1))
                  + E[-log p(x0 | x_0)],     SNR = e^logsnr = alpha^2 / sigma^2,

the integral, over x_t ~ q(x_t | x0), from the logsnr of the end of noise x_1 to that of the end of
data x_0. It does not depend on the schedule between. Where x0_hat is the posterior mean it is not a
bound but the number itself, of every single x0 and not on average alone, as the range grows (Kong,
Brekelmans & Ver Steeg 2023, arXiv 2302.03792).

The integral is an average over `num_times` values of logsnr, equally spaced with one random offset
(VDM, appendix I.1). What lies beyond its range is not left out; the two other terms stand for it:

- below, SNR is so small that the KL, d / 2 log(1 + SNR), is .005 nats;
- above, the bits are read from x_0 one by one: p(b | x_0) in proportion to q(x_0 | b), times what
  the network takes to be the probability of b, held within .01 and .99. At the highest end that
  is of use, SNR = 2 log(d / .005), the first factor decides alone and all bits together cost
  .005 nats or less. A network that errs at little noise has a lower bound from a lower end.

A schedule that ends before either is taken as it is: the terms are then larger, and the sum still
is a bound. Guidance has no bound, as it samples from no model of this form.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion import prng_keys
from bitdiff_jax.diffusion.parameterization import Prediction, diffuse, expand, to_x0
from bitdiff_jax.diffusion.sampling import DenoiseFn
from bitdiff_jax.diffusion.schedules import Schedule

# What each end of the range may cost, in nats.
_SLACK = 0.005
# The bit that the network expects, at most, when bits are read.
_MOST_CERTAIN = 0.98


class Estimate(NamedTuple):
    """An estimate of bits, and what it may be off by.

    Attributes:
        bits: float32 [B, H, W], what each pixel adds; 0 outside of the valid mask.
        standard_error: float32 [B], of their sum, from the differences between neighbouring values
            of logsnr.
    """

    bits: jax.Array
    standard_error: jax.Array

    @property
    def total(self) -> jax.Array:
        """float32 [B], the sum over the pixels."""
        return jnp.sum(self.bits, axis=(1, 2))


def variational_bound(
    denoise_fn: DenoiseFn,
    x0: jax.Array,
    cond: Any,
    keys: jax.Array,
    *,
    schedule: Schedule,
    prediction: Prediction = "x",
    num_times: int = 64,
    logsnr_max: float | None = None,
    valid_mask: jax.Array | None = None,
    pad_value: float = 0.0,
    self_condition: bool = False,
) -> Estimate:
    """Estimates the bound on -log2 p(x0) of given analog bits; works inside jit.

    Args:
        denoise_fn: `(x_t [B, H, W, C], t [B], cond) -> raw network output`, see `sampling.sample`.
        x0: float32 [B, H, W, C], -1 or 1 in every valid pixel.
        cond: the condition, a tree of [B, ...] arrays.
        keys: PRNG keys [B] of either style, one per row. Two x0 with the same key meet the same
            noise, so that their difference is estimated better than either.
        schedule: the noise schedule.
        prediction: what the network's output stands for, see `parameterization`.
        num_times: values of logsnr of the integral, at least 2. The network is evaluated once more.
        logsnr_max: end of the integral, where the bits are read; None for the highest of use.
        valid_mask: bool [B, H, W]; pixels outside have x0 = pad_value and are known to the model,
            so that they cost nothing.
        pad_value: x0 there.
        self_condition: whether the denoiser takes an earlier guess of x0; it is given zeros.

    Raises:
        ValueError: `num_times` is below 2, an unknown prediction, or `logsnr_max` is not above the
            lower end.
    """
    low, high = logsnr_range(schedule, math.prod(x0.shape[1:]))
    high = high if logsnr_max is None else min(high, logsnr_max)
    predict = _Predictor(
        denoise_fn, x0, cond, prng_keys.typed(keys), schedule, prediction, valid_mask, pad_value,
        self_condition,
    )  # fmt: skip
    integral = predict.integral((low, high), num_times)
    reading = predict.reading_nats(high, num_times)
    prior = math.log1p(math.exp(low)) / 2 * x0.shape[-1]
    ends = jnp.where(predict.valid, prior + reading, 0) / math.log(2)
    return Estimate(integral.bits + ends, integral.standard_error)


def bits_of_range(
    denoise_fn: DenoiseFn,
    x0: jax.Array,
    cond: Any,
    keys: jax.Array,
    logsnr_range: tuple[float, float],
    *,
    schedule: Schedule,
    prediction: Prediction = "x",
    num_times: int = 16,
    valid_mask: jax.Array | None = None,
    pad_value: float = 0.0,
    self_condition: bool = False,
) -> Estimate:
    """The integral of `variational_bound` alone, over a range of logsnr.

    It is what the model has to be told to get from x_t at the one end to x_t at the other. From
    noise to an x_t in which single pixels are not yet seen, it is the cost of coarse structure.

    Args:
        denoise_fn: as for `variational_bound`, like what follows.
        x0: see there.
        cond: see there.
        keys: see there.
        logsnr_range: (low, high).
        schedule: see there.
        prediction: see there.
        num_times: evaluations of the network, at least 2.
        valid_mask: see there.
        pad_value: see there.
        self_condition: see there.

    Raises:
        ValueError: see there.
    """
    predict = _Predictor(
        denoise_fn, x0, cond, prng_keys.typed(keys), schedule, prediction, valid_mask, pad_value,
        self_condition,
    )  # fmt: skip
    return predict.integral(logsnr_range, num_times)


def logsnr_range(schedule: Schedule, num_values: int) -> tuple[float, float]:
    """(low, high), the range of the integral for x0 of d = `num_values` bits."""
    low = math.log(2 * _SLACK / num_values)
    high = math.log(2 * math.log(num_values / _SLACK))
    return max(low, schedule.logsnr_min), min(high, schedule.logsnr_max)


class _Predictor:
    """The network's guesses of a given x0 from x_t of any logsnr."""

    def __init__(
        self, denoise_fn: DenoiseFn, x0: jax.Array, cond: Any, keys: jax.Array, schedule: Schedule,
        prediction: Prediction, valid_mask: jax.Array | None, pad_value: float,
        self_condition: bool,
    ):  # fmt: skip
        self.valid = jnp.ones(x0.shape[:3], bool) if valid_mask is None else valid_mask
        self.x0 = jnp.where(self.valid[..., None], x0, pad_value)
        self._denoise_fn, self._cond, self._keys = denoise_fn, cond, keys
        self._schedule, self._prediction = schedule, prediction
        self._previous = (jnp.zeros_like(x0),) if self_condition else ()

    def integral(self, logsnr_range: tuple[float, float], num_times: int) -> Estimate:
        low, high = logsnr_range
        if num_times < 2:
            raise ValueError(f"num_times is {num_times}; an average with an error needs 2 or more")
        if not low < high:
            raise ValueError(f"logsnr has to end above {low:.4g}, where it begins, got {high}")
        offset = jax.vmap(lambda key: jax.random.uniform(key, (), jnp.float32))(self._keys)

        def at_time(total: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
            logsnr = low + (high - low) * (k + offset) / num_times
            _, guess, snr = self._guess(logsnr, k)
            error = jnp.sum(jnp.square(self.x0 - guess), axis=-1)
            nats = jnp.where(self.valid, (high - low) / 2 * snr[..., 0] * error, 0)
            return total + nats / num_times, jnp.sum(nats, axis=(1, 2))

        start = jnp.zeros(self.x0.shape[:3])
        nats, by_time = jax.lax.scan(at_time, start, jnp.arange(num_times))
        variance = jnp.mean(jnp.square(jnp.diff(by_time, axis=0)), axis=0) / 2
        return Estimate(nats / math.log(2), jnp.sqrt(variance / num_times) / math.log(2))

    def reading_nats(self, logsnr: float, draw: int) -> jax.Array:
        """-log p(x0 | x_0) of each pixel, [B, H, W], the network's guess taken as a prior."""
        x_t, guess, snr = self._guess(jnp.full(len(self.x0), logsnr), jnp.asarray(draw))
        expected = jnp.arctanh(jnp.clip(guess, -_MOST_CERTAIN, _MOST_CERTAIN))
        # Half of log q(x_t | 1) / q(x_t | -1) is alpha x_t / sigma^2; alpha^2 + sigma^2 = 1.
        own = jnp.sqrt(snr * (1 + snr)) * x_t
        return jnp.sum(jax.nn.softplus(-2 * self.x0 * (expected + own)), axis=-1)

    def _guess(self, logsnr: jax.Array, draw: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """x_t, the guess of x0, both [B, H, W, C], and alpha^2 / sigma^2 [B, 1, 1, 1]."""
        t = self._schedule.t_at(logsnr)
        alpha, sigma = (
            expand(each, self.x0) for each in (self._schedule.alpha(t), self._schedule.sigma(t))
        )
        shape = self.x0.shape[1:]
        eps = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, draw), shape))(
            self._keys
        )
        x_t = diffuse(self.x0, eps, alpha, sigma)
        output = self._denoise_fn(x_t, t, self._cond, *self._previous)
        guess = to_x0(output, x_t, alpha, sigma, self._prediction)
        # x0 lies within these limits, so that clipping only brings a guess nearer to it.
        return x_t, jnp.clip(guess, -1, 1), jnp.square(alpha / sigma)
