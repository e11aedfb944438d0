"""Training times."""

import jax
import jax.numpy as jnp


def stratified(key: jax.Array, batch_size: int) -> jax.Array:
    """One independent draw in each of `batch_size` equal parts of [0, 1), shuffled.

    The reference implementation's `uniform_low_d`: each t is uniform on its own, and a batch
    covers the whole interval.

    Args:
        key: PRNG key.
        batch_size: number of times, of the *global* batch.

    Returns:
        float32 [batch_size] in [0, 1).
    """
    key_order, key_offset = jax.random.split(key)
    stratum = jax.random.permutation(key_order, batch_size).astype(jnp.float32)
    t = (stratum + jax.random.uniform(key_offset, (batch_size,))) / batch_size
    # (B - 1 + u) may round up to B in float32: keep the interval half open.
    return jnp.minimum(t, jnp.float32(1 - 2**-24))
