import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.nets.fused.layers import Conv, dense


class Layers(nn.Module):
    zero_init: bool = False

    @nn.compact
    def __call__(self, x):
        x = Conv(32, stride=2, zero_init=self.zero_init, name="wide")(x)
        return dense(x.value(), 64, name="flat", dtype=jnp.float32)


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
    params = params["params"]["wide"]
    assert all(not leaf.any() for leaf in jax.tree.leaves(params))


def test_stride_two_pads_by_one_pixel_on_both_sides():
    """A kernel with only its centre set picks the even pixels; "SAME" would pick the odd ones."""

    class Down(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Conv(1, stride=2, name="conv")(x).map

    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    x = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
    got = Down().apply({"params": {"conv": {"kernel": kernel, "bias": np.zeros(1)}}}, x)
    np.testing.assert_array_equal(got, x[:, ::2, ::2])
