import math

import numpy as np
import pytest
from scipy import stats

from bitdiff_jax.evaluation.statistics import significance
from bitdiff_jax.evaluation.statistics.estimates import bootstrap


def test_intervals_are_the_bootstraps():
    rng = np.random.default_rng(0)
    values = rng.normal([0, 5, 100], [1, 2, 0.1], (200, 3))
    values[3, 1] = np.nan
    for got, column in zip(significance.intervals(values), values.T, strict=True):
        want = bootstrap(column)
        width = want.high - want.low
        assert got.mean == pytest.approx(want.mean) and got.num_images == want.num_images
        assert got.low == pytest.approx(want.low, abs=0.12 * width)
        assert got.high == pytest.approx(want.high, abs=0.12 * width)


def test_intervals_of_nothing_one_and_equal_values():
    values = np.full((5, 3), np.nan)
    values[:, 1] = 0.1
    values[2, 2] = 7.0
    nothing, equal, one = significance.intervals(values, resamples=50)
    assert nothing.num_images == 0 and math.isnan(nothing.mean)
    assert equal.low == equal.high == pytest.approx(0.1)
    assert (one.mean, one.num_images) == (7, 1) and math.isnan(one.low) and math.isnan(one.high)
    assert significance.intervals(np.zeros((0, 1)))[0].num_images == 0


@pytest.mark.parametrize("num", [9, 15])  # all sign patterns, and random ones
def test_the_paired_test_is_scipys(num):
    rng = np.random.default_rng(num)
    first, second = rng.normal(0.4, 1, num), rng.normal(0, 1, num)
    got = significance.paired(first, second)
    want = stats.permutation_test(
        (first, second),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,  # all of them: the exact p
        vectorized=True,
    )
    assert got.difference == pytest.approx(want.statistic)
    assert got.p == pytest.approx(want.pvalue, abs=1e-12 if num == 9 else 0.02)
    assert got.low < got.difference < got.high


def test_the_paired_test_is_right_as_often_as_it_says():
    rng = np.random.default_rng(2)
    p = [significance.paired(*rng.normal(size=(2, 20)), resamples=200).p for _ in range(200)]
    assert 2 <= sum(each < 0.05 for each in p) <= 22
    same = rng.normal(size=30)
    assert significance.paired(same, same).p == 1
    assert significance.paired(np.full(3, np.nan), same[:3]).num_images == 0


def test_verdicts():
    p = significance.holm([0.01, 0.04, 0.03, math.nan])
    assert p[:3] == pytest.approx([0.03, 0.06, 0.06]) and math.isnan(p[3])
    better = significance.Paired(0.1, 0.05, 0.15, 0.01, 50)
    assert significance.verdict(better, 0.01, ("a", "b"), "high") == "a"
    assert significance.verdict(better, 0.01, ("a", "b"), "low") == "b"
    assert significance.verdict(better, 0.06, ("a", "b"), "high") == "undecided"
    assert significance.verdict(better, math.nan, ("a", "b"), "high") == "undecided"
