import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.nets.embedding import sinusoid


@pytest.mark.parametrize("dim", [32, 64])
def test_agrees_with_the_reference(golden, dim):
    g = golden("unet_small")
    got = jax.jit(sinusoid, static_argnums=1)(g["temb/t"], dim)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, g[f"temb/dim{dim}"], atol=2e-7)


def test_agrees_with_its_equation_in_float64():
    time = np.array([-5.0, 0.0, 0.3, 1.0, 5.0])
    with jax.enable_x64(True):
        got = np.asarray(sinusoid(jnp.asarray(time), 6, 100.0))
    assert got.dtype == np.float64
    angle = time[:, None] * 100.0 ** -(np.arange(3) / 3)
    np.testing.assert_allclose(got, np.c_[np.cos(angle), np.sin(angle)], atol=1e-14)


def test_a_low_precision_time_is_embedded_in_float32():
    got = sinusoid(jnp.asarray([0.5], jnp.bfloat16), 8)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, sinusoid(jnp.asarray([0.5]), 8), atol=1e-7)
