"""Attention over all pixels, by query chunks where the whole table of logits is too large."""

import functools
import math

import jax
import jax.numpy as jnp

from bitdiff_jax.nets.conventions import at_least_float32


def attend(q: jax.Array, k: jax.Array, v: jax.Array, *, chunk: int = 0) -> jax.Array:
    """`softmax(q k^T / sqrt(D)) v` for each head; logits and softmax in at least float32.

    Args:
        q: Queries, [B, N, heads, D].
        k: Keys, [B, N, heads, D].
        v: Values, [B, N, heads, D].
        chunk: Number of queries at a time, whose logits are computed again in the backward pass.
            [B, heads, chunk, N] logits are then stored at any moment instead of [B, heads, N, N] in
            every block, for a third more arithmetic. 0, or N and more, takes all at once; a number
            that does not divide N is lowered to the next one that does.

    Returns:
        [B, N, heads, D] of the dtype of v.
    """
    batch, tokens, heads, dim = q.shape
    if not chunk or chunk >= tokens:
        return _attend(q, k, v)
    chunk = math.gcd(tokens, chunk) if tokens % chunk else chunk
    parts = jnp.moveaxis(q.reshape(batch, tokens // chunk, chunk, heads, dim), 1, 0)
    one = jax.checkpoint(functools.partial(_attend, k=k, v=v))
    return jnp.moveaxis(jax.lax.map(one, parts), 0, 1).reshape(batch, tokens, heads, dim)


def _attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    logits = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=at_least_float32(q.dtype))
    weights = jax.nn.softmax(logits / math.sqrt(q.shape[-1])).astype(v.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)
