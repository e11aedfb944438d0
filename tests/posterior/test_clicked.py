import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.posterior import Posterior
from tests.posterior.cases import label_maps, noisy_maps, renamed, weighted

seeds = st.integers(0, 2**32 - 1)


def drawn_clicks(shape, seed):
    """Some different pixels, at least one of them inside."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(np.array(list(np.ndindex(*shape))))[:5]
    inside = rng.integers(1, len(places) + 1)
    return places[:inside], places[inside:]


def by_definition(maps, weights, inside, outside):
    """Which pixels more than half of the samples join with a click inside, and fewer with others.

    Pixels that as many samples join with both are left open: None.
    """
    found = {}
    for place in np.ndindex(*maps.shape[1:]):
        p, q = (
            sum(
                int(weight)
                for each, weight in zip(maps, weights, strict=True)
                if any(each[place] == each[tuple(click)] for click in clicks)
            )
            for clicks in (inside, outside)
        )
        open_ = p == q and 2 * p > weights.sum()
        found[place] = None if open_ else 2 * p > weights.sum() and p > q
    return found


@settings(max_examples=60, deadline=None)
@given(label_maps, seeds)
def test_the_region_is_what_more_samples_join_with_a_click_inside(maps, seed):
    inside, outside = drawn_clicks(maps.shape[1:], seed)
    weights = weighted(maps, seed)
    got = Posterior.from_maps(maps, weights).region(inside, outside)
    assert got.dtype == np.float32 and got.min() >= 0 and got.max() <= 1
    assert all(got[tuple(place)] > 0.5 for place in inside)
    assert all(got[tuple(place)] < 0.5 for place in outside)
    for place, wanted in by_definition(maps, weights, inside, outside).items():
        assert wanted is None or (got[place] > 0.5) == wanted


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_neither_ids_nor_the_order_of_clicks_or_samples_changes_it(maps, seed):
    inside, outside = drawn_clicks(maps.shape[1:], seed)
    want = Posterior.from_maps(maps).region(inside, outside)
    got = Posterior.from_maps(renamed(maps, seed)[::-1]).region(inside[::-1], outside[::-1])
    np.testing.assert_array_equal(got, want)
    once_more = Posterior.from_maps(np.concatenate([maps, maps]))
    np.testing.assert_array_equal(once_more.region([*inside, inside[0]], outside), want)


def test_of_one_sample_it_is_the_region_of_the_clicks():
    maps = noisy_maps(1)
    posterior = Posterior.from_maps(maps)
    ids = np.unique(maps[0])[:3]
    clicks = [tuple(np.argwhere(maps[0] == each)[0]) for each in ids]
    np.testing.assert_array_equal(posterior.region(clicks[0]) > 0.5, maps[0] == ids[0])
    two = posterior.region(clicks[:2], clicks[2]) > 0.5
    np.testing.assert_array_equal(two, np.isin(maps[0], ids[:2]))


def test_where_no_sample_parts_two_clicks_the_nearest_one_decides():
    posterior = Posterior.from_maps(np.zeros((3, 4, 9), int))
    region = posterior.region((1, 1), (1, 7))
    np.testing.assert_array_equal(region > 0.5, np.tile(np.arange(9) < 4, (4, 1)))


def test_a_click_that_most_samples_answer_wrongly_mends_what_the_others_know():
    left, right = np.zeros((4, 10), int), np.zeros((4, 10), int)
    left[:, 3:], right[:, 7:] = 1, 1
    posterior = Posterior.from_maps([left] * 6 + [right] * 4)
    first = posterior.region((1, 1)) > 0.5
    np.testing.assert_array_equal(first, left == 0)
    # The six that stop too early join the second click with what lies beyond, the four do not.
    second = posterior.region([(1, 1), (1, 5)], (1, 8)) > 0.5
    np.testing.assert_array_equal(second, right == 0)


def test_what_a_map_ignores_is_not_known():
    maps = np.zeros((2, 3, 4), int)
    maps[0, 0, 0] = -1
    region = Posterior.from_maps(maps).region([(1, 1)], [(2, 3)])
    assert np.isnan(region[0, 0]) and np.isfinite(region).sum() == 11


def test_one_point_may_be_given_as_it_is_or_in_a_list():
    posterior = Posterior.from_maps(noisy_maps(4))
    np.testing.assert_array_equal(posterior.region((3, 4)), posterior.region([(3, 4)]))
    np.testing.assert_array_equal(
        posterior.region((3, 4), (9, 9)), posterior.region([(3, 4)], np.array([[9, 9]]))
    )
    with pytest.raises(TypeError):
        posterior.region()
