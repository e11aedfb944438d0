"""Half-precision data: times, schedules and losses keep their digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import losses, parameterization, sampling, schedules, weighting
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from tests.diffusion.test_sampling import gaussian_net, gaussian_setup

HALF = (jnp.bfloat16, jnp.float16)
QUANTITIES = ("gamma", "one_minus_gamma", "alpha", "sigma", "logsnr", "dlogsnr_dt")


def in_float64(f, *arrays):
    with jax.enable_x64(True):
        return np.asarray(f(*(jnp.asarray(np.asarray(a, np.float64)) for a in arrays)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_schedules_of_half_precision_times_are_those_of_float64(name, dtype):
    schedule = schedules.make(name)
    ends = np.array([0, 1e-3, 0.0625, 0.5, 0.9375, 0.998, 1])
    t = jnp.asarray(ends, dtype)
    exact_t = np.asarray(t.astype(jnp.float32), np.float64)  # as far as the dtype can say them
    for quantity in QUANTITIES:
        got = getattr(schedule, quantity)(t)
        assert got.dtype == jnp.float32, quantity
        want = in_float64(getattr(schedule, quantity), exact_t)
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6, err_msg=quantity)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", weighting.WEIGHTS)
def test_weights_of_half_precision_times_are_those_of_float64(name, dtype):
    weight = weighting.make(name)
    t = jnp.asarray([0, 0.0625, 0.5, 0.9375, 1], dtype)
    got = weight(schedules.cosine(0.1), t)
    assert got.dtype == jnp.float32 and np.isfinite(got).all()
    want = in_float64(lambda t: weight(schedules.cosine(0.1), t), t.astype(jnp.float32))
    np.testing.assert_allclose(got, want, rtol=2e-5)


@pytest.mark.parametrize("dtype", HALF)
def test_what_is_broadcast_against_half_precision_keeps_its_digits(dtype):
    schedule = schedules.cosine(0.1)
    t = jnp.linspace(0.9, 1, 1000)
    x = jnp.zeros((1000, 2, 2, 1), dtype)
    alpha = parameterization.expand(schedule.alpha(t), x)
    assert alpha.shape == (1000, 1, 1, 1) and alpha.dtype == jnp.float32
    assert len(np.unique(alpha)) > 990
    assert parameterization.expand(t, x.astype(jnp.float32)).dtype == jnp.float32
    assert parameterization.expand(t > 0.5, x).dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("method", [Ddpm("small"), Ddim(), Ddim(0.5)])
def test_the_samplers_own_times_and_steps_are_float32(method, dtype):
    x_init, cond, keys = gaussian_setup(8)
    seen = []

    def net(x_t, t, cond):
        seen.append((x_t.dtype, t.dtype))
        return gaussian_net(x_t.astype(jnp.float32), t, cond.astype(jnp.float32))

    sampler = Sampler(1000, None, method, clip=False)
    half, whole = (
        sampling.sample(
            net, x_init.astype(d), cond, sampler, schedule=schedules.cosine(0.1), keys=keys
        )
        for d in (dtype, jnp.float32)
    )
    assert half.dtype == dtype
    assert seen == [(dtype, jnp.float32), (jnp.float32, jnp.float32)]
    # A thousand different times, or the end would be nowhere near.
    np.testing.assert_allclose(half.astype(jnp.float32), whole, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALF)
def test_losses_of_half_precision_are_those_of_float64(dtype):
    rng = np.random.default_rng(0)
    pred, target = rng.uniform(-0.9, 0.9, (3, 16, 16, 6)), rng.choice([-1.0, 1.0], (3, 16, 16, 6))
    mask = np.ones((3, 16, 16), bool)
    mask[1], mask[2, 4:] = False, False  # none counts; few do
    pred, target = (jnp.asarray(x, dtype) for x in (pred, target))
    every = losses.LOSSES | {"logits": losses.cross_entropy_logits}
    for name, loss in every.items():
        got = loss(pred, target, jnp.asarray(mask))
        assert got.dtype == jnp.float32 and got[1] == 0, name
        arrays = (x.astype(jnp.float32) for x in (pred, target))
        np.testing.assert_allclose(got, in_float64(loss, *arrays, mask), rtol=1e-5, err_msg=name)
        gradient = jax.grad(lambda p, loss=loss: loss(p, target, jnp.asarray(mask)).sum())(pred)
        assert np.isfinite(gradient.astype(jnp.float32)).all(), name
