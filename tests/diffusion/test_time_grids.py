"""The times at which a sampler asks the network, and what the grid 'logsnr' is good for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import sampling, schedules, time_grids
from bitdiff_jax.diffusion.presets import FAITHFUL
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.testing import exact

SCHEDULE = schedules.cosine(0.1)
P = 0.7


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("input_scale", [0.1, 1.0])
def test_the_grid_is_uniform_in_logsnr_for_any_schedule(name, input_scale):
    schedule = schedules.make(name, input_scale)
    times = time_grids.times("logsnr", 9, schedule)
    assert times.shape == (10,) and times[0] == 0 and (np.diff(times) > 0).all()
    with jax.enable_x64(True):
        logsnr = np.asarray(schedule.logsnr(jnp.asarray(times)))
    np.testing.assert_allclose(logsnr[1:], np.linspace(4, -14, 10)[1:], atol=1e-6)
    rounded = np.asarray(schedule.logsnr(jnp.asarray(times, jnp.float32)))
    np.testing.assert_allclose(rounded[1:], logsnr[1:], atol=2e-2)


def test_the_grid_stays_within_the_schedule():
    times = time_grids.times("logsnr", 4, schedules.cosine(0.1, logsnr_min=-10, logsnr_max=3))
    assert times[-1] == pytest.approx(1, abs=1e-6) and times[1] > 0
    with jax.enable_x64(True):
        logsnr = schedules.cosine(0.1, logsnr_min=-10, logsnr_max=3).logsnr(times[1:])
    np.testing.assert_allclose(logsnr, [-0.25, -3.5, -6.75, -10], atol=1e-4)


def test_the_uniform_grid_is_that_of_the_paper():
    np.testing.assert_array_equal(
        time_grids.times("uniform", 4, SCHEDULE), [0, 0.25, 0.5, 0.75, 1.0]
    )


def test_the_network_is_asked_at_the_times_of_the_grid():
    asked = []

    def net(x_t, t, cond):
        jax.debug.callback(lambda t: asked.append(float(t[0])), t, ordered=True)
        return jnp.tanh(x_t)

    x_init = jnp.ones((1, 2, 2, 1))
    sampler = Sampler(5, None, Ddim(), time_grid="logsnr")
    sampling.sample(net, x_init, x_init, sampler, schedule=SCHEDULE).block_until_ready()
    jax.effects_barrier()
    np.testing.assert_allclose(asked, time_grids.times("logsnr", 5, SCHEDULE)[:0:-1], rtol=1e-6)


def biases(sampler, input_scale=0.1):
    """How much more often than .7 a pixel of a group of m is 1, for m = 1, 16 and 256."""
    layout = ((1, 64), (16, 8), (256, 2))
    schedule, width = schedules.cosine(input_scale), 64 + 128 + 512
    x_init = jax.random.normal(jax.random.key(0), (1, 2000, width, 1))
    # Every group's sum is brought to a quantile of its own, so that little is left to chance.
    parts = []
    for part, (m, count) in zip(exact.split(x_init, layout), layout, strict=True):
        groups = part.reshape(-1, m)
        order = jnp.argsort(jnp.argsort(groups.sum(-1)))
        even = jax.scipy.special.ndtri((order + 0.5) / len(groups)) * m**0.5
        groups = groups + ((even - groups.sum(-1)) / m)[:, None]
        parts.append(groups.reshape(1, 2000, m * count, 1))
    x0 = sampling.sample(
        exact.groups(schedule, layout), jnp.concatenate(parts, 2), jnp.full(1, P),
        dataclasses.replace(sampler, guidance_weight=None), schedule=schedule,
    )  # fmt: skip
    return [float((part > 0).mean()) - P for part in exact.split(x0, layout)]


@pytest.mark.parametrize("input_scale", [0.1, 1.0])
def test_faithful_samples_have_the_frequencies_of_the_data(input_scale):
    assert np.abs(biases(FAITHFUL, input_scale)).max() < 0.005
    half = dataclasses.replace(FAITHFUL, num_steps=FAITHFUL.num_steps // 2)
    assert np.abs(biases(half, input_scale)).max() < 0.02


def test_as_many_steps_of_ddim_uniform_in_t_have_not():
    first = Sampler(FAITHFUL.num_steps, None, Ddim())
    assert max(biases(first)) > 0.03 and max(biases(first, 1.0)) > 0.08
