"""The attn-UNet: convolutions on a pyramid, self-attention at its deepest levels."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.encoding import onehot
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import folding
from bitdiff_jax.nets.blocks import (
    AttentionBlock,
    Downsample,
    ResBlock,
    Upsample,
    depth_to_space,
    space_to_depth,
)
from bitdiff_jax.nets.embedding import sinusoid
from bitdiff_jax.nets.folding import Layout
from bitdiff_jax.nets.layers import Biased, Conv, dense, group_norm
from bitdiff_jax.nets.norm import at_least_float32


class UNet(nn.Module):
    """The network of arXiv 2601.02881, after the UNet of improved diffusion (arXiv 2102.09672).

    The defaults are the paper's net for 128 x 128 pictures and 6 bits: 38,496,262 parameters with
    9 input channels (6 bits and RGB), 69.2 GFLOP for a forward pass of one picture. Every output of
    the stem, the blocks and the downsamplers on the way down is concatenated to the input of one
    residual block on the way up, so that side has one block more per level.

    The last convolution starts at zero, hence so does the output, before `final_activation`. There
    is no dropout and no state besides the parameters: `apply` is a pure function of (params, x,
    time).

    Attributes:
        out_channels: Channels of the output.
        base_channels: Channels at full resolution; also the size of the sinusoid (even).
        channel_multipliers: One factor per level, from full resolution down.
        blocks_per_level: Residual blocks per level on the way down.
        attention_levels: Levels whose blocks are followed by self-attention; negative ones count
            from the deepest.
        num_heads: Attention heads; divides the channels of those levels and of the middle.
        patch_size: Side of the square of pixels that is folded into channels on the way in and
            unfolded on the way out; 1 is the paper's net.
        time_max_period: See `sinusoid`.
        time_scale: Multiplies the time before the sinusoid.
        time_conditioning: 'additive' (the paper's net) or 'scale_shift'. The norm that follows
            takes away what is added to a whole group: the additive time has no effect at all in
            blocks of 32 channels, or of a number that 32 does not divide. Give such a narrow net
            'scale_shift'.
        final_activation: 'tanh', 'sigmoid', 'none', or over the channels of each pixel 'softmax' or
            'standardised_softmax', which takes the probabilities on to the range of
            `encoding.onehot.OneHotEncoding`, with mean 0.
        dtype: Compute dtype. Parameters, time embedding, norm statistics, softmax, last convolution
            and final activation stay in at least float32.
        remat: Recompute the blocks in the backward pass instead of storing what is inside them.
        fold: Compute the widest level on pairs of pixels, see `folding`: the same function of the
            same parameters, for TPUs, where 64 channels cost what 128 do.
        attention_chunk: Queries at a time, see `attention.attend`; 0 takes all at once.
    """

    out_channels: int = 6
    base_channels: int = 64
    channel_multipliers: tuple[int, ...] = (1, 2, 2, 4, 4)
    blocks_per_level: int = 3
    attention_levels: tuple[int, ...] = (-2, -1)
    num_heads: int = 4
    patch_size: int = 1
    time_max_period: float = 10.0
    time_scale: float = 1.0
    time_conditioning: str = "additive"
    final_activation: str = "tanh"
    dtype: DTypeLike = jnp.float32
    remat: bool = False
    fold: bool = False
    attention_chunk: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array) -> jax.Array:
        """Runs the network.

        Args:
            x: Float [B, H, W, Cin]; H and W are multiples of patch_size * 2**(levels - 1).
            time: Float [B], one scalar per image.

        Returns:
            [B, H, W, out_channels], float32 (float64 if `dtype` is).

        Raises:
            InputError: If an attribute is outside its domain, or x or time has a wrong shape.
        """
        attended = _attended_levels(self)
        _check_shapes(self, x.shape, time.shape)
        widths = [self.base_channels * m for m in self.channel_multipliers]
        wide = at_least_float32(self.dtype)
        res_class, attention_class = ResBlock, AttentionBlock
        if self.remat:
            res_class, attention_class = nn.remat(ResBlock), nn.remat(AttentionBlock)

        embedding = sinusoid(
            time.astype(wide) * self.time_scale, self.base_channels, self.time_max_period
        )
        embedding = dense(embedding, 4 * self.base_channels, name="time_0", dtype=wide)
        embedding = dense(nn.silu(embedding), 4 * self.base_channels, name="time_1", dtype=wide)

        def layout(level: int) -> Layout:
            return Layout.FOLDED if self.fold and level == 0 else Layout.PLAIN

        def block(
            parts: Sequence[Biased], level: int, attend: bool, prefix: str, index: int
        ) -> Biased:
            name, where = f"{prefix}_res_{index}", layout(level)
            h: Biased = res_class(
                widths[level], self.time_conditioning, self.dtype, where, name=name
            )(parts, embedding)
            if attend:
                name = f"{prefix}_attention_{index}"
                h = attention_class(
                    self.num_heads, self.dtype, where, self.attention_chunk, name=name
                )(h)
            return h

        pixels = space_to_depth(x.astype(self.dtype), self.patch_size)
        if self.fold:
            pixels = folding.fold(pixels)
        widest = layout(0)
        stem = Conv(self.base_channels, dtype=self.dtype, source=widest, result=widest, name="stem")
        h = stem(pixels)
        skips = [h]
        deepest = len(widths) - 1
        for level in range(len(widths)):
            for index in range(self.blocks_per_level):
                h = block((h,), level, level in attended, f"down_{level}", index)
                skips.append(h)
            if level < deepest:
                h = Downsample(self.dtype, layout(level), name=f"down_{level}_downsample")(h)
                skips.append(h)

        h = block((h,), deepest, True, "middle", 0)
        h = block((h,), deepest, False, "middle", 1)

        for level in reversed(range(len(widths))):
            for index in range(self.blocks_per_level + 1):
                h = block((h, skips.pop()), level, level in attended, f"up_{level}", index)
            if level > 0:
                h = Upsample(self.dtype, layout(level - 1), name=f"up_{level}_upsample")(h)

        (pixels,) = group_norm([h], name="out_norm", layout=widest, dtype=wide)
        channels = self.out_channels * self.patch_size**2
        out_conv = Conv(
            channels, zero_init=True, dtype=wide, source=widest, result=widest, name="out_conv"
        )
        out = out_conv(pixels).value()
        if self.fold:
            out = folding.unfold(out)
        return _ACTIVATIONS[self.final_activation](depth_to_space(out, self.patch_size))


_ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "softmax": nn.softmax,
    "standardised_softmax": lambda h: onehot.standardise(nn.softmax(h)),
    "none": lambda h: h,
}


def _attended_levels(net: UNet) -> frozenset[int]:
    """The levels with attention as indices from 0; raises InputError for a bad attribute."""
    levels = len(net.channel_multipliers)
    for name in ("out_channels", "base_channels", "blocks_per_level", "num_heads", "patch_size"):
        if getattr(net, name) < 1:
            raise InputError(f"{name} is {getattr(net, name)}; give a positive integer")
    if net.attention_chunk < 0:
        raise InputError(
            f"attention_chunk is {net.attention_chunk}; give a number of queries, or 0 for all"
        )
    if not levels or min(net.channel_multipliers) < 1:
        raise InputError(
            f"channel_multipliers is {tuple(net.channel_multipliers)}; "
            "give one positive integer per level"
        )
    if net.base_channels % 2:
        raise InputError(f"base_channels is {net.base_channels}; give an even number")
    for name, choices in (
        ("time_conditioning", ("additive", "scale_shift")),
        ("final_activation", tuple(_ACTIVATIONS)),
    ):
        if getattr(net, name) not in choices:
            raise InputError(f"{name} is {getattr(net, name)!r}; choose one of {choices}")
    if net.final_activation == "standardised_softmax" and net.out_channels < 2:
        raise InputError("final_activation is 'standardised_softmax'; give at least 2 out_channels")
    outside = [i for i in net.attention_levels if not -levels <= i < levels]
    if outside:
        raise InputError(
            f"attention_levels has {outside[0]}; the {levels} levels are {-levels} to {levels - 1}"
        )
    attended = frozenset(i % levels for i in net.attention_levels)
    for level in sorted(attended | {levels - 1}):
        channels = net.base_channels * net.channel_multipliers[level]
        if channels % net.num_heads:
            raise InputError(
                f"num_heads is {net.num_heads}; give a divisor of the {channels} channels of "
                f"level {level}"
            )
    return attended


def _check_shapes(net: UNet, x_shape: tuple[int, ...], time_shape: tuple[int, ...]) -> None:
    if len(x_shape) != 4 or tuple(time_shape) != (x_shape[0],):
        raise InputError(
            f"x is {tuple(x_shape)} and time is {tuple(time_shape)}; "
            "give x [B, H, W, C] and time [B]"
        )
    multiple = net.patch_size * 2 ** (len(net.channel_multipliers) - 1)
    if any(side % multiple or not side for side in x_shape[1:3]):
        raise InputError(
            f"x is {x_shape[1]} x {x_shape[2]} pixels; give sides that are multiples of {multiple} "
            f"(patch_size {net.patch_size} * 2**{len(net.channel_multipliers) - 1})"
        )
    if net.fold and (x_shape[2] // net.patch_size) % 2:
        raise InputError(
            f"x is {x_shape[2]} pixels wide; with fold=True give an even number of patches, of "
            f"{net.patch_size} pixels each"
        )
