import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.encoding import gray, layouts


@pytest.mark.parametrize("layout", ["similar", "different"])
@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_tables_of_bits_match_the_reference(golden, layout, k):
    got = layouts.table(layout, 2**k)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, golden("lap")[f"order/{layout}/{k}"])


def test_the_other_tables_match_the_reference(golden):
    vectors = golden("lap")
    np.testing.assert_array_equal(layouts.table("random", 64), vectors["order/random_seed0/6"])
    np.testing.assert_array_equal(layouts.table("range", 121), vectors["order/range/121"])
    np.testing.assert_array_equal(
        layouts.table("random", 121, seed=7), vectors["small32/order_random121_seed7"]
    )


@pytest.mark.parametrize("k", range(1, 13))
def test_gray_neighbours_differ_in_one_bit(k):
    """On square and on rectangular grids, along both axes and around the edges."""
    table = gray.table(k)
    assert table.shape == (2 ** (k // 2), 2 ** ((k + 1) // 2))
    np.testing.assert_array_equal(np.sort(table.ravel()), np.arange(2**k))
    for axis in (0, 1):
        if table.shape[axis] > 1:
            assert (np.bitwise_count(table ^ np.roll(table, 1, axis)) == 1).all()


@settings(max_examples=30, deadline=None)
@given(layout=st.sampled_from(layouts.LAYOUTS), k=st.integers(1, 8), seed=st.integers(0, 2**31))
def test_every_table_is_a_permutation_on_a_grid_twice_as_wide_as_high_at_most(layout, k, seed):
    table = layouts.table(layout, 2**k, seed)
    assert table.shape == (2 ** (k // 2), 2 ** ((k + 1) // 2))
    np.testing.assert_array_equal(np.sort(table.ravel()), np.arange(2**k))


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_the_walk_always_goes_on_to_the_farthest_code_left(k):
    table = layouts.table("different", 2**k)
    walk = [int(code) for i, row in enumerate(table) for code in (row[::-1] if i % 2 else row)]
    assert walk[0] == 0
    left = set(range(1, 2**k))
    for code, following in itertools.pairwise(walk):
        best = max(left, key=lambda other: ((code ^ other).bit_count(), -other))
        assert following == best
        left.remove(best)


def test_random_tables_differ_by_seed_alone():
    first, again, other = (layouts.table("random", 60, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (6, 10) and (first != other).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rainbow", 64), "layout must be one of similar, .*'rainbow'"),
        (("none", 64), "layout"),
        (("similar", 121), "power of 2 .*121"),
        (("different", 36), "power of 2 .*36"),
        (("different", 2**14), "1 to 12 bits"),
        (("range", 125), "grid .*125"),
        (("random", 7), "grid"),
        (("similar", 1), "grid"),
        (("range", 0), "grid"),
    ],
)
def test_misuse_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        layouts.table(*arguments)


def test_gray_tables_are_bounded():
    for k in (0, 31):
        with pytest.raises(ValueError, match="num_bits"):
            gray.table(k)
