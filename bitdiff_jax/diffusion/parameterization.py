"""What the network's output stands for, and the way between x0, eps and v.

With `x_t = alpha x0 + sigma eps` and `v = alpha eps - sigma x0`. `alpha` and `sigma` must
broadcast against `x_t`; see `expand` for times of shape [B]. At t = 1 alpha is about 5e-5, so
x0 from eps is badly conditioned there (float32 error about 1e-2); it is finite.
"""

from typing import Literal

import jax
import jax.numpy as jnp

Prediction = Literal["x", "eps", "v"]


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
    """x0 that a network output stands for.

    Args:
        output: network output, [B, H, W, C], its final activation already applied.
        x_t: noised data, the same shape.
        alpha: broadcastable against x_t.
        sigma: broadcastable against x_t.
        prediction: what the output is: 'x', 'eps' or 'v'.

    Returns:
        x0, unclipped, of x_t's shape.
    """
    if prediction == "x":
        return output
    if prediction == "eps":
        return x0_from_eps(output, x_t, alpha, sigma)
    if prediction == "v":
        return x0_from_v(output, x_t, alpha, sigma)
    raise ValueError(f"prediction must be 'x', 'eps' or 'v', got {prediction!r}")


def expand(per_example: jax.Array, like: jax.Array) -> jax.Array:
    """[B] -> [B, 1, ..., 1] in the dtype of `like`, [B, ...], so that the two broadcast."""
    return jnp.reshape(per_example, (-1,) + (1,) * (like.ndim - 1)).astype(like.dtype)
