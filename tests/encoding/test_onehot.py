import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.encoding import bits, onehot
from bitdiff_jax.encoding.onehot import OneHotEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.unet import UNet


def test_the_released_codes_match_the_reference(golden):
    vectors = golden("codec")
    encoding = OneHotEncoding(8, as_released=True)
    got = jax.jit(encoding.encode)(vectors["onehot/ints"][:, 0])
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, np.moveaxis(vectors["onehot/code"], 1, -1))
    values = np.moveaxis(vectors["onehot/float"], 1, -1)
    np.testing.assert_array_equal(encoding.decode(values), vectors["onehot/decoded"][:, 0])
    # What is decoded does not depend on the scale.
    np.testing.assert_array_equal(
        OneHotEncoding(8).decode(onehot.standardise(values)), vectors["onehot/decoded"][:, 0]
    )


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_standardised_channels_have_the_mean_and_variance_of_bits(k):
    codes = np.arange(2**k)
    channels, of_bits = OneHotEncoding(2**k).encode(codes), bits.encode(codes, k)
    for x in (channels, of_bits):
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(x.var(0), 1, rtol=1e-5)
    released = np.asarray(OneHotEncoding(2**k, as_released=True).encode(codes))
    np.testing.assert_allclose(released.var(0), (2**k - 1) / 4**k, rtol=1e-5)

    # The input scale that the docstring names makes two codes equally far apart on average.
    def mean_squared_distance(x):
        return np.square(x[:, None] - x[None]).sum() / (2**k * (2**k - 1))

    scale = np.sqrt(k / 2**k)
    np.testing.assert_allclose(
        mean_squared_distance(np.asarray(channels) * scale),
        mean_squared_distance(np.asarray(of_bits)),
        rtol=1e-5,
    )


def test_two_codes_are_one_bit_and_its_opposite():
    x = OneHotEncoding(2).encode(jnp.array([0, 1, -1]))
    np.testing.assert_array_equal(x, [[1, -1], [-1, 1], [0, 0]])


@pytest.mark.parametrize("as_released", [False, True])
def test_certainty_reads_the_mean_of_the_possible_codes(as_released):
    encoding = OneHotEncoding(5, as_released=as_released)
    chances = np.random.default_rng(0).dirichlet(np.ones(5), (3, 4)).astype(np.float32)
    mean = chances @ np.asarray(encoding.encode(np.arange(5)))
    certainty = jax.jit(encoding.certainty)(mean)
    np.testing.assert_allclose(certainty, chances.max(-1), atol=1e-6)
    np.testing.assert_array_equal(encoding.decode(mean), chances.argmax(-1))


@pytest.mark.parametrize("as_released", [False, True])
def test_certainty_of_what_is_no_mean_of_codes(as_released):
    encoding = OneHotEncoding(4, as_released=as_released)
    low = np.full((1, 4), -9.0, np.float32)
    np.testing.assert_allclose(encoding.certainty(low), 1 / 4)
    np.testing.assert_allclose(encoding.certainty(np.zeros((1, 4), np.float32)), 1 / 4)
    wild = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32) * 5
    certainty = np.asarray(encoding.certainty(wild))
    assert ((certainty >= 1 / 4) & (certainty <= 1)).all()
    np.testing.assert_array_equal(encoding.decode(np.ones((2, 4))), 0)  # the first of equals


@pytest.mark.parametrize("channels", [2, 16])
def test_the_networks_softmax_spans_the_range_of_the_encoding(channels):
    encoding = OneHotEncoding(channels)
    low, high = encoding.clip_range
    chances = np.eye(channels, dtype=np.float32)
    x0 = onehot.standardise(chances)
    np.testing.assert_allclose([x0.min(), x0.max()], [low, high], rtol=1e-6)
    np.testing.assert_array_equal(x0, encoding.encode(np.arange(channels)))
    np.testing.assert_allclose(onehot.standardise(np.full(channels, 1 / channels)), 0, atol=1e-6)


def tiny_net(final_activation, channels=6, patch_size=1):
    return UNet(
        out_channels=channels,
        base_channels=8,
        channel_multipliers=(1,),
        blocks_per_level=1,
        attention_levels=(),
        num_heads=1,
        patch_size=patch_size,
        final_activation=final_activation,
    )


@pytest.mark.slow
def test_the_networks_activations():
    """A softmax is over the channels of one pixel, also where pixels are folded."""
    x, time = jax.random.normal(jax.random.key(0), (2, 4, 4, 3)), jnp.zeros(2)
    params = jax.jit(tiny_net("none", patch_size=2).init)(jax.random.key(1), x, time)
    kernel = params["params"]["out_conv"]["kernel"]  # it starts at zero
    params["params"]["out_conv"]["kernel"] = jax.random.normal(jax.random.key(2), kernel.shape)

    def run(name):
        return np.asarray(tiny_net(name, patch_size=2).apply(params, x, time))

    raw = run("none").astype(np.float64)
    assert raw.std(axis=-1).min() > 0.1
    share = np.exp(raw) / np.exp(raw).sum(-1, keepdims=True)
    for name, want in (
        ("softmax", share),
        ("standardised_softmax", (6 * share - 1) / np.sqrt(5)),
        ("sigmoid", 1 / (1 + np.exp(-raw))),
        ("tanh", np.tanh(raw)),
    ):
        np.testing.assert_allclose(run(name), want, atol=1e-5, err_msg=name)


def test_misuse_is_named():
    with pytest.raises(ValueError, match=">= 2, got 1"):
        OneHotEncoding(1)
    with pytest.raises(InputError, match="at least 2 out_channels"):
        tiny_net("standardised_softmax", channels=1).init(
            jax.random.key(0), jnp.zeros((1, 4, 4, 3)), jnp.zeros(1)
        )
