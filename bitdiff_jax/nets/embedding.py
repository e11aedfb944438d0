"""The sinusoidal embedding of a scalar time."""

import math

import jax
import jax.numpy as jnp


def sinusoid(time: jax.Array, dim: int, max_period: float = 10.0) -> jax.Array:
    """Embeds scalars as `[cos(time f_j), sin(time f_j)]`, `f_j = max_period**(-2j/dim)`.

    With time in [0, 1] and `max_period` 10, the angles stay below 1 rad: the embedding is a smooth
    curve without aliasing, and time 0 is `[1, ..., 1, 0, ..., 0]`. Other ranges (a log-SNR) are
    valid too; the embedding is periodic in them.

    Args:
        time: Float [B].
        dim: Number of features, even.
        max_period: Ratio of the highest frequency (1 rad per unit of time) to the limit that the
            lowest ones approach.

    Returns:
        [B, dim] in at least float32.

    >>> sinusoid(jnp.zeros(1), 4).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    half = dim // 2
    dtype = jnp.promote_types(time.dtype, jnp.float32)
    frequency = jnp.exp(-math.log(max_period) * jnp.arange(half, dtype=dtype) / half)
    angle = time.astype(dtype)[:, None] * frequency
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
