"""Classifier-free guidance (arXiv 2207.12598), `(1 + w) c - w u`.

w = 0 is plain conditional sampling and w = -1 unconditional. Both halves run as one batch,
interleaved image by image: a concatenation along a sharded batch axis would move half of the
batch between devices.
"""

from typing import Any

import jax
import jax.numpy as jnp


def interleave(cond: Any, null: Any) -> Any:
    """Joins two trees of [B, ...] arrays into one of [2B, ...], with rows c0, u0, c1, u1, ..."""

    def pair(c: jax.Array, u: jax.Array) -> jax.Array:
        return jnp.stack([c, u], axis=1).reshape(2 * c.shape[0], *c.shape[1:])

    return jax.tree.map(pair, cond, null)


def split(both: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The inverse of `interleave` for one array: [2B, ...] -> two of [B, ...]."""
    pairs = both.reshape(both.shape[0] // 2, 2, *both.shape[1:])
    return pairs[:, 0], pairs[:, 1]


def combine(cond: jax.Array, null: jax.Array, weight: jax.Array) -> jax.Array:
    """(1 + w) cond - w null, elementwise; `weight` broadcasts against both."""
    return (1 + weight) * cond - weight * null
