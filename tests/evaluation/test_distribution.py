import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, rand_score

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import distribution, host_contingency
from bitdiff_jax.posterior import agreement
from tests.metrics.oracle import matched_iou


def _maps(rng, count, shape=(5, 6), regions=4):
    return [rng.integers(0, regions, shape).astype(np.int32) for _ in range(count)]


def _joined(maps):
    """float64 [pixels, pixels]: the share of the maps that put two pixels together."""
    return np.mean([m.ravel()[:, None] == m.ravel() for m in maps], axis=0)


@pytest.mark.slow
def test_distances_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        samples, annotators = _maps(rng, 3), _maps(rng, 2)
        d = distribution.distances(samples, annotators)
        every = samples + annotators
        for name, oracle in {
            "rand": rand_score,
            "ari": adjusted_rand_score,
            "iou": lambda a, b: matched_iou(a, b, penalise_extra=True),
        }.items():
            want = np.array([[1 - oracle(a.ravel(), b.ravel()) for b in every] for a in every])
            np.testing.assert_allclose(d[name].cross, want[:3, 3:], atol=1e-12)
            np.testing.assert_allclose(d[name].samples, want[:3, :3], atol=1e-12)
            np.testing.assert_allclose(d[name].annotators, want[3:, 3:], atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (4, 5)])
def test_ged_with_rand_is_twice_the_squared_error_of_prob_same(n, m):
    rng = np.random.default_rng(n)
    samples, annotators = _maps(rng, n), _maps(rng, m)
    d = distribution.distances(samples, annotators)["rand"]
    pairs = ~np.eye(samples[0].size, dtype=bool)
    error = np.square(_joined(samples) - _joined(annotators))[pairs].mean()
    assert distribution.ged2(d, self_pairs="counted") == pytest.approx(2 * error, abs=1e-12)


def test_ged_without_self_pairs_is_unbiased_and_counted_is_not():
    rng = np.random.default_rng(1)
    kinds = _maps(rng, 4)
    draw = lambda n: [kinds[i] for i in rng.integers(len(kinds), size=n)]  # noqa: E731
    estimates = {"left_out": [], "counted": []}
    for _ in range(300):
        d = distribution.distances(draw(3), draw(4))["ari"]
        for name, values in estimates.items():
            values.append(distribution.ged2(d, self_pairs=name))
    for name, values in estimates.items():
        error = np.std(values) / math.sqrt(len(values))
        assert (abs(np.mean(values)) < 4 * error) == (name == "left_out"), name


def test_what_is_undefined_is_nan():
    rng = np.random.default_rng(2)
    one = distribution.distances(_maps(rng, 1), _maps(rng, 1))["rand"]
    assert math.isnan(distribution.ged2(one))
    assert distribution.ged2(one, self_pairs="counted") == pytest.approx(2 * one.cross[0, 0])
    assert math.isnan(distribution.coverage(one))
    alone = distribution.distances(_maps(rng, 2), [])["rand"]
    assert math.isnan(distribution.ged2(alone)) and math.isnan(distribution.matched(alone))
    nothing = distribution.distances(_maps(rng, 2), [np.full((5, 6), -1)] * 2)["iou"]
    assert math.isnan(distribution.ged2(nothing, self_pairs="counted"))
    assert math.isnan(distribution.coverage(nothing))
    with pytest.raises(InputError, match="shapes"):
        distribution.distances([np.zeros((2, 2), int)], [np.zeros((2, 3), int)])
    with pytest.raises(InputError, match="self_pairs"):
        distribution.ged2(one, self_pairs="some")


def test_only_pixels_that_all_annotators_labelled_count():
    rng = np.random.default_rng(3)
    samples, annotators = _maps(rng, 2), _maps(rng, 2)
    annotators[0][0], annotators[1][:, 0] = -1, -1
    whole = distribution.distances(samples, annotators)
    cut = distribution.distances([s[1:, 1:] for s in samples], [p[1:, 1:] for p in annotators])
    for name in distribution.DISTANCES:
        for a, b in zip(whole[name], cut[name], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_the_medoid_is_the_one_that_segment_writes():
    rng = np.random.default_rng(4)
    for _ in range(10):
        maps = _maps(rng, 5)
        square = distribution.distances(maps, [])["rand"].samples
        assert distribution.medoid(square) == agreement.medoid(np.stack(maps))


def test_both_best_of_n():
    values = np.array([[0.9, 0.1], [0.2, 0.6], [0.5, 0.4]])
    assert distribution.best_of_n(values) == pytest.approx(0.5)
    assert distribution.best_of_n_per_annotator(values) == pytest.approx(0.75)
    assert distribution.best_of_n(values, better="low") == pytest.approx(0.4)
    assert distribution.best_of_n_per_annotator(values, better="low") == pytest.approx(0.15)


def test_coverage_counts_annotators_with_a_sample_as_near_as_a_fellow():
    annotators = np.array([[0, 0.2, 0.9], [0.2, 0, 0.8], [0.9, 0.8, 0]])
    cross = np.array([[0.2, 0.3, 0.9], [0.5, 0.3, 0.75]])
    d = distribution.Distances(cross, np.zeros((2, 2)), annotators)
    assert distribution.coverage(d) == pytest.approx(2 / 3)
    rng = np.random.default_rng(5)
    same = _maps(rng, 3)
    assert distribution.coverage(distribution.distances(same, same)["ari"]) == 1


def test_matching_sees_proportions():
    rng = np.random.default_rng(6)
    a, b = _maps(rng, 2)
    d = distribution.distances([a, b, b, b], [a, b])["rand"]
    # The second b has to be matched with a.
    far = 1 - rand_score(a.ravel(), b.ravel())
    assert distribution.matched(d) == pytest.approx(1 - far / 4)
    d = distribution.distances(_maps(rng, 3), _maps(rng, 3))["ari"]
    assert distribution.matched(d) == pytest.approx(
        1 - d.cross[linear_sum_assignment(d.cross)].mean()
    )


@pytest.mark.slow
def test_pair_counts_are_exact_at_native_size():
    """4096 x 4096 pixels: 2.8e14 pairs, where int32 ends at 2.1e9 and products at 8e28."""
    size = 4096
    rows = np.arange(size, dtype=np.int32)[:, None] // 900
    columns = np.arange(size, dtype=np.int32)[None] // 1234
    pred = np.broadcast_to(rows, (size, size))
    target = np.broadcast_to(columns, (size, size)).copy()
    target[:100] = -1
    table = host_contingency.contingency(host_contingency.as_partition(pred), target)
    heights = np.bincount(rows.ravel()[100:]).tolist()
    widths = np.bincount(columns.ravel()).tolist()
    assert table.tolist() == [[h * w for w in widths] for h in heights]
    choose2 = lambda counts: sum(Fraction(n * (n - 1), 2) for n in counts)  # noqa: E731
    both = choose2(h * w for h in heights for w in widths)
    in_pred, in_target = choose2(h * size for h in heights), choose2(3996 * w for w in widths)
    expected = in_pred * in_target / choose2([3996 * size])
    exact = (both - expected) / ((in_pred + in_target) / 2 - expected)
    assert metrics.adjusted_rand_index_from_table(table) == pytest.approx(
        float(exact), rel=1e-6, abs=1e-15
    )
    noise = np.random.default_rng(0).integers(0, 50, (1024, 1024)).astype(np.int32)
    other = np.where(np.random.default_rng(1).random(noise.shape) < 0.2, 7, noise)
    got = metrics.adjusted_rand_index_from_table(host_contingency.contingency(noise, other))
    assert got == pytest.approx(adjusted_rand_score(noise.ravel(), other.ravel()), abs=1e-12)


def test_partition_gives_unassigned_pixels_one_region():
    assert host_contingency.as_partition(np.array([[5, -1], [-1, 9]])).tolist() == [[0, 2], [2, 1]]
    assert host_contingency.as_partition(np.full((2, 2), -1)).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(InputError, match="too many"):
        host_contingency.contingency(np.arange(5000)[None], np.arange(5000)[None])
