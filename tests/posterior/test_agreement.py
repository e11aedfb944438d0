import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import rand_score

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior.agreement import agreement, medoid, pairwise_rand

maps = hnp.arrays(
    np.int32,
    st.tuples(st.integers(2, 4), st.integers(1, 5), st.integers(1, 5)),
    elements=st.integers(0, 3),
)


def slow_agreement(label_maps):
    """By definition, pixel by pixel: shared with me in both samples / in either, over pairs."""
    flat = label_maps.reshape(len(label_maps), -1)
    values = np.zeros(flat.shape[1])
    for p in range(flat.shape[1]):
        shares = []
        for a, b in itertools.combinations(flat, 2):
            with_a, with_b = a == a[p], b == b[p]
            shares.append((with_a & with_b).sum() / (with_a | with_b).sum())
        values[p] = np.mean(shares)
    return values.reshape(label_maps.shape[1:])


@settings(max_examples=30, deadline=None)
@given(maps)
def test_agreement_is_its_definition(label_maps):
    got = agreement(label_maps)
    assert got.dtype == np.float32 and (got > 0).all() and (got <= 1).all()
    np.testing.assert_allclose(got, slow_agreement(label_maps), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(maps, st.integers(0, 2**32 - 1))
def test_names_of_regions_do_not_matter(label_maps, seed):
    rng = np.random.default_rng(seed)
    renamed = np.stack([rng.choice(10**6, 4, replace=False)[each] for each in label_maps])
    np.testing.assert_array_equal(agreement(renamed), agreement(label_maps))
    np.testing.assert_array_equal(pairwise_rand(renamed), pairwise_rand(label_maps))
    assert medoid(renamed) == medoid(label_maps)


@settings(max_examples=30, deadline=None)
@given(maps)
def test_pairwise_rand_is_that_of_sklearn(label_maps):
    got = pairwise_rand(label_maps)
    for i, j in itertools.product(range(len(label_maps)), repeat=2):
        want = rand_score(label_maps[i].ravel(), label_maps[j].ravel())
        np.testing.assert_allclose(got[i, j], want, rtol=1e-12)


def test_known_values():
    one = np.zeros((2, 4), np.int32)
    halves = np.repeat([[5, 5, 9, 9]], 2, axis=0)
    np.testing.assert_array_equal(agreement([one, one + 3]), np.ones((2, 4)))
    np.testing.assert_array_equal(agreement([one, halves]), np.full((2, 4), 0.5))
    # Pairs: (one, one) 1, twice (one, halves) 1/2.
    np.testing.assert_allclose(agreement([one, one, halves]), np.full((2, 4), 2 / 3), rtol=1e-6)


def test_a_small_disputed_region_lowers_only_itself_much():
    plain = np.zeros((20, 20), np.int32)
    spotted = plain.copy()
    spotted[3:5, 3:5] = 1
    got = agreement([plain, spotted])
    np.testing.assert_allclose(got[3, 3], 4 / 400)
    np.testing.assert_allclose(got[0, 0], 396 / 400)


def test_one_sample_has_no_agreement():
    assert agreement(np.zeros((1, 3, 3), np.int32)) is None
    assert medoid(np.zeros((1, 3, 3), np.int32)) == 0
    np.testing.assert_array_equal(pairwise_rand(np.zeros((1, 3, 3), np.int32)), [[1]])


def test_one_pixel():
    single = np.array([[[3]], [[8]], [[3]]])
    np.testing.assert_array_equal(agreement(single), [[1]])
    np.testing.assert_array_equal(pairwise_rand(single), np.ones((3, 3)))
    assert medoid(single) == 0


def test_medoid_is_closest_to_the_others():
    left = np.repeat([[0, 0, 0, 1]], 4, axis=0)
    middle = np.repeat([[0, 0, 1, 1]], 4, axis=0)
    other = np.arange(16).reshape(4, 4)
    assert medoid([other, middle, middle + 7]) == 1
    rand = pairwise_rand([left, middle, other, middle])
    assert medoid([left, middle, other, middle]) == np.argmax(rand.mean(axis=1)) == 1


def test_maps_of_noise_fit_the_memory():
    rng = np.random.default_rng(0)
    ids = np.stack([rng.permutation(128 * 128).reshape(128, 128) for _ in range(2)])
    np.testing.assert_array_equal(agreement(ids), np.ones((128, 128)))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((3, 3), np.int32),
        np.zeros((0, 3, 3), np.int32),
        np.zeros((2, 0, 3), np.int32),
        np.zeros((2, 3, 3), np.float32),
        np.full((2, 3, 3), -1),
    ],
)
def test_what_is_no_stack_of_label_maps_is_refused(bad):
    for function in (agreement, pairwise_rand, medoid):
        with pytest.raises(InputError, match="label_maps"):
            function(bad)
