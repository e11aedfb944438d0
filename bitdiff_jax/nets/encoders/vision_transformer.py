"""The vision transformers of DINOv2 (arXiv 2304.07193) and DINOv3 (arXiv 2508.10104).

The image is cut into patches, each a token; attention is over all of them. DINOv2 adds a learned
embedding of a token's place, DINOv3 turns queries and keys by angles that depend on it, and has
register tokens. Source: `Dinov2Model` and `DINOv3ViTModel` of `transformers` (Apache-2.0).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.nets.encoders.layers import gelu

# Of the learned embedding: cells of a side, for an image of 518 px in patches of 14.
LEARNED_SIDE = 37
ROTATION_BASE = 100.0


class Block(nn.Module):
    """Attention and an MLP, each normed before and scaled by a learned factor after."""

    num_heads: int
    epsilon: float
    key_bias: bool

    @nn.compact
    def __call__(self, x: jax.Array, rotation: jax.Array | None) -> jax.Array:
        """Tokens [B, T, C] -> [B, T, C].

        Args:
            x: the tokens, those of patches last.
            rotation: angles of the patches' queries and keys [patches, head / 2], or None.
        """
        channels, init = x.shape[-1], nn.initializers.ones
        y = nn.LayerNorm(epsilon=self.epsilon, name="norm1")(x)
        heads = (*x.shape[:2], self.num_heads, channels // self.num_heads)
        q = nn.Dense(channels, name="query")(y).reshape(heads)
        k = nn.Dense(channels, use_bias=self.key_bias, name="key")(y).reshape(heads)
        v = nn.Dense(channels, name="value")(y).reshape(heads)
        if rotation is not None:
            q, k = rotated(q, rotation), rotated(k, rotation)
        logits = jnp.einsum("bqhd,bkhd->bhqk", q * heads[-1] ** -0.5, k)
        y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits, axis=-1), v).reshape(x.shape)
        y = nn.Dense(channels, name="output")(y)
        x = x + y * self.param("layer_scale1", init, (channels,))
        y = nn.LayerNorm(epsilon=self.epsilon, name="norm2")(x)
        y = nn.Dense(channels, name="fc2")(gelu(nn.Dense(4 * channels, name="fc1")(y)))
        return x + y * self.param("layer_scale2", init, (channels,))


class VisionTransformer(nn.Module):
    """From a normalised image to the last layer's normed features of its patches.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        num_heads: of attention.
        patch: side of a patch, px.
        registers: tokens beside those of the patches and the class.
        rotary: whether places enter by rotation, as in DINOv3, or by a learned embedding.
        epsilon: of the layer norms.
    """

    width: int
    depth: int
    num_heads: int
    patch: int
    registers: int
    rotary: bool
    epsilon: float

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """[B, N, N, 3], N a multiple of `patch` -> [B, N / patch, N / patch, width]."""
        init, side = nn.initializers.normal(0.02), self.patch
        x = nn.Conv(self.width, (side, side), (side, side), "VALID", name="patches")(image)
        batch, rows, columns, width = x.shape
        x = x.reshape(batch, -1, width)
        first = self.param("cls_token", init, (1, 1, width))
        rotation = None
        if self.rotary:
            rotation = angles(rows, columns, width // self.num_heads)
        else:
            places = self.param("places", init, (1, 1 + LEARNED_SIDE**2, width))
            grid = places[0, 1:].reshape(LEARNED_SIDE, LEARNED_SIDE, width)
            grid = jnp.einsum(
                "yh,xw,hwc->yxc", bicubic(LEARNED_SIDE, rows), bicubic(LEARNED_SIDE, columns), grid
            )
            x, first = x + grid.reshape(-1, width), first + places[:, :1]
        before = [first]
        if self.registers:
            before.append(self.param("register_tokens", init, (1, self.registers, width)))
        before = [jnp.broadcast_to(each, (batch, *each.shape[1:])) for each in before]
        x = jnp.concatenate([*before, x], axis=1)
        for i in range(self.depth):
            x = Block(self.num_heads, self.epsilon, not self.rotary, name=f"blocks_{i}")(
                x, rotation
            )
        x = nn.LayerNorm(epsilon=self.epsilon, name="norm")(x[:, 1 + self.registers :])
        return x.reshape(batch, rows, columns, width)


def angles(rows: int, columns: int, head: int) -> jax.Array:
    """Angles by which the pairs of a patch's query are turned, [rows * columns, head / 2].

    The centres of the patches lie in (-1, 1) on each axis; half of the pairs are for the rows.
    """
    frequencies = ROTATION_BASE ** -np.arange(0, 1, 4 / head)
    y = 2 * (np.arange(rows) + 0.5) / rows - 1
    x = 2 * (np.arange(columns) + 0.5) / columns - 1
    centres = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    turned = 2 * np.pi * centres[:, :, None] * frequencies
    return jnp.asarray(turned.reshape(rows * columns, -1), jnp.float32)


def rotated(x: jax.Array, rotation: jax.Array) -> jax.Array:
    """Queries or keys [B, T, heads, d] with those of the patches turned by [patches, d / 2]."""
    start = x.shape[1] - rotation.shape[0]
    cosine, sine = jnp.cos(rotation)[:, None], jnp.sin(rotation)[:, None]
    a, b = jnp.split(x[:, start:], 2, axis=-1)
    turned = jnp.concatenate([a * cosine - b * sine, b * cosine + a * sine], axis=-1)
    return jnp.concatenate([x[:, :start], turned], axis=1)


@functools.lru_cache
def bicubic(source: int, target: int) -> np.ndarray:
    """The matrix [target, source] of PyTorch's bicubic interpolation without antialiasing.

    Its kernel has the parameter -0.75, where `jax.image.resize` has -0.5; places beyond an end
    have the value at the end.
    """
    a = -0.75
    matrix = np.zeros((target, source), np.float32)
    for row in range(target):
        place = (row + 0.5) * source / target - 0.5
        for cell in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            d = abs(place - cell)
            if d <= 1:
                weight = (a + 2) * d**3 - (a + 3) * d**2 + 1
            else:
                weight = a * (d**3 - 5 * d**2 + 8 * d - 4)
            matrix[row, min(max(cell, 0), source - 1)] += weight
    return matrix
