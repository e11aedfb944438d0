import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.encoding import bits


def last(x):
    """The reference's channel-first [B, C, H, W] -> [B, H, W, C]."""
    return np.moveaxis(x, 1, -1)


@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_codes_match_the_reference(golden, k):
    vectors = golden("codec")
    codes = vectors[f"bits/{k}/ints"][:, 0]
    got = jax.jit(bits.encode, static_argnums=1)(codes, k)
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, last(vectors[f"bits/{k}/bits"]))
    np.testing.assert_array_equal(bits.decode(got), vectors[f"bits/{k}/back"][:, 0])


def test_padding_and_thresholds_match_the_reference(golden):
    vectors = golden("codec")
    np.testing.assert_array_equal(
        bits.encode(vectors["padding/ints"][:, 0], 6), last(vectors["padding/bits"])
    )
    np.testing.assert_array_equal(
        bits.decode(last(vectors["decode/float_bits"])), vectors["decode/ints"][:, 0]
    )


@pytest.mark.slow
def test_probabilities_match_the_reference(golden):
    vectors = golden("codec")
    soft = last(vectors["bit2prob/bits"])
    prob = jax.jit(bits.probabilities)(soft)
    np.testing.assert_allclose(prob, last(vectors["bit2prob/prob"]), atol=1e-6)
    np.testing.assert_allclose(prob[..., 5], vectors["bit2prob/idx5"], atol=1e-6)
    truth = bits.decode(last(vectors["likelihood/gt_bits"]))
    value = jnp.clip(bits.probability_of(soft, truth), 0, 1).mean((1, 2))
    np.testing.assert_allclose(value, vectors["likelihood/value"].mean((1, 2, 3)), atol=1e-6)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(k=st.integers(1, 30), seed=st.integers(0, 2**31))
def test_round_trip_for_any_number_of_bits(k, seed):
    codes = np.random.default_rng(seed).integers(0, 2**k, (3, 4))
    np.testing.assert_array_equal(bits.decode(bits.encode(codes, k)), codes)
    np.testing.assert_array_equal(bits.probability_of(bits.encode(codes, k), codes), 1)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 3, 10])
def test_probabilities_are_a_distribution(k):
    soft = np.random.default_rng(k).uniform(-1, 1, (5, k)).astype(np.float32)
    prob = bits.probabilities(soft)
    assert prob.shape == (5, 2**k)
    np.testing.assert_allclose(prob.sum(-1), 1, atol=1e-5)
    codes = np.arange(2**k)
    one_by_one = bits.probability_of(soft[:, None], np.broadcast_to(codes, (5, 2**k)))
    np.testing.assert_allclose(prob, one_by_one, atol=1e-6)
    np.testing.assert_array_equal(prob.argmax(-1), bits.decode(soft))


def test_limits_are_named():
    with pytest.raises(ValueError, match="probability_of"):
        bits.probabilities(jnp.zeros((2, 11)))
    for k in (0, 31):
        with pytest.raises(ValueError, match="num_bits"):
            bits.encode(jnp.zeros(2, int), k)


@pytest.mark.slow
def test_the_encoding_as_an_object():
    encoding = bits.BitEncoding(4)
    assert encoding == bits.BitEncoding(4) != bits.BitEncoding(6)
    assert (encoding.num_codes, encoding.num_channels) == (16, 4)
    codes = jnp.arange(-1, 16)
    x0 = encoding.encode(codes)
    np.testing.assert_array_equal(x0[0], encoding.pad_value)
    np.testing.assert_array_equal(encoding.decode(x0)[1:], codes[1:])
    np.testing.assert_allclose(encoding.certainty(x0[1:]), 1)
    np.testing.assert_allclose(encoding.certainty(x0[0]), 2**-4)


@pytest.mark.slow
def test_certainty_counts_values_beyond_the_bits_as_on_them():
    encoding = bits.BitEncoding(3)
    np.testing.assert_array_equal(encoding.certainty(jnp.array([5.0, -3.0, 1.0])), 1)
    np.testing.assert_allclose(encoding.certainty(jnp.array([9.0, 0.5, 0.0])), 0.75 * 0.5)
