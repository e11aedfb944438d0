import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.parallel import checksums as module
from bitdiff_jax.parallel.checksums import checksums


def slowly(x):
    """The same sum, number by number, without wrap-around until the end."""
    width = {1: np.uint8, 2: np.uint16, 4: np.uint32}[x.dtype.itemsize]
    bits = np.ascontiguousarray(x).view(width).reshape(-1)
    total = 0
    for place, value in enumerate(bits.tolist()):
        mixed = value ^ (place * 2654435761 % 2**32)
        mixed = (mixed ^ (mixed >> 16)) * 0x85EBCA6B % 2**32
        mixed = (mixed ^ (mixed >> 13)) * 0xC2B2AE35 % 2**32
        total += mixed ^ (mixed >> 16)
    return total % 2**32


def noise(shape, dtype):
    size = int(np.prod(shape))
    seed = int(hashlib.md5(f"{shape}{dtype}".encode()).hexdigest()[:8], 16)
    return np.random.default_rng(seed).normal(size=size).reshape(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (7,), (3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool", jnp.bfloat16])
def test_against_plain_arithmetic(shape, dtype):
    x = noise(shape, dtype)
    assert checksums({"a": {"b": jnp.asarray(x)}}) == {"a/b": slowly(x)}


@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3, 4, 5), (3, 50_000)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool", jnp.bfloat16])
def test_on_devices_and_in_memory_alike(shape, dtype):
    """Here all arrays are in memory; those of an accelerator, or of others, are not."""
    x = jnp.asarray(noise(shape, dtype))
    assert checksums({"a": x}) == {"a": int(module._checksum(x))}


def test_every_bit_of_every_element_counts():
    x = noise((3, 4), np.float32)
    seen = {slowly(x)}
    for place in range(12):
        for bit in range(32):
            y = x.copy()
            y.reshape(-1).view(np.uint32)[place] ^= np.uint32(1 << bit)
            seen.add(checksums([jnp.asarray(y)])["0"])
    assert len(seen) == 1 + 12 * 32


def test_order_and_signs_count():
    x = jnp.asarray([1.0, 2.0, -0.0])
    sums = {checksums([jnp.asarray(v)])["0"] for v in (x, x[::-1], jnp.abs(x), x.reshape(3, 1) * 2)}
    assert len(sums) == 4


def test_values_that_are_no_numbers():
    x = np.asarray([np.nan, np.inf, -np.inf, 0], np.float32)
    assert checksums([jnp.asarray(x)])["0"] == slowly(x)


def test_numpy_arrays_and_none():
    assert checksums({"a": np.ones(3, np.int32), "b": None}) == {"a": slowly(np.ones(3, np.int32))}


def test_under_jit_the_caller_keeps_its_arrays():
    x = jax.jit(lambda: jnp.arange(5.0))()
    checksums([x])
    assert not x.is_deleted()
