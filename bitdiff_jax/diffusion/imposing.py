"""Known pixels imposed on what is sampled: conditioning without training.

Two things are done at each step. **Replacement**: where x0 is known, the step takes the known value
for the network's prediction. A step method then carries x_t there from its own noise towards that
value, as it does everywhere, and the network sees on known pixels what it would see if it had
predicted them rightly. (RePaint, arXiv 2201.09865, noises the known value afresh at each step: the
same distribution at each t, with noise that deterministic methods do not draw.)

**Guidance**: replaced pixels tell the others little while these decide, at times when a pixel of
x_t holds next to no information; later it is too late. So the prediction on all other pixels is
moved along the gradient of what x_t, through the network, says of the known ones. By Bayes' rule
the score of x_t given what is known is that of x_t plus the gradient of log p(known | x_t), which
in terms of x0 (Tweedie) reads

    x0 + weight (sigma^2 / alpha) grad_{x_t} log p(known | x_t),

with the probability that the predicted x0 gives the known pixels, channel by channel, as in
reconstruction guidance (arXiv 2204.03458, 2209.14687). The pixels of one region are one fact and
not many, so that their logarithms are averaged: each pixel has a weight, and those of a region sum
to 1. What is drawn is an approximation of the conditional distribution; tests/diffusion say how
good a one where that is known. It takes a derivative of the network at each step, several times
what the step takes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.parameterization import eps_from_x0

# Below this probability a channel pulls no more.
_LEAST = 1e-3


class Denoised(NamedTuple):
    """What a denoiser makes of x_t, each [B, H, W, C], unclipped."""

    x0: jax.Array
    eps: jax.Array
    own_x0: jax.Array  # without classifier-free guidance, which leaves the range of x0


class Known(NamedTuple):
    """What is known of x0.

    Attributes:
        x0: [B, H, W, C], looked at where `mask` is true.
        mask: bool [B, H, W].
        weight: float [B, H, W], of each pixel in guidance, looked at where `mask` is true; those of
            one region sum to the weight of its guidance, 1 for the conditional distribution. None
            for replacement alone.
        span: a scalar, the width of the range of x0: a channel that is off by all of it has
            probability 0.
    """

    x0: jax.Array
    mask: jax.Array
    weight: jax.Array | None = None
    span: Any = 2.0


def impose(x0: jax.Array, known: Known) -> jax.Array:
    """x0 [B, H, W, C] with its known values on known pixels."""
    return jnp.where(known.mask[..., None], known.x0.astype(x0.dtype), x0)


def imposed_prediction(
    x0: jax.Array, eps: jax.Array, x_t: jax.Array, alpha: jax.Array, sigma: jax.Array, known: Known
) -> tuple[jax.Array, jax.Array]:
    """A prediction of x0 and eps with the known x0, and the eps that belongs to it.

    Args:
        x0: prediction [B, H, W, C].
        eps: prediction [B, H, W, C].
        x_t: noised data [B, H, W, C].
        alpha: of x_t, a scalar.
        sigma: of x_t, a scalar.
        known: what is imposed.
    """
    x0 = impose(x0, known)
    of_known = eps_from_x0(x0, x_t, alpha, sigma)
    return x0, jnp.where(known.mask[..., None], of_known, eps)


def guided_prediction(
    denoise: Callable[[jax.Array], Denoised],
    x_t: jax.Array,
    alpha: jax.Array,
    sigma: jax.Array,
    known: Known,
) -> tuple[jax.Array, jax.Array]:
    """The prediction of x0 and eps at x_t, moved to where x_t explains what is known.

    Args:
        denoise: x_t [B, H, W, C] -> what it is denoised to.
        x_t: noised data [B, H, W, C].
        alpha: of x_t, a scalar.
        sigma: of x_t, a scalar.
        known: what is known; it has weights.
    """

    def log_prob(x_t: jax.Array) -> tuple[jax.Array, Denoised]:
        denoised = denoise(x_t)
        assert known.weight is not None
        weight = jnp.where(known.mask, known.weight, 0)
        off = jnp.abs(denoised.own_x0 - known.x0) / known.span
        logarithms = jnp.log(jnp.maximum(1 - off, _LEAST))
        return jnp.sum(weight[..., None] * logarithms), denoised

    gradient, (x0, eps, _) = jax.grad(log_prob, has_aux=True)(x_t)
    return x0 + jnp.square(sigma) / alpha * gradient, eps - sigma * gradient
