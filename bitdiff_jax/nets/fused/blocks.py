"""The blocks of `bitdiff_jax.nets.unet` by the same names and parameters, in fewer passes."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.nets.fused.attention import attend
from bitdiff_jax.nets.fused.convolution import convolve, summands, upsample_convolve
from bitdiff_jax.nets.fused.folding import PixelLayout
from bitdiff_jax.nets.fused.layers import Biased, Conv, Kernel, Linear, dense, group_norm


class ResBlock(nn.Module):
    """norm, SiLU, conv, + time, norm, SiLU, conv (zero at the start), + skip.

    Attributes:
        features: Number of output channels; a 1x1 convolution adapts the skip where it differs from
            the input's.
        time_conditioning: 'additive' adds a projection of the time embedding after the first
            convolution; 'scale_shift' modulates the second norm, `norm(h) (1 + scale) + shift`.
        dtype: Compute dtype.
        layout: Pixel layout of the maps, plain or folded.
    """

    features: int
    time_conditioning: str = "additive"
    dtype: DTypeLike = jnp.float32
    layout: PixelLayout = PixelLayout.PLAIN

    @nn.compact
    def __call__(self, parts: Sequence[Biased], embedding: jax.Array) -> Biased:
        """Maps the concatenation of the parts, [B, H, W, C], to [B, H, W, features].

        Args:
            parts: one map, or several that stand for their concatenation.
            embedding: Time embedding, [B, E].
        """
        channels = sum(part.bias.shape[0] for part in parts)
        outside = self.layout
        inside = PixelLayout.STAGGERED if outside is PixelLayout.FOLDED else outside
        modulated = self.time_conditioning == "scale_shift"
        shift = dense(
            nn.silu(embedding),
            self.features * (2 if modulated else 1),
            name="time",
            dtype=embedding.dtype,
        )

        h = group_norm(parts, name="norm_0", layout=outside)
        kernel, bias = Kernel(self.features, dtype=self.dtype, name="conv_0")(channels)
        y, *added = summands(h, kernel, dtype=self.dtype, source=outside, result=inside)
        before: jax.Array | None = shift
        modulation: tuple[jax.Array, jax.Array] | None = None
        if modulated:
            scale, shift = jnp.split(shift, 2, axis=-1)
            before, modulation = None, (scale, shift)
        (z,) = group_norm(
            [Biased(y, bias)], name="norm_1", added=added, before=before, modulation=modulation,
            layout=inside,
        )  # fmt: skip
        conv_1 = Conv(
            self.features, zero_init=True, dtype=self.dtype, source=inside, result=outside,
            name="conv_1",
        )  # fmt: skip
        y, bias = conv_1(z)

        if channels == self.features and len(parts) == 1:
            return Biased(parts[0].map + y, parts[0].bias + bias)
        kernel, skip_bias = Kernel(self.features, 1, dtype=self.dtype, name="skip")(channels)
        maps = [part.map for part in parts]
        y += convolve(maps, kernel, dtype=self.dtype, source=outside, result=outside)
        carried = jnp.concatenate([part.bias for part in parts])
        carried = jnp.matmul(carried, kernel[0, 0], precision=jax.lax.Precision.HIGHEST)
        return Biased(y, carried + skip_bias + bias)


class AttentionBlock(nn.Module):
    """norm, multi-head self-attention over all pixels, projection (zero at the start), + input.

    There is no positional code: the convolutions around it carry position.

    Attributes:
        num_heads: Number of attention heads; it divides the channels.
        dtype: Compute dtype; logits and softmax are in at least float32.
        layout: Pixel layout of the map.
        chunk: Number of queries at a time, see `attention.attend`; 0 takes all at once.
    """

    num_heads: int = 4
    dtype: DTypeLike = jnp.float32
    layout: PixelLayout = PixelLayout.PLAIN
    chunk: int = 0

    @nn.compact
    def __call__(self, x: Biased) -> Biased:
        """Maps x [B, H, W, C] to the same shape."""
        (h,) = group_norm([x], name="norm", activate=False, layout=self.layout)
        channels = x.bias.shape[0]
        h = h.reshape(h.shape[0], -1, channels)
        kernel, bias = Linear(3 * channels, dtype=self.dtype, name="qkv")(channels)
        # Channels are ordered [head][q, k, v][head_dim], as in the reference's weights. The weights
        # are reordered rather than the pixels, because they are fewer.
        head_dim = channels // self.num_heads
        kernel = jnp.moveaxis(kernel.reshape(channels, self.num_heads, 3, head_dim), 2, 1)
        q_bias, _, v_bias = jnp.moveaxis(bias.reshape(self.num_heads, 3, head_dim), 1, 0)
        q, k, v = jnp.split(h @ kernel.reshape(channels, -1).astype(self.dtype), 3, axis=-1)
        # The bias of k moves all logits of a query alike, which does not change the softmax. The
        # bias of v passes through the average unchanged.
        q += q_bias.reshape(-1).astype(self.dtype)
        q, k, v = (a.reshape(*a.shape[:2], self.num_heads, head_dim) for a in (q, k, v))
        h = attend(q, k, v, chunk=self.chunk).reshape(h.shape)
        kernel, bias = Linear(channels, zero_init=True, dtype=self.dtype, name="proj")(channels)
        y = (h @ kernel.astype(self.dtype)).reshape(x.map.shape)
        carried = jnp.matmul(v_bias.reshape(-1), kernel, precision=jax.lax.Precision.HIGHEST)
        return Biased(x.map + y, x.bias + bias + carried)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2, padded by one pixel on both sides.

    Attributes:
        dtype: Compute dtype.
        layout: Pixel layout of x, plain or folded; the result is plain.
    """

    dtype: DTypeLike = jnp.float32
    layout: PixelLayout = PixelLayout.PLAIN

    @nn.compact
    def __call__(self, x: Biased) -> Biased:
        """Maps x [B, H, W, C] to [B, H/2, W/2, C]."""
        channels = x.bias.shape[0]
        # The padding has no bias, so the bias has to be added before.
        conv = Conv(channels, dtype=self.dtype, stride=2, source=self.layout, name="conv")
        return conv(x.value())


class Upsample(nn.Module):
    """Nearest neighbour times two, then a 3x3 convolution.

    Attributes:
        dtype: Compute dtype.
        layout: Pixel layout of the result, plain or folded; x is plain.
    """

    dtype: DTypeLike = jnp.float32
    layout: PixelLayout = PixelLayout.PLAIN

    @nn.compact
    def __call__(self, x: Biased) -> Biased:
        """Maps x [B, H, W, C] to [B, 2H, 2W, C]."""
        channels = x.bias.shape[0]
        kernel, bias = Kernel(channels, dtype=self.dtype, name="conv")(channels)
        y = upsample_convolve(x.value(), kernel, dtype=self.dtype, result=self.layout)
        return Biased(y, bias)
