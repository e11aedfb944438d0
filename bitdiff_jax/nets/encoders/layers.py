"""Layers that the encoders share."""

import contextlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def gelu(x: jax.Array) -> jax.Array:
    """x times the normal distribution function of x, without the tanh approximation.

    Written with erf: `jax.nn.gelu` uses erfc, which XLA computes more slowly on a CPU.
    """
    return 0.5 * x * (1.0 + jax.lax.erf(x * 2**-0.5))


class DepthwiseConv(nn.Module):
    """A square convolution of each channel by itself, as shifted multiply-adds.

    XLA's own depthwise convolution takes much longer on a CPU. Zeros surround the grid, whose sides
    have to be multiples of the stride.

    Attributes:
        stride: distance of two outputs, in cells.
        size: side of the kernel, odd.
        centred: whether there are `size // 2` zeros on each side, as PyTorch pads; or `size -
            stride` on both sides together, the odd one below and at the right, as TensorFlow does.
    """

    stride: int = 1
    size: int = 3
    centred: bool = True

    @property
    def around(self) -> tuple[int, int]:
        """Zeros before and after the grid, along each side."""
        before = (self.size - 1 if self.centred else self.size - self.stride) // 2
        return before, self.size - 1 - before

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), C]."""
        channels = x.shape[-1]
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (self.size, self.size, 1, channels)
        )
        height, width = x.shape[1:3]
        x = jnp.pad(x, ((0, 0), self.around, self.around, (0, 0)))
        y: jax.Array = self.param("bias", nn.initializers.zeros, (channels,))
        for i in range(self.size):
            for j in range(self.size):
                shifted = x[:, i : i + height : self.stride, j : j + width : self.stride]
                y = y + shifted * kernel[i, j, 0]
        return y


def depthwise_as_convolutions() -> contextlib.AbstractContextManager[Any]:
    """A context in which each `DepthwiseConv` is traced as one convolution of XLA's.

    For graphs that leave JAX: the shifted sums are fifty operations, and slower elsewhere.
    """
    return nn.intercept_methods(_as_one_convolution)


def _as_one_convolution(
    call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
) -> Any:
    layer = context.module
    if not isinstance(layer, DepthwiseConv) or context.method_name != "__call__":
        return call(*args, **kwargs)
    (x,) = args
    params = layer.variables["params"]
    convolved = jax.lax.conv_general_dilated(
        x, params["kernel"], (layer.stride, layer.stride), (layer.around, layer.around),
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=x.shape[-1],
    )  # fmt: skip
    return convolved + params["bias"]
