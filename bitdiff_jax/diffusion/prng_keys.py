"""PRNG keys in either of JAX's two styles."""

import jax
import jax.numpy as jnp


def typed(keys: jax.Array) -> jax.Array:
    """Converts keys of either style to typed ones, one element per key.

    Args:
        keys: keys of `jax.random.key`, of any shape, or of the older `jax.random.PRNGKey`, uint32
            with one more axis at the end. Both stand for the same randomness.

    Raises:
        ValueError: the array holds no keys.
    """
    if not hasattr(keys, "dtype") or not (
        jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) or (keys.dtype == jnp.uint32 and keys.ndim)
    ):
        kind = getattr(keys, "dtype", type(keys).__name__)
        raise ValueError(f"a PRNG key is {kind}; use jax.random.key(seed) or one of its splits")
    if jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        return keys
    wrapped: jax.Array = jax.random.wrap_key_data(keys)
    return wrapped
