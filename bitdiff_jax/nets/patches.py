"""Squares of pixels as the channels of one position, and back."""

import jax


def space_to_depth(x: jax.Array, patch_size: int) -> jax.Array:
    """[B, H, W, C] to [B, H/p, W/p, p*p*C]; channels are ordered [row][column][C]."""
    batch, height, width, channels = x.shape
    p = patch_size
    x = x.reshape(batch, height // p, p, width // p, p, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // p, width // p, p * p * channels)


def depth_to_space(x: jax.Array, patch_size: int) -> jax.Array:
    """The inverse of `space_to_depth`: [B, H, W, p*p*C] to [B, H*p, W*p, C]."""
    batch, height, width, channels = x.shape
    p = patch_size
    x = x.reshape(batch, height, width, p, p, channels // (p * p))
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * p, width * p, -1)
