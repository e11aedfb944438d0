import jax
import numpy as np
import pytest

from bitdiff_jax.diffusion import times


def draw(name, batch_size, seed=1):
    t = jax.jit(times.TIMES[name], static_argnums=1)(jax.random.key(seed), batch_size)
    t = np.asarray(t)
    assert t.dtype == np.float32 and t.shape == (batch_size,) and t.min() >= 0 and t.max() < 1
    return t


@pytest.mark.parametrize("name", ["stratified", "low_discrepancy"])
@pytest.mark.parametrize("batch_size", [1, 8, 1000])
def test_one_time_falls_into_each_part(name, batch_size):
    t = draw(name, batch_size)
    np.testing.assert_array_equal(np.sort(np.floor(t * batch_size)), np.arange(batch_size))
    if batch_size == 1000:
        assert not (np.diff(t) > 0).all()  # shuffled
        offsets = t * batch_size - np.floor(t * batch_size)
        if name == "stratified":  # independent of one another
            assert abs(offsets.mean() - 0.5) < 0.05
            assert offsets.std() == pytest.approx(12**-0.5, abs=0.03)
        else:  # all the same
            np.testing.assert_allclose(offsets, offsets[0], atol=1e-4)


def test_uniform_times_are_independent():
    t = draw("uniform", 4000)
    np.testing.assert_allclose(
        np.quantile(t, np.linspace(0.1, 0.9, 9)), np.arange(1, 10) / 10, atol=0.03
    )
    counts = np.bincount((t * 4000).astype(int), minlength=4000)
    assert np.mean(counts == 0) == pytest.approx(np.exp(-1), abs=0.03)  # Poisson, no strata


@pytest.mark.slow
@pytest.mark.parametrize("name", times.TIMES)
def test_each_time_is_uniform_over_keys(name):
    keys = jax.random.split(jax.random.key(3), 2000)
    t = np.asarray(jax.vmap(lambda key: times.TIMES[name](key, 4))(keys))
    for place in t.T:
        np.testing.assert_allclose(
            np.quantile(place, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.05
        )


@pytest.mark.slow
def test_the_interval_stays_half_open():
    # The last stratum of a large batch rounds to 1 in float32 for nearly every offset.
    for name in ("stratified", "low_discrepancy"):
        assert draw(name, 2**17).max() < 1
