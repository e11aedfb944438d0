import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.nets.layers import GroupNorm, conv, dense
from tests.nets.helpers import group_norm


def norm_parameters(channels, rng):
    scale, bias = 1 + 0.3 * rng.standard_normal(channels), rng.standard_normal(channels)
    return scale, bias, {"params": {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}}


@pytest.mark.parametrize(("channels", "groups"), [(32, 32), (64, 32), (96, 32), (12, 12), (48, 48)])
def test_group_norm_agrees_with_its_definition(channels, groups):
    rng = np.random.default_rng(channels)
    x = (rng.standard_normal((2, 4, 6, channels)) * 3 + 2).astype(np.float32)
    scale, bias, params = norm_parameters(channels, rng)
    got = jax.jit(GroupNorm().apply)(params, x)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, group_norm(x, scale, bias, groups), atol=2e-5)


def test_group_norm_survives_a_large_offset():
    """The one-pass variance E[x^2] - E[x]^2 has no digit left here."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((1, 8, 8, 32)) + 3000).astype(np.float32)
    scale, bias, params = norm_parameters(32, rng)
    got = GroupNorm().apply(params, x)
    np.testing.assert_allclose(got, group_norm(x, scale, bias, 32), atol=2e-3)


def test_group_norm_of_a_constant_is_the_bias_with_finite_gradients():
    _, bias, params = norm_parameters(64, np.random.default_rng(0))
    x = jnp.full((1, 4, 4, 64), 0.7)
    np.testing.assert_allclose(
        GroupNorm().apply(params, x), np.broadcast_to(bias, x.shape), atol=1e-4
    )
    gradient = jax.grad(lambda x: GroupNorm().apply(params, x).sum())(x)
    assert np.isfinite(gradient).all()


def test_group_norm_keeps_the_dtype_of_its_input():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 4, 4, 64)) + 1
    scale, bias, params = norm_parameters(64, rng)
    want = group_norm(x, scale, bias, 32)
    low = GroupNorm().apply(params, jnp.asarray(x, jnp.bfloat16))
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(jnp.float32), want, atol=0.05)
    with jax.enable_x64(True):
        high = GroupNorm().apply(norm_parameters(64, rng)[2] | params, jnp.asarray(x))
        assert high.dtype == jnp.float64


class Layers(nn.Module):
    zero_init: bool = False

    @nn.compact
    def __call__(self, x):
        x = conv(x, 32, name="wide", dtype=jnp.float32, stride=2, zero_init=self.zero_init)
        return dense(x, 64, name="flat", dtype=jnp.float32, zero_init=self.zero_init)


def test_initial_values_are_uniform_within_one_over_root_fan_in():
    params = Layers().init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))["params"]
    for name, fan_in in (("wide", 9 * 16), ("flat", 32)):
        limit = fan_in**-0.5
        for leaf in ("kernel", "bias"):
            values = np.asarray(params[name][leaf])
            assert np.abs(values).max() <= limit
            assert np.abs(values).max() > 0.8 * limit
            # U(-l, l) has standard deviation l / sqrt(3); n = 32 for the smallest.
            np.testing.assert_allclose(values.std(), limit / 3**0.5, rtol=0.3)


def test_zero_init_zeroes_weights_and_biases():
    params = Layers(zero_init=True).init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))
    assert all(not leaf.any() for leaf in jax.tree.leaves(params))


def test_stride_two_pads_by_one_pixel_on_both_sides():
    """A kernel with only its centre set picks the even pixels; "SAME" would pick the odd ones."""

    class Down(nn.Module):
        @nn.compact
        def __call__(self, x):
            return conv(x, 1, name="conv", dtype=jnp.float32, stride=2)

    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    x = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
    got = Down().apply({"params": {"conv": {"kernel": kernel, "bias": np.zeros(1)}}}, x)
    np.testing.assert_array_equal(got, x[:, ::2, ::2])
