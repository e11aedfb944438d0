"""Training times: `(key, batch_size) -> t`, float32 [batch_size] in [0, 1).

They are drawn for the *global* batch. In all three functions each t is uniform on its own; they
differ in how evenly one batch covers the interval, and so in the variance of the batch's loss.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def uniform(key: jax.Array, batch_size: int) -> jax.Array:
    """Independent draws from [0, 1).

    Args:
        key: PRNG key.
        batch_size: number of times.

    Returns:
        float32 [batch_size] in [0, 1).
    """
    return jax.random.uniform(key, (batch_size,), jnp.float32)


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
    return _in_strata(
        key_order, jax.random.uniform(key_offset, (batch_size,), jnp.float32), batch_size
    )


def low_discrepancy(key: jax.Array, batch_size: int) -> jax.Array:
    """A grid of step 1 / batch_size with one random offset, shuffled (arXiv 2107.00630, App. I.1).

    This is what the reference implementation intends with `low_discrepency`, which crashes there.

    Args:
        key: PRNG key.
        batch_size: number of times, of the *global* batch.

    Returns:
        float32 [batch_size] in [0, 1).
    """
    key_order, key_offset = jax.random.split(key)
    return _in_strata(key_order, jax.random.uniform(key_offset, (), jnp.float32), batch_size)


TIMES: dict[str, Callable[[jax.Array, int], jax.Array]] = {
    "uniform": uniform,
    "stratified": stratified,
    "low_discrepancy": low_discrepancy,
}


def _in_strata(key: jax.Array, offset: jax.Array, batch_size: int) -> jax.Array:
    """(k + offset) / batch_size for k = 0 .. batch_size - 1 in random order."""
    places = jnp.arange(batch_size, dtype=jnp.int32)
    stratum = jax.random.permutation(key, places).astype(jnp.float32)
    t = (stratum + offset) / batch_size
    # (B - 1 + u) may round up to B in float32; the interval has to stay half open.
    return jnp.minimum(t, jnp.float32(1 - 2**-24))
