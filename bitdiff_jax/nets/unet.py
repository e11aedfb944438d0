"""The attn-UNet: convolutions on a pyramid, self-attention at its deepest levels.

This is the definition. `bitdiff_jax.nets.fused` computes the same function of the same parameters
in fewer passes over memory and is tested against it.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.nets import attributes
from bitdiff_jax.nets.activations import ACTIVATIONS
from bitdiff_jax.nets.conventions import at_least_float32, bias_init, kernel_init, num_groups
from bitdiff_jax.nets.embedding import sinusoid
from bitdiff_jax.nets.patches import depth_to_space, space_to_depth


def conv(
    x: jax.Array, features: int, name: str, dtype: DTypeLike,
    *, kernel_size: int = 3, stride: int = 1, zero_init: bool = False,
) -> jax.Array:  # fmt: skip
    """A square convolution with bias, padded by `kernel_size // 2` pixels on every side."""
    zeros = nn.initializers.zeros
    return nn.Conv(
        features,
        (kernel_size, kernel_size),
        strides=stride,
        padding=kernel_size // 2,  # "SAME" would pad a stride of 2 on the right alone
        dtype=dtype,
        param_dtype=at_least_float32(dtype),
        kernel_init=zeros if zero_init else kernel_init,
        bias_init=zeros if zero_init else bias_init(kernel_size**2 * x.shape[-1]),
        name=name,
    )(x)


def dense(
    x: jax.Array, features: int, name: str, dtype: DTypeLike, *, zero_init: bool = False
) -> jax.Array:
    """A linear map of the last axis with bias."""
    zeros = nn.initializers.zeros
    return nn.Dense(
        features,
        dtype=dtype,
        param_dtype=at_least_float32(dtype),
        kernel_init=zeros if zero_init else kernel_init,
        bias_init=zeros if zero_init else bias_init(x.shape[-1]),
        name=name,
    )(x)


def group_norm(x: jax.Array, name: str) -> jax.Array:
    """A group norm that computes and returns at least float32."""
    wide = at_least_float32(x.dtype)
    groups = num_groups(x.shape[-1])
    # The "fast" variance, E x² - (E x)², has no digit left where the mean is large.
    return nn.GroupNorm(
        groups, epsilon=1e-5, dtype=wide, param_dtype=wide, use_fast_variance=False, name=name
    )(x)


class ResBlock(nn.Module):
    """norm, SiLU, conv, + time, norm, SiLU, conv (zero at the start), + skip.

    Attributes:
        features: Number of output channels. A 1x1 convolution adapts the skip where the input has
            another number of channels.
        time_conditioning: 'additive' adds a projection of the time embedding after the first
            convolution; 'scale_shift' modulates the second norm, `norm(h) (1 + scale) + shift`.
        dtype: Compute dtype.
    """

    features: int
    time_conditioning: str = "additive"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] and the time embedding [B, E] to [B, H, W, features]."""
        modulated = self.time_conditioning == "scale_shift"
        size = 2 * self.features if modulated else self.features
        time = dense(nn.silu(embedding), size, "time", embedding.dtype)[:, None, None]

        h = nn.silu(group_norm(x, "norm_0"))
        h = conv(h, self.features, "conv_0", self.dtype)
        if modulated:
            scale, shift = jnp.split(time, 2, axis=-1)
            h = group_norm(h, "norm_1") * (1 + scale) + shift
        else:
            h = group_norm(h + time, "norm_1")
        h = conv(nn.silu(h), self.features, "conv_1", self.dtype, zero_init=True)
        if x.shape[-1] != self.features:
            x = conv(x, self.features, "skip", self.dtype, kernel_size=1)
        return x + h


class AttentionBlock(nn.Module):
    """norm, multi-head self-attention over all pixels, projection (zero at the start), + input.

    There is no positional code: the convolutions around it carry position.

    Attributes:
        num_heads: Number of attention heads; it divides the channels.
        dtype: Compute dtype; logits and softmax are in at least float32.
    """

    num_heads: int = 4
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to the same shape."""
        batch, height, width, channels = x.shape
        head_dim = channels // self.num_heads
        h = group_norm(x, "norm").reshape(batch, height * width, channels)
        # Channels are ordered [head][q, k, v][head_dim], as in the reference's weights.
        h = dense(h, 3 * channels, "qkv", self.dtype)
        h = h.reshape(batch, height * width, self.num_heads, 3 * head_dim)
        q, k, v = jnp.split(h, 3, axis=-1)
        wide = at_least_float32(self.dtype)
        logits = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=wide)
        weights = nn.softmax(logits / math.sqrt(head_dim)).astype(self.dtype)
        h = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, height, width, channels)
        return x + dense(h, channels, "proj", self.dtype, zero_init=True)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H/2, W/2, C]."""
        return conv(x, x.shape[-1], "conv", self.dtype, stride=2)


class Upsample(nn.Module):
    """Nearest neighbour times two, then a 3x3 convolution."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, 2H, 2W, C]."""
        x = x.repeat(2, axis=1).repeat(2, axis=2)
        return conv(x, x.shape[-1], "conv", self.dtype)


class PixelHead(nn.Module):
    """What is added to an output that was unfolded from patches, computed pixel by pixel.

    The patches' output and the network's input, a 3x3 convolution, one residual block, norm, SiLU
    and a 3x3 convolution that starts at zero: small regions and boundaries are read off the input's
    own pixels, where the network under it saw patches.

    Attributes:
        features: Number of channels of each pixel.
        out_channels: Number of channels of the output.
        time_conditioning: As `ResBlock`.
        dtype: Compute dtype; the last convolution is in at least float32.
    """

    features: int
    out_channels: int
    time_conditioning: str = "additive"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, coarse: jax.Array, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps two maps and the time to what is added to the first.

        Args:
            coarse: the patches' output before the final activation, [B, H, W, out_channels].
            x: the network's input, [B, H, W, Cin].
            embedding: Time embedding, [B, E].
        """
        h = jnp.concatenate([coarse.astype(self.dtype), x.astype(self.dtype)], axis=-1)
        h = conv(h, self.features, "stem", self.dtype)
        block = ResBlock(self.features, self.time_conditioning, self.dtype, name="res_0")
        h = nn.silu(group_norm(block(h, embedding), "out_norm"))
        wide = at_least_float32(self.dtype)
        return conv(h, self.out_channels, "out_conv", wide, zero_init=True)


class UNet(nn.Module):
    """The network of arXiv 2601.02881, after the UNet of improved diffusion (arXiv 2102.09672).

    The defaults are the paper's net for 128 x 128 images and 6 bits: 38,496,262 parameters with
    9 input channels (6 bits and RGB), 69.2 GFLOP for a forward pass of one image. Every output of
    the stem, the blocks and the downsamplers on the way down is concatenated to the input of one
    residual block on the way up, so that side has one block more per level.

    The last convolution starts at zero, hence so does the output, before `final_activation`. There
    is no dropout and no state besides the parameters: `apply` is a pure function of (params, x,
    time).

    Attributes:
        out_channels: Number of channels of the output.
        base_channels: Number of channels at full resolution, even; also the size of the sinusoid.
        channel_multipliers: One factor per level, from full resolution down.
        blocks_per_level: Residual blocks per level on the way down.
        attention_levels: Levels whose blocks are followed by self-attention; negative ones count
            from the deepest. The middle has attention in any case.
        num_heads: Number of attention heads; it divides the channels of those levels and of the
            middle.
        patch_size: Side of the square of pixels that is folded into channels on the way in and
            unfolded on the way out; 1 is the paper's net.
        pixel_channels: Number of channels of a `PixelHead` on what is unfolded; 0, the paper's net,
            has none.
        time_max_period: Ratio of the sinusoid's highest frequency to the limit that its lowest ones
            approach, see `sinusoid`.
        time_scale: Factor of the time before the sinusoid.
        time_conditioning: 'additive' (the paper's net) or 'scale_shift'. The norm that follows
            takes away what is added to a whole group: the additive time has no effect at all in
            blocks of 32 channels, or of a number that 32 does not divide. Give such a narrow net
            'scale_shift'.
        final_activation: Name of the last activation: 'tanh', 'sigmoid', 'none', or over the
            channels of each pixel 'softmax' or 'standardised_softmax', which maps the probabilities
            to the range of `encoding.onehot.OneHotEncoding`, with mean 0.
        dtype: Compute dtype. Parameters, time embedding, norm statistics, softmax, last convolution
            and final activation stay in at least float32.
        remat: Whether blocks are computed again in the backward pass instead of storing their
            intermediate results.

    Raises:
        InputError: an attribute is outside its domain.
    """

    out_channels: int = 6
    base_channels: int = 64
    channel_multipliers: tuple[int, ...] = (1, 2, 2, 4, 4)
    blocks_per_level: int = 3
    attention_levels: tuple[int, ...] = (-2, -1)
    num_heads: int = 4
    patch_size: int = 1
    pixel_channels: int = 0
    time_max_period: float = 10.0
    time_scale: float = 1.0
    time_conditioning: str = "additive"
    final_activation: str = "tanh"
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def __post_init__(self) -> None:
        attributes.check(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array) -> jax.Array:
        """Runs the network.

        Args:
            x: Float [B, H, W, Cin]; H and W are multiples of patch_size * 2**(levels - 1).
            time: Float [B], one scalar per image.

        Returns:
            [B, H, W, out_channels], float32 (float64 if `dtype` is).

        Raises:
            InputError: x or time has a wrong shape.
        """
        attributes.check_inputs(self, x.shape, time.shape)
        widths = [self.base_channels * m for m in self.channel_multipliers]
        levels, wide = len(widths), at_least_float32(self.dtype)
        attended = {level % levels for level in self.attention_levels}
        res_class, attention_class = ResBlock, AttentionBlock
        if self.remat:
            res_class, attention_class = nn.remat(ResBlock), nn.remat(AttentionBlock)

        embedding = sinusoid(
            time.astype(wide) * self.time_scale, self.base_channels, self.time_max_period
        )
        embedding = dense(embedding, 4 * self.base_channels, "time_0", wide)
        embedding = dense(nn.silu(embedding), 4 * self.base_channels, "time_1", wide)

        def block(h: jax.Array, level: int, attend: bool, prefix: str, index: int) -> jax.Array:
            name = f"{prefix}_res_{index}"
            h = res_class(widths[level], self.time_conditioning, self.dtype, name=name)(
                h, embedding
            )
            if attend:
                name = f"{prefix}_attention_{index}"
                h = attention_class(self.num_heads, self.dtype, name=name)(h)
            return h

        h = space_to_depth(x.astype(self.dtype), self.patch_size)
        h = conv(h, self.base_channels, "stem", self.dtype)
        skips = [h]
        for level in range(levels):
            for index in range(self.blocks_per_level):
                h = block(h, level, level in attended, f"down_{level}", index)
                skips.append(h)
            if level < levels - 1:
                h = Downsample(self.dtype, name=f"down_{level}_downsample")(h)
                skips.append(h)

        h = block(h, levels - 1, True, "middle", 0)
        h = block(h, levels - 1, False, "middle", 1)

        for level in reversed(range(levels)):
            for index in range(self.blocks_per_level + 1):
                h = jnp.concatenate([h, skips.pop()], axis=-1)
                h = block(h, level, level in attended, f"up_{level}", index)
            if level > 0:
                h = Upsample(self.dtype, name=f"up_{level}_upsample")(h)

        h = nn.silu(group_norm(h, "out_norm"))
        h = conv(h, self.out_channels * self.patch_size**2, "out_conv", wide, zero_init=True)
        h = depth_to_space(h, self.patch_size)
        if self.pixel_channels:
            h += self.pixel_head()(h, x, embedding)
        return ACTIVATIONS[self.final_activation](h)

    def pixel_head(self) -> PixelHead:
        """The head on single pixels, called 'pixels' among the parameters."""
        return PixelHead(
            self.pixel_channels, self.out_channels, self.time_conditioning, self.dtype,
            name="pixels",
        )  # fmt: skip
