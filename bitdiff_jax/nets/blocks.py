"""Blocks of the attn-UNet: residual, self-attention, down- and upsampling, patches."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.nets.layers import GroupNorm, at_least_float32, conv, dense


class ResBlock(nn.Module):
    """norm, SiLU, conv, + time, norm, SiLU, conv (zero at the start), + skip.

    Attributes:
        features: Number of output channels; a 1x1 convolution adapts the skip where it differs from
            the input's.
        time_conditioning: 'additive' adds a projection of the time embedding after the first
            convolution; 'scale_shift' modulates the second norm, `norm(h) (1 + scale) + shift`.
        dtype: Compute dtype.
    """

    features: int
    time_conditioning: str = "additive"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] and embedding [B, E] to [B, H, W, features]."""
        modulated = self.time_conditioning == "scale_shift"
        shift = dense(
            nn.silu(embedding),
            self.features * (2 if modulated else 1),
            name="time",
            dtype=embedding.dtype,
        )[:, None, None, :].astype(self.dtype)

        h = nn.silu(GroupNorm(name="norm_0")(x))
        h = conv(h, self.features, name="conv_0", dtype=self.dtype)
        if modulated:
            scale, shift = jnp.split(shift, 2, axis=-1)
            h = GroupNorm(name="norm_1")(h) * (1 + scale) + shift
        else:
            h = GroupNorm(name="norm_1")(h + shift)
        h = conv(nn.silu(h), self.features, name="conv_1", dtype=self.dtype, zero_init=True)

        if x.shape[-1] != self.features:
            x = conv(x, self.features, name="skip", kernel_size=1, dtype=self.dtype)
        return x + h


class AttentionBlock(nn.Module):
    """norm, multi-head self-attention over all pixels, projection (zero at the start), + input.

    There is no positional code: the convolutions around it carry position.

    Attributes:
        num_heads: Divides the channels.
        dtype: Compute dtype; logits and softmax are in at least float32.
    """

    num_heads: int = 4
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to the same shape."""
        batch, height, width, channels = x.shape
        head_dim = channels // self.num_heads
        h = GroupNorm(name="norm")(x).reshape(batch, height * width, channels)
        qkv = dense(h, 3 * channels, name="qkv", dtype=self.dtype)
        # Channels are ordered [head][q, k, v][head_dim], as in the reference's weights.
        q, k, v = jnp.moveaxis(qkv.reshape(batch, -1, self.num_heads, 3, head_dim), 3, 0)
        logits = jnp.einsum(
            "bqhd,bkhd->bhqk", q, k, preferred_element_type=at_least_float32(self.dtype)
        )
        weights = nn.softmax(logits / math.sqrt(head_dim)).astype(self.dtype)
        h = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape)
        return x + dense(h, channels, name="proj", dtype=self.dtype, zero_init=True)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2, padded by one pixel on both sides."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H/2, W/2, C]."""
        return conv(x, x.shape[-1], name="conv", stride=2, dtype=self.dtype)


class Upsample(nn.Module):
    """Nearest neighbour times two, then a 3x3 convolution."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, 2H, 2W, C]."""
        batch, height, width, channels = x.shape
        # A broadcast, not a gather: XLA fuses it into the copy that feeds the convolution.
        x = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, 2, width, 2, channels))
        x = x.reshape(batch, 2 * height, 2 * width, channels)
        return conv(x, channels, name="conv", dtype=self.dtype)


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
