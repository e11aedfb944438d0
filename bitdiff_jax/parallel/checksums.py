"""Checksums of arrays, computed on the devices that hold them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.parallel.dispatch import InFlight
from bitdiff_jax.parallel.partition_rules import path_name

_SPREAD = 2654435761  # Knuth's multiplicative constant, for the positions of elements
_PIECE = 2**16  # elements that are summed at a time on the host
_AHEAD = 8  # greatest number of sums under way; `dispatch` says why there is a limit
_MIX = ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1))  # MurmurHash3's last step: shift, factor


def checksums(tree: Any) -> dict[str, int]:
    """A number in 0..2^32 - 1 for each array of a tree, by its path.

    It is the sum, modulo 2^32, of a hash of each element's bits and position. Integer sums do not
    depend on their order, so the number is the same on every mesh and number of processes. For each
    position the hash is one to one: a change of one element is always found, and one of several
    elements in all but 2^-32 of cases. Only the numbers leave the devices. With several processes
    all of them must call it. On a CPU, a process that has all of an array sums it up with numpy, so
    that the first save need not wait for a program of each shape to be compiled.

    Args:
        tree: a tree of arrays.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    under_way = InFlight(_AHEAD)
    sums = jax.device_get(
        [
            _on_host(np.asarray(leaf)) if _in_memory(leaf) else under_way.add(_checksum(leaf))
            for _, leaf in leaves
        ]
    )
    return {path_name(path): int(value) for (path, _), value in zip(leaves, sums, strict=True)}


def _in_memory(leaf: Any) -> bool:
    if not isinstance(leaf, jax.Array):
        return True
    on_cpu = all(d.platform == "cpu" for d in leaf.sharding.device_set)  # type: ignore[attr-defined]
    return on_cpu and leaf.is_fully_addressable


def _on_host(x: np.ndarray) -> int:
    """The number of `_checksum`, computed in pieces that stay in the processor's cache."""
    width = {1: np.uint8, 2: np.uint16}.get(x.dtype.itemsize, np.uint32)
    bits = np.ascontiguousarray(x).reshape(-1).view(width)
    total = 0
    for start in range(0, bits.size, _PIECE):
        mixed = bits[start : start + _PIECE].astype(np.uint32)
        place = np.arange(start, start + mixed.size).astype(np.uint32)
        place *= np.uint32(_SPREAD)
        mixed ^= place
        for shift, factor in _MIX:
            mixed ^= mixed >> np.uint32(shift)
            mixed *= np.uint32(factor)
        total += int(mixed.sum(dtype=np.uint64))
    return total % 2**32


# Compiled for each shape; one program for a whole state would take minutes to compile.
@jax.jit
def _checksum(x: jax.Array) -> jax.Array:
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    width = {1: jnp.uint8, 2: jnp.uint16}.get(x.dtype.itemsize, jnp.uint32)
    bits = jax.lax.bitcast_convert_type(x, width).astype(jnp.uint32)
    # Positions are counted by dimension, since flattening a sharded array would gather it.
    place = jnp.zeros(bits.shape, jnp.uint32)
    for axis in range(bits.ndim):
        stride = np.uint32(math.prod(bits.shape[axis + 1 :]) % 2**32)
        place += jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis) * stride
    mixed = bits ^ (place * np.uint32(_SPREAD))
    for shift, factor in _MIX:
        mixed = (mixed ^ (mixed >> shift)) * np.uint32(factor)
    return jnp.sum(mixed, dtype=jnp.uint32)
