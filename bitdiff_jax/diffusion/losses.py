"""Losses in data space."""

import jax
import jax.numpy as jnp


def masked_mse(pred: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """Squared error of each example: mean over the masked pixels, *sum* over channels.

    Args:
        pred: [B, H, W, C] predicted x0, unclipped.
        target: [B, H, W, C] x0.
        mask: [B, H, W], true or 1 where a pixel counts.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    mask = mask.astype(pred.dtype)
    per_pixel = jnp.sum(jnp.square(pred - target), axis=-1)
    # 1e-14 as in the reference: no mask, no loss, rather than 0 / 0.
    return jnp.sum(per_pixel * mask, axis=(1, 2)) / (jnp.sum(mask, axis=(1, 2)) + 1e-14)
