"""Tensors in 8 bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.inference import eight_bits

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=FLOATS)
)
def test_values_come_back_within_half_a_factor(values):
    whole, scale = eight_bits.quantised(values)
    assert whole.dtype == np.int8 and scale.dtype == np.float32
    assert whole.shape == values.shape and scale.shape == values.shape[-1:]
    error = np.abs(np.float64(whole) * scale - values)
    # A factor below the smallest normal number may count as 0.
    assert (error <= 0.5001 * np.float64(scale) + 128 * np.finfo(np.float32).tiny).all()
    back = eight_bits.restored({"a": whole, "scales/a": scale, "b": values})
    assert set(back) == {"a", "b"} and back["a"].dtype == np.float32
    np.testing.assert_array_equal(back["a"], whole * scale)


def test_the_largest_value_of_a_channel_is_exact():
    values = np.float32([[1.27, -0.01], [-2.54, 0.004]])
    whole, scale = eight_bits.quantised(values)
    np.testing.assert_array_equal(whole, [[64, -127], [-127, 51]])
    np.testing.assert_allclose(scale, [0.02, 0.01 / 127], rtol=1e-6)


@pytest.mark.parametrize(
    "tensors",
    [
        {"scales/a": np.ones(2, np.float32)},
        {"scales/a": np.ones(2, np.float32), "a": np.ones((3, 2), np.float32)},
        {"scales/a": np.ones(2, np.float32), "a": np.ones((2, 3), np.int8)},
    ],
)
def test_factors_without_their_tensor_are_refused(tensors):
    with pytest.raises(ValueError, match="scales/a has no tensor in 8 bits of its size"):
        eight_bits.restored(tensors)
