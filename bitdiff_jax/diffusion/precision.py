"""Numbers in at least float32: times and schedules lose their meaning in half precision."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike


def widened_dtype(dtype: DTypeLike) -> jnp.dtype:
    """The dtype float32 for half precision and integers, and any wider dtype unchanged."""
    floating = jnp.issubdtype(dtype, jnp.floating)
    return jnp.dtype(jnp.promote_types(dtype, jnp.float32) if floating else jnp.float32)


def widened(x: ArrayLike) -> jax.Array:
    """The same numbers in at least float32."""
    x = jnp.asarray(x)
    return x.astype(widened_dtype(x.dtype))
