"""PRNG keys in either of JAX's two styles."""

import jax
import jax.numpy as jnp


def typed(keys: jax.Array) -> jax.Array:
    """Keys as typed ones, with one element a key, whatever their style.

    Args:
        keys: of `jax.random.key`, any shape; or of the older `jax.random.PRNGKey`, uint32 with one
            axis more, the last: both stand for the same randomness.

    Raises:
        ValueError: an array that is no key.
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
