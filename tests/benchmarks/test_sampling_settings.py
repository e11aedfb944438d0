"""The switches that the study of steps lays around a denoiser, and its scenes' posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.quality import ragged_partitions
from benchmarks.quality.sampling_settings import (
    Setting,
    inverse_logsnr,
    uniform_in_information,
    uniform_in_t,
)
from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.encoding import bits

SCHEDULE = schedules.cosine(0.1)
DDIM = {"method": Ddim()}


def net(x_t, t, cond):
    return jnp.tanh(x_t + t[:, None, None, None] + cond)


def test_a_grid_asks_the_denoiser_at_its_own_times():
    asked = []

    def denoise(x_t, t, cond):
        jax.debug.callback(lambda t: asked.append(float(t[0])), t, ordered=True)
        return net(x_t, t, cond)

    x_init = jnp.ones((1, 2, 2, 1))
    wrapped, schedule, sampler = Setting("", DDIM, uniform_in_t(0.1, 0.9)).applied(
        denoise, SCHEDULE, 4
    )
    sampling.sample(wrapped, x_init, x_init, sampler, schedule=schedule).block_until_ready()
    jax.effects_barrier()
    np.testing.assert_allclose(asked, [0.9, 0.7, 0.5, 0.3], atol=1e-6)
    np.testing.assert_allclose(schedule.logsnr(0.5), SCHEDULE.logsnr(0.5), rtol=1e-5)


def test_a_shift_tells_another_logsnr():
    told = []
    shifted = Setting("", DDIM, shift=0.5).applied(
        lambda x_t, t, cond: told.append(t) or x_t, SCHEDULE, 4
    )[0]
    t = jnp.array([0.1, 0.5, 0.9])
    shifted(jnp.ones((3, 1)), t, None)
    np.testing.assert_allclose(SCHEDULE.logsnr(told[0]), SCHEDULE.logsnr(t) + 0.5, atol=1e-2)
    np.testing.assert_allclose(inverse_logsnr(SCHEDULE, SCHEDULE.logsnr(t)), t, atol=1e-4)


def test_an_interval_of_everything_is_guidance_and_of_nothing_is_none():
    x_init = jax.random.normal(jax.random.key(0), (2, 2, 2, 1))
    cond, null = 0.3 * jnp.ones_like(x_init), jnp.zeros_like(x_init)

    def draw(setting, cond):
        denoise, schedule, sampler = setting.applied(net, SCHEDULE, 4)
        return sampling.sample(denoise, x_init, cond, sampler, schedule=schedule, null_cond=null)

    fields = {**DDIM, "guidance_weight": 1.0}
    everywhere = draw(Setting("", fields, interval=(-50.0, 50.0)), (cond, null))
    np.testing.assert_allclose(everywhere, draw(Setting("", fields), cond), atol=1e-6)
    nowhere = draw(Setting("", fields, interval=(60.0, 70.0)), (cond, null))
    np.testing.assert_allclose(nowhere, draw(Setting("", DDIM), cond), atol=1e-6)


def test_a_guess_can_be_kept_from_a_self_conditioned_network():
    seen = []
    x, t = jnp.ones((1, 2, 2, 1)), jnp.array([0.5])
    for guess in (True, False):
        asked = Setting("", DDIM, guess=guess).applied(
            lambda x_t, t, cond, previous: seen.append(previous) or x_t, SCHEDULE, 4
        )[0]
        asked(x, t, None, 0.3 * x)
    np.testing.assert_allclose(seen[0], 0.3)
    np.testing.assert_allclose(seen[1], 0)


def test_equal_steps_of_information_are_equal_parts_of_the_integral():
    t = np.sin(0.5 * np.pi * np.linspace(0, 1, 401)) ** 4
    grid = uniform_in_information(SCHEDULE, t, np.exp(-np.asarray(SCHEDULE.logsnr(t))))
    # SNR times this error is 1 everywhere: uniform in logsnr.
    got = SCHEDULE.logsnr(grid(jnp.array([0.25, 0.5, 0.75])))
    np.testing.assert_allclose(got, [10, 0, -10], atol=0.1)


@pytest.mark.parametrize("t", [0.3, 0.8])
def test_the_scenes_denoiser_is_the_posterior_mean(t):
    """By importance weights of many exact draws."""
    log_prior = ragged_partitions.scenes(1, seed=4)
    known = ragged_partitions.partitions()
    assert known.edge.any((1, 2)).all() and np.exp(log_prior).sum() == pytest.approx(1, abs=1e-4)
    alpha, sigma = float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))
    drawn = ragged_partitions.draws(log_prior, 40_000, seed=5)[0]
    x0 = np.asarray(bits.encode(drawn, ragged_partitions.NUM_BITS))
    rng = np.random.default_rng(6)
    x_t = alpha * x0[:1] + sigma * rng.normal(size=x0[:1].shape)
    log = (alpha * (x_t * x0).sum((1, 2, 3)) / sigma**2).astype(np.float64)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    got = ragged_partitions.denoiser(SCHEDULE)(
        jnp.float32(x_t), jnp.float32([t]), jnp.asarray(log_prior)
    )
    spread = 1 / np.sqrt(1 / np.square(weight).sum())  # 1 / root of the effective sample size
    assert spread < 0.1
    error = np.asarray(got[0]) - np.tensordot(weight, x0, 1)
    assert np.sqrt(np.mean(error**2)) < spread
