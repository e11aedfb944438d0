"""The attn-UNet of `bitdiff_jax.nets.unet` in fewer passes over memory."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import attributes
from bitdiff_jax.nets.activations import ACTIVATIONS
from bitdiff_jax.nets.conventions import at_least_float32
from bitdiff_jax.nets.embedding import sinusoid
from bitdiff_jax.nets.fused import folding
from bitdiff_jax.nets.fused.blocks import AttentionBlock, Downsample, ResBlock, Upsample
from bitdiff_jax.nets.fused.folding import PixelLayout
from bitdiff_jax.nets.fused.layers import Biased, Conv, dense, group_norm
from bitdiff_jax.nets.patches import depth_to_space, space_to_depth
from bitdiff_jax.nets.unet import UNet


class FusedUNet(UNet):
    """`bitdiff_jax.nets.unet.UNet`, computed in fewer passes over memory.

    It has the attributes of `UNet` and two more. Parameters, outputs and gradients are the same
    within rounding.

    Attributes:
        fold: Whether the widest level is computed on pairs of pixels, see `folding`: the same
            function of the same parameters, for TPUs, where 64 channels cost as much as 128.
        attention_chunk: Number of queries at a time, see `attention.attend`; 0 takes all at once.
    """

    fold: bool = False
    attention_chunk: int = 0

    def __post_init__(self) -> None:
        if self.attention_chunk < 0:
            raise InputError(
                f"attention_chunk is {self.attention_chunk}; give a number of queries, or 0 for all"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array) -> jax.Array:
        """Runs the network, with the arguments and result of `UNet`."""
        attributes.check_inputs(self, x.shape, time.shape)
        if self.fold and (x.shape[2] // self.patch_size) % 2:
            raise InputError(
                f"x is {x.shape[2]} pixels wide; with fold=True give an even number of patches, of "
                f"{self.patch_size} pixels each"
            )
        widths = [self.base_channels * m for m in self.channel_multipliers]
        wide, deepest = at_least_float32(self.dtype), len(widths) - 1
        attended = {level % len(widths) for level in self.attention_levels}
        res_class, attention_class = ResBlock, AttentionBlock
        if self.remat:
            res_class, attention_class = nn.remat(ResBlock), nn.remat(AttentionBlock)

        embedding = sinusoid(
            time.astype(wide) * self.time_scale, self.base_channels, self.time_max_period
        )
        embedding = dense(embedding, 4 * self.base_channels, name="time_0", dtype=wide)
        embedding = dense(nn.silu(embedding), 4 * self.base_channels, name="time_1", dtype=wide)

        def layout(level: int) -> PixelLayout:
            return PixelLayout.FOLDED if self.fold and level == 0 else PixelLayout.PLAIN

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
        out = depth_to_space(out, self.patch_size)
        if self.pixel_channels:
            out += self.pixel_head()(out, x, embedding)
        return ACTIVATIONS[self.final_activation](out)
