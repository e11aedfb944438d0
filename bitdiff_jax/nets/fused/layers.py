"""The layers of the blocks: they declare the parameters of `bitdiff_jax.nets.unet`."""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.nets.conventions import at_least_float32, bias_init, kernel_init
from bitdiff_jax.nets.fused.convolution import convolve
from bitdiff_jax.nets.fused.folding import PixelLayout
from bitdiff_jax.nets.fused.norm import normalise


class Kernel(nn.Module):
    """Declares the kernel and bias of a square convolution and returns them, without applying them.

    Their initial values are those of `nets.unet.conv`. A block applies them itself, to several maps
    at once or to a folded one.

    Attributes:
        features: Number of output channels.
        kernel_size: Side of the kernel.
        zero_init: Whether both start as zeros.
        dtype: Compute dtype; parameters are kept in at least float32.
    """

    features: int
    kernel_size: int = 3
    zero_init: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Returns the kernel [k, k, channels, features] and the bias [features]."""
        return self.declare(channels)

    def declare(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Declares the parameters for `channels` input channels, and returns them."""
        shape = (self.kernel_size, self.kernel_size, channels, self.features)
        zeros = nn.initializers.zeros
        dtype = at_least_float32(self.dtype)
        kernel = self.param("kernel", zeros if self.zero_init else kernel_init, shape, dtype)
        init = zeros if self.zero_init else bias_init(self.kernel_size**2 * channels)
        return kernel, self.param("bias", init, (self.features,), dtype)


class Linear(nn.Module):
    """Declares the kernel and bias of a linear map and returns them, as `Kernel` does."""

    features: int
    zero_init: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Returns the kernel [channels, features] and the bias [features]."""
        zeros = nn.initializers.zeros
        dtype = at_least_float32(self.dtype)
        init = zeros if self.zero_init else kernel_init
        kernel = self.param("kernel", init, (channels, self.features), dtype)
        init = zeros if self.zero_init else bias_init(channels)
        return kernel, self.param("bias", init, (self.features,), dtype)


class Biased(NamedTuple):
    """A map and a vector that is yet to be added to each of its pixels.

    The vector collects what the convolutions of a residual block add to all pixels alike. The next
    norm takes it in as C numbers, and returns its gradient so. A bias costs no pass over a map this
    way.
    """

    map: jax.Array  # [B, H, W, C], in some layout
    bias: jax.Array  # [C], in at least float32

    def value(self) -> jax.Array:
        """The map with its bias added."""
        copies = self.map.shape[-1] // self.bias.shape[0]
        return self.map + jnp.tile(self.bias.astype(self.map.dtype), copies)


class Conv(Kernel):
    """A square convolution with the kernel and bias of `Kernel`.

    The padding is `kernel_size // 2` on both sides, whatever the stride ("SAME" would pad a
    stride of 2 by (0, 1)).

    Attributes:
        stride: Stride of the convolution: 1 keeps H and W, 2 halves them.
        source: Pixel layout of the input.
        result: Pixel layout of the result.
    """

    stride: int = 1
    source: PixelLayout = PixelLayout.PLAIN
    result: PixelLayout = PixelLayout.PLAIN

    @nn.compact
    def __call__(self, x: jax.Array) -> Biased:  # type: ignore[override]
        """Maps x [B, H, W, Cin] to [B, H / stride, W / stride, features] of dtype `dtype`."""
        kernel, bias = self.declare(x.shape[-1] // self.source.copies)
        y = convolve(
            (x,), kernel, dtype=self.dtype, stride=self.stride, source=self.source,
            result=self.result,
        )  # fmt: skip
        return Biased(y, bias)


def dense(x: jax.Array, features: int, *, name: str, dtype: DTypeLike) -> jax.Array:
    """Adds a linear map of the last axis with bias to the module being built, and applies it."""
    kernel, bias = Linear(features, dtype=dtype, name=name)(x.shape[-1])
    return x.astype(dtype) @ kernel.astype(dtype) + bias.astype(dtype)


class Affine(nn.Module):
    """Scale and bias of a group norm; starts as the identity."""

    @nn.compact
    def __call__(self, channels: int, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
        """Returns scale and bias, [channels] each."""
        scale = self.param("scale", nn.initializers.ones, (channels,), dtype)
        return scale, self.param("bias", nn.initializers.zeros, (channels,), dtype)


def group_norm(
    parts: Sequence[Biased],
    *,
    name: str,
    added: Sequence[jax.Array] = (),
    before: jax.Array | None = None,
    modulation: tuple[jax.Array, jax.Array] | None = None,
    activate: bool = True,
    layout: PixelLayout = PixelLayout.PLAIN,
    dtype: DTypeLike | None = None,
) -> tuple[jax.Array, ...]:
    """Adds a group norm to the module being built, and applies it and a SiLU.

    Statistics and normalisation are in at least float32.

    Args:
        parts: Maps that stand for their concatenation, [B, H, W, C].
        name: Name of the submodule.
        added: Maps that are to be added to the last part, without biases; see `normalise`.
        before: Vector [B, C] that is added to all pixels of an image before the norm.
        modulation: Pair (scale, shift), [B, C] each: `norm(x) * (1 + scale) + shift`.
        activate: Whether the SiLU is applied.
        layout: Pixel layout of the maps.
        dtype: Dtype of the results; None keeps that of the maps.

    Returns:
        The normalised maps.
    """
    bias = jnp.concatenate([part.bias for part in parts])[None]
    before = bias if before is None else before + bias
    wide = at_least_float32(parts[0].map.dtype)
    gain, offset = (a[None] for a in Affine(name=name)(bias.shape[1], wide))
    if modulation is not None:
        scale, shift = modulation
        gain, offset = gain * (1 + scale), offset * (1 + scale) + shift
    maps = [part.map for part in parts]
    return normalise(
        maps, before, gain, offset, added=added, activate=activate, layout=layout, dtype=dtype
    )
