"""What the network's output stands for, and the conversions between x0, eps and v.

With `x_t = alpha x0 + sigma eps` and `v = alpha eps - sigma x0`. `alpha` and `sigma` must
broadcast against `x_t`; see `expand` for times of shape [B]. At t = 1 alpha is about 5e-5, so
x0 from eps is badly conditioned there (float32 error about 1e-2); it is finite.

A prediction is one of
    'x'         x0
    'eps'       the noise
    'v'         alpha eps - sigma x0
    'both'      eps and x0, one after the other along the channels; x0 is then alpha times the
                latter plus sigma times what the former implies, as in the reference implementation
                (the weights' sum is above 1, so halves that are both right give too large an x0;
                trained on that x0, the halves come to make up for it)
    'p'         the probability, in [0, 1], that the channel is 1 rather than -1
    'p_logits'  the logit of that probability
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.precision import widened_dtype

Prediction = Literal["x", "eps", "v", "both", "p", "p_logits"]


def output_channels(prediction: Prediction, num_channels: int) -> int:
    """How many channels the network's output has, for x0 of `num_channels`.

    Raises:
        ValueError: an unknown prediction.
    """
    _check(prediction)
    return 2 * num_channels if prediction == "both" else num_channels


def diffuse(x0: jax.Array, eps: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """x_t = alpha x0 + sigma eps."""
    return alpha * x0 + sigma * eps


def x0_from_eps(eps: jax.Array, x_t: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """x0 = (x_t - sigma eps) / alpha."""
    return (x_t - sigma * eps) / alpha


def x0_from_v(v: jax.Array, x_t: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """x0 = alpha x_t - sigma v."""
    return alpha * x_t - sigma * v


def eps_from_x0(x0: jax.Array, x_t: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """Eps = (x_t - alpha x0) / sigma."""
    return (x_t - alpha * x0) / sigma


def eps_from_v(v: jax.Array, x_t: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """Eps = sigma x_t + alpha v."""
    return sigma * x_t + alpha * v


def v_from_x0_eps(x0: jax.Array, eps: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """V = alpha eps - sigma x0."""
    return alpha * eps - sigma * x0


def to_x0(
    output: jax.Array,
    x_t: jax.Array,
    alpha: jax.Array,
    sigma: jax.Array,
    prediction: Prediction,
) -> jax.Array:
    """The x0 that a network output stands for.

    Args:
        output: network output, [B, H, W, C], its final activation already applied; [B, H, W, 2C]
            for 'both'.
        x_t: noised data, [B, H, W, C].
        alpha: factor of the data in x_t, broadcastable against x_t.
        sigma: factor of the noise in x_t, broadcastable against x_t.
        prediction: what the output stands for.

    Returns:
        x0, unclipped, of x_t's shape.

    Raises:
        ValueError: an unknown prediction.
    """
    _check(prediction)
    if prediction == "x":
        return output
    if prediction == "eps":
        return x0_from_eps(output, x_t, alpha, sigma)
    if prediction == "v":
        return x0_from_v(output, x_t, alpha, sigma)
    if prediction == "both":
        eps, x0 = jnp.split(output, 2, axis=-1)
        return alpha * x0 + sigma * x0_from_eps(eps, x_t, alpha, sigma)
    if prediction == "p":
        return 2 * output - 1
    return 2 * jax.nn.sigmoid(output) - 1


def to_eps(
    output: jax.Array,
    x_t: jax.Array,
    alpha: jax.Array,
    sigma: jax.Array,
    prediction: Prediction,
) -> jax.Array:
    """The eps that a network output stands for; it takes the arguments of `to_x0`.

    It is the eps that belongs to `to_x0`, except for 'both', whose two halves need not agree: there
    it is the network's own half.

    Returns:
        eps of x_t's shape.

    Raises:
        ValueError: an unknown prediction.
    """
    if prediction == "eps":
        return output
    if prediction == "both":
        return jnp.split(output, 2, axis=-1)[0]
    return eps_from_x0(to_x0(output, x_t, alpha, sigma, prediction), x_t, alpha, sigma)


def expand(per_example: jax.Array, like: jax.Array) -> jax.Array:
    """[B] -> [B, 1, ..., 1], so that it broadcasts against `like`, [B, ...].

    The result has the dtype of `like`, but at least float32, since alpha and sigma have no digits
    to lose.
    """
    shaped = jnp.reshape(per_example, (-1,) + (1,) * (like.ndim - 1))
    return shaped.astype(widened_dtype(like.dtype))


def _check(prediction: str) -> None:
    known = get_args(Prediction)
    if prediction not in known:
        raise ValueError(f"prediction must be one of {', '.join(known)}, got {prediction!r}")
