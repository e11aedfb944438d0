import numpy as np
import pytest

from bitdiff_jax.evaluation.statistics import estimates


def test_interval_is_that_of_the_normal_law_for_many_images():
    values = np.random.default_rng(0).normal(0.4, 0.2, 400)
    estimate = estimates.bootstrap(values)
    half = 1.96 * values.std() / 20
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_depends_on_the_seed_but_not_on_the_order():
    values = np.random.default_rng(0).random(50)
    assert estimates.bootstrap(values) == estimates.bootstrap(values[::-1])
    assert estimates.bootstrap(values) != estimates.bootstrap(values, seed=1)


def test_bootstrap_of_little():
    one = estimates.bootstrap(np.asarray([0.3, np.nan]))
    assert (one.mean, one.num_images) == (0.3, 1) and np.isnan([one.low, one.high]).all()
    assert estimates.interval_text(one.low, one.high) == "no interval"
    empty = estimates.bootstrap(np.asarray([np.nan]))
    assert empty.num_images == 0
    assert np.isnan(empty[:3]).all()


def test_intervals_as_text():
    assert estimates.interval_text(-0.12345, 0.2) == "[-0.1235, 0.2000]"
    assert estimates.interval_text(-0.12, 0.2, 1, "+") == "[-0.1, +0.2]"
