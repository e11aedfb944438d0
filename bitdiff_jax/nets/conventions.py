"""What both implementations of the UNet agree on: initial values, dtypes, groups of a norm."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

# U(-l, l) with l = sqrt(3 scale / fan_in) = 1 / sqrt(fan_in), as PyTorch initialises.
kernel_init = nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def bias_init(fan_in: int) -> nn.initializers.Initializer:
    """U(-l, l) with l = 1 / sqrt(fan_in), as PyTorch initialises biases."""
    limit = 1.0 / math.sqrt(fan_in)
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -limit, limit)


def at_least_float32(dtype: DTypeLike) -> jnp.dtype:
    """The dtype of parameters, norm statistics and softmax for a compute dtype."""
    return jnp.promote_types(dtype, jnp.float32)


def num_groups(channels: int) -> int:
    """Groups of a norm: 32, or one for each channel where 32 does not divide them."""
    return 32 if channels % 32 == 0 else channels
