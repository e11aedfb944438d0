"""Layers under the blocks: convolution, linear map and group norm as PyTorch initialises them."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

# U(-l, l) with l = sqrt(3 scale / fan_in) = 1 / sqrt(fan_in).
_kernel_init = nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def at_least_float32(dtype: DTypeLike) -> Any:
    """The dtype of parameters, statistics and softmax for a compute dtype."""
    return jnp.promote_types(dtype, jnp.float32)


def _bias_init(fan_in: int) -> Callable[..., jax.Array]:
    limit = 1.0 / math.sqrt(fan_in)

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


def conv(
    x: jax.Array,
    features: int,
    *,
    name: str,
    dtype: DTypeLike,
    kernel_size: int = 3,
    stride: int = 1,
    zero_init: bool = False,
) -> jax.Array:
    """Adds a square convolution with bias to the module being built, and applies it.

    The padding is `kernel_size // 2` on both sides, whatever the stride ("SAME" would pad a
    stride of 2 by (0, 1)). Weights and bias start as U(-l, l), l = 1/sqrt(fan_in), or as zeros.

    Args:
        x: [B, H, W, Cin].
        features: Cout.
        name: Name of the submodule.
        dtype: Compute dtype; parameters are kept in at least float32.
        kernel_size: Odd side of the kernel.
        stride: 1 keeps H and W, 2 halves them.
        zero_init: Whether kernel and bias start as zeros.

    Returns:
        [B, H / stride, W / stride, Cout] of dtype `dtype`.
    """
    zeros = nn.initializers.zeros
    return nn.Conv(
        features,
        (kernel_size, kernel_size),
        strides=(stride, stride),
        padding=kernel_size // 2,
        dtype=dtype,
        param_dtype=at_least_float32(dtype),
        kernel_init=zeros if zero_init else _kernel_init,
        bias_init=zeros if zero_init else _bias_init(kernel_size**2 * x.shape[-1]),
        name=name,
    )(x)


def dense(
    x: jax.Array, features: int, *, name: str, dtype: DTypeLike, zero_init: bool = False
) -> jax.Array:
    """Adds a linear map of the last axis with bias, initialised as in `conv`, and applies it."""
    zeros = nn.initializers.zeros
    return nn.Dense(
        features,
        dtype=dtype,
        param_dtype=at_least_float32(dtype),
        kernel_init=zeros if zero_init else _kernel_init,
        bias_init=zeros if zero_init else _bias_init(x.shape[-1]),
        name=name,
    )(x)


class GroupNorm(nn.Module):
    """Group normalisation over 32 groups, or over single channels where 32 does not divide them.

    Statistics and normalisation are in at least float32; the result has the dtype of the input.
    A constant group gives `bias`.

    Attributes:
        epsilon: Added to the variance.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalises x [B, H, W, C] per image and group."""
        channels = x.shape[-1]
        groups = 32 if channels % 32 == 0 else channels
        dtype = at_least_float32(x.dtype)
        scale = self.param("scale", nn.initializers.ones, (channels,), dtype)
        bias = self.param("bias", nn.initializers.zeros, (channels,), dtype)

        def per_group(moment: jax.Array) -> jax.Array:
            mean = moment.reshape(-1, groups, channels // groups).mean(-1, keepdims=True)
            return jnp.broadcast_to(mean, (mean.shape[0], groups, channels // groups)).reshape(
                -1, 1, 1, channels
            )

        # Summing over space first keeps the channels together: no 5-D reshape of the activations.
        wide = x.astype(dtype)
        mean = per_group(wide.mean((1, 2)))
        centred = wide - mean
        variance = per_group(jnp.square(centred).mean((1, 2)))
        return (centred * (jax.lax.rsqrt(variance + self.epsilon) * scale) + bias).astype(x.dtype)
