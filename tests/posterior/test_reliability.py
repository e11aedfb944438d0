import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax import metrics
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior.disputed import disputed_regions
from bitdiff_jax.posterior.reliability import leave_one_out
from tests.posterior.cases import label_maps, noisy_maps, renamed


@pytest.mark.parametrize("criterion", ["medoid", "vi", "ari"])
def test_each_map_is_compared_with_the_consensus_of_the_others(criterion):
    maps = noisy_maps(num_samples=5)
    weights = np.array([1.0, 2, 1, 3, 1])
    found = leave_one_out(Posterior.from_maps(maps, weights), criterion)
    for k, each in enumerate(found):
        others = Posterior.from_maps(np.delete(maps, k, 0), np.delete(weights, k))
        consensus = others.consensus(criterion)
        size = int(max(maps.max(), consensus.max())) + 1
        ari = metrics.adjusted_rand_index(maps[k], consensus, num_labels=size)
        vi = metrics.variation_of_information(maps[k], consensus, num_labels=size)
        assert each.ari == pytest.approx(float(ari), abs=1e-9)
        assert each.vi == pytest.approx(float(vi), abs=1e-9)


def test_a_planted_wrong_map_is_the_least_reliable():
    maps = noisy_maps(num_samples=6)
    maps[2] = np.arange(24) // 3 % 8
    found = leave_one_out(Posterior.from_maps(maps))
    assert min(range(6), key=lambda k: found[k].ari) == 2
    assert max(range(6), key=lambda k: found[k].vi) == 2


def test_two_opposite_maps_are_as_far_from_each_other():
    stripes = np.repeat([[0, 0, 1, 1]], 4, 0)
    one, other = leave_one_out(Posterior.from_maps([stripes, stripes.T]))
    assert one == other and one.vi == pytest.approx(2) and one.ari < 0


def test_no_others():
    maps = np.zeros((2, 3, 3), int)
    assert leave_one_out(Posterior.from_maps(maps[:1])) == [None]
    # The only map with a weight has no others; that of weight 0 has it.
    alone, compared = leave_one_out(Posterior.from_maps(maps, [1, 0]))
    assert alone is None and compared == (1.0, 0.0)


def test_ignored_pixels_do_not_count():
    maps = np.array([[[0, 0, 1, 1, -1]], [[4, 4, 2, 2, 2]], [[0, 0, 1, 1, 0]]])
    assert all(each == (1.0, 0.0) for each in leave_one_out(Posterior.from_maps(maps)))


@settings(max_examples=20, deadline=None)
@given(label_maps, st.integers(0, 2**32 - 1))
def test_ids_do_not_matter(maps, seed):
    one, other = (Posterior.from_maps(each) for each in (maps, renamed(maps, seed)))
    assert leave_one_out(one) == leave_one_out(other)
    assert disputed_regions(one) == disputed_regions(other)


@settings(max_examples=20, deadline=None)
@given(label_maps)
def test_the_parts_of_regions_add_up_to_the_mean_entropy(maps):
    posterior = Posterior.from_maps(maps)
    consensus, entropy = posterior.consensus(), posterior.entropy()
    found = disputed_regions(posterior)
    assert sorted(each.id for each in found) == list(range(consensus.max() + 1))
    assert sum(each.part for each in found) == pytest.approx(float(entropy.mean()), abs=1e-6)
    parts = [each.part for each in found]
    np.testing.assert_allclose(parts, sorted(parts, reverse=True), atol=1e-8)
    for each in found:
        inside = consensus == each.id
        assert inside[each.point] and each.area == inside.sum()
        assert each.entropy == pytest.approx(float(entropy[inside].mean()), abs=1e-5)


def test_the_region_that_maps_differ_about_is_first():
    maps = np.zeros((3, 20, 20), int)
    maps[:, :, 10:] = 1
    maps[1:, 2:6, 14:18] = 2  # two of three draw it
    maps[:, 19, 19] = -1
    first, *_, last = disputed_regions(Posterior.from_maps(maps))
    assert first.point[1] >= 10 and first.part > 0
    assert last.part == 0 and last.area == 200 and last.entropy == 0
