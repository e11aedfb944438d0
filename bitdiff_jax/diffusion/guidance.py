"""Classifier-free guidance (arXiv 2207.12598), `(1 + w) c - w u`.

w = 0 is plain conditional sampling and w = -1 unconditional. All parts run as one batch,
interleaved image by image: a concatenation along a sharded batch axis would move half of the
batch between devices.
"""

from typing import Any

import jax
import jax.numpy as jnp


def interleave(*parts: Any) -> Any:
    """Joins n trees of [B, ...] arrays into one of [nB, ...], with rows c0, u0, c1, u1, ..."""

    def joined(*rows: jax.Array) -> jax.Array:
        return jnp.stack(rows, axis=1).reshape(len(rows) * rows[0].shape[0], *rows[0].shape[1:])

    return jax.tree.map(joined, *parts)


def split(all_parts: jax.Array, num_parts: int = 2) -> tuple[jax.Array, ...]:
    """The inverse of `interleave` for one array: [nB, ...] -> n of [B, ...]."""
    shape = all_parts.shape[0] // num_parts, num_parts, *all_parts.shape[1:]
    rows = all_parts.reshape(shape)
    return tuple(rows[:, part] for part in range(num_parts))


def combine(cond: jax.Array, null: jax.Array, weight: jax.Array) -> jax.Array:
    """(1 + w) cond - w null, elementwise; `weight` broadcasts against both."""
    return (1 + weight) * cond - weight * null
