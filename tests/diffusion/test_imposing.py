"""Known pixels against data whose conditional distribution is known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.imposing import Known
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from bitdiff_jax.encoding import bits
from bitdiff_jax.testing import exact

SCHEDULE = schedules.cosine(0.1)
SAMPLERS = {
    "ddpm": Sampler(16, None, Ddpm("small")),
    "large": Sampler(8, None, Ddpm("large")),
    "ddim": Sampler(16, None, Ddim()),
    "eps before clip": Sampler(16, None, Ddim(eps_after_clip=False)),
    "dpmpp_2m": Sampler(16, None, Dpmpp2M(), time_grid="logsnr"),
    "step": Sampler(16, None, Ddim(1.0), final="step"),
}
CODES, PRIOR = exact.partitions()
ROWS, COLUMNS = np.mgrid[:8, :8]


def draw(denoise, x_shape, cond, sampler, x0=None, mask=None, weight=None, **options):
    known = None
    if x0 is not None:
        mask = jnp.broadcast_to(mask, x_shape[:-1])
        weight = None if weight is None else jnp.broadcast_to(weight, mask.shape)
        known = Known(jnp.broadcast_to(x0, x_shape), mask, weight)
    return sampling.sample(
        denoise, jax.random.normal(jax.random.key(0), x_shape), cond, sampler, schedule=SCHEDULE,
        keys=jax.random.split(jax.random.key(1), x_shape[0]), known=known, **options,
    )  # fmt: skip


X0 = np.asarray(bits.encode(jnp.asarray(CODES), 3))
LISTED = exact.listed(SCHEDULE, X0)


def error_given(name, mask, target, weight):
    """Total variation between what is drawn and the conditional distribution of a partition.

    That is what `mask` imposes of partition `target`.
    """
    count = 800
    weights = PRIOR * (CODES[:, mask] == CODES[target][mask]).all(1)
    want = np.append(weights / weights.sum(), 0)
    cond = jnp.broadcast_to(jnp.log(jnp.float32(PRIOR)), (count, len(PRIOR)))
    pixel = None if weight is None else np.float32(weight / mask.sum())
    drawn = draw(LISTED, (count, 8, 8, 3), cond, SAMPLERS[name], X0[target], mask, pixel)
    return np.abs(exact.shares(np.asarray(bits.decode(drawn)), CODES) - want).sum() / 2


# What is imposed, and of which partition: a patch that two partitions share, one pixel that three
# share, one pixel of an improbable one, and half of one.
PATCH = (ROWS > 0) & (ROWS < 3) & (COLUMNS > 0) & (COLUMNS < 3)
PIXEL = (ROWS == 1) & (COLUMNS == 1)
CASES = [(PATCH, 0), (PATCH, 1), (PIXEL, 0), (PIXEL, 4), (COLUMNS < 4, 2)]


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_guidance_draws_the_conditional_distribution(name):
    """The standard error of a share is below .018; replacement alone is off by .2 to .9."""
    errors = [error_given(name, *case, 1.0) for case in CASES]
    assert max(errors) < 0.08 and np.mean(errors) < 0.05, errors


def test_replacement_alone_does_not():
    errors = [error_given("ddim", *case, None) for case in CASES]
    assert min(errors) > 0.15, errors


@pytest.mark.parametrize("name", SAMPLERS)
def test_pixels_that_know_nothing_of_the_imposed_ones_keep_their_distribution(name):
    """Independent bits: the conditional distribution is that without a condition."""
    count, p = 4000, 0.7
    x0 = jnp.where(COLUMNS[..., None] % 2, 1.0, -1.0)
    mask = jnp.asarray(ROWS < 4)
    denoise = exact.groups(SCHEDULE, ((1, 8),))
    cond = jnp.full(count, p)
    given = np.asarray(draw(denoise, (count, 8, 8, 1), cond, SAMPLERS[name], x0, mask))
    plain = np.asarray(draw(denoise, (count, 8, 8, 1), cond, SAMPLERS[name]))
    np.testing.assert_array_equal(given[:, :4], np.broadcast_to(x0[:4], (count, 4, 8, 1)))
    # The free pixels have the same noise, so they are the same but for rounding.
    assert ((given > 0) == (plain > 0))[:, 4:].mean() > 0.9999
    share = (given[:, 4:] > 0).mean()
    assert share == pytest.approx((plain > 0).mean(), abs=4.5 * np.sqrt(p * (1 - p) / count / 32))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("guidance_weight", [None, 1.0])
@pytest.mark.parametrize("weight", [None, 0.1])
def test_known_pixels_are_exact_with_any_method(name, guidance_weight, weight):
    rng = np.random.default_rng(3)
    mask, x0 = rng.random((2, 6, 5)) < 0.4, rng.choice([-1.0, 1.0], (2, 6, 5, 3))

    def denoise(x_t, t, cond):
        return jnp.tanh(x_t + cond)

    sampler = dataclasses.replace(SAMPLERS[name], guidance_weight=guidance_weight)
    cond = jnp.ones((2, 1, 1, 1))
    drawn = draw(denoise, (2, 6, 5, 3), cond, sampler, jnp.float32(x0), mask, weight)
    np.testing.assert_array_equal(np.asarray(drawn)[mask], np.float32(x0)[mask])


@pytest.mark.parametrize("name", SAMPLERS)
def test_nothing_known_changes_nothing(name):
    def denoise(x_t, t, cond):
        return jnp.tanh(x_t + cond)

    shape = (2, 6, 5, 3)
    cond = jnp.ones((2, 1, 1, 1))
    plain = draw(denoise, shape, cond, SAMPLERS[name])
    nothing = draw(denoise, shape, cond, SAMPLERS[name], jnp.zeros(shape), jnp.zeros((), bool))
    np.testing.assert_allclose(nothing, plain, atol=1e-6)


def test_what_the_network_sees_of_known_pixels_is_noised_data_of_that_level():
    """At each t, x_t of known pixels has the mean alpha x0 and the standard deviation sigma."""
    count = 3000

    def denoise(x_t, t, cond):
        return jnp.zeros_like(x_t)

    for name in ("ddpm", "ddim", "dpmpp_2m"):
        sampler = SAMPLERS[name]
        shape = (count, 1, 2, 1)
        _, trajectory = draw(
            denoise, shape, jnp.zeros((count, 1)), sampler, jnp.ones(()),
            jnp.asarray([True, False]),
            return_trajectory=True,
        )  # fmt: skip
        seen = np.asarray(trajectory.x_t)[:, :, 0, 0, 0]
        if sampler.time_grid == "uniform":
            for i, x_t in enumerate(seen):
                t = jnp.float32(1 - i / 16)
                alpha, sigma = float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))
                assert x_t.mean() == pytest.approx(alpha, abs=4.5 * sigma / count**0.5)
                assert x_t.std() == pytest.approx(sigma, rel=0.07)
        np.testing.assert_array_equal(np.asarray(trajectory.x0)[:, :, 0, 0, 0], 1)


@pytest.mark.parametrize("prediction", ["eps", "v", "both"])
def test_other_predictions_are_imposed_in_x0(prediction):
    def denoise(x_t, t, cond):
        out = jnp.tanh(x_t)
        return jnp.concatenate([out, out], -1) if prediction == "both" else out

    mask = jnp.asarray(COLUMNS < 3)
    drawn = draw(
        denoise, (1, 8, 8, 2), jnp.zeros((1, 1)), SAMPLERS["eps before clip"], jnp.full((), -1.0),
        mask, prediction=prediction,
    )  # fmt: skip
    assert (np.asarray(drawn)[0][np.asarray(mask)] == -1).all()


def test_guidance_of_both_kinds_is_that_of_one_derivative():
    """With a guided sampler, the derivative is that of the conditional half, as by hand."""
    cond, shape = jnp.full((1, 1, 1, 1), 0.3), (1, 4, 4, 1)
    x0, mask = jnp.ones(()), jnp.arange(4) < 2

    def denoise(x_t, t, cond):
        return jnp.tanh(0.1 * jnp.mean(x_t, (1, 2), keepdims=True) + 0.2 * x_t + cond)

    sampler = Sampler(1, 2.0, Ddim(), clip=False)
    drawn = draw(denoise, shape, cond, sampler, x0, mask, 0.01)
    x_t = jax.random.normal(jax.random.key(0), shape)
    alpha, sigma = SCHEDULE.alpha(jnp.float32(1)), SCHEDULE.sigma(jnp.float32(1))

    def log_prob(x_t):
        return 0.01 * jnp.sum(jnp.log((1 + denoise(x_t, None, cond)[:, :, :2]) / 2))

    guided = 3 * denoise(x_t, None, cond) - 2 * denoise(x_t, None, 0.0)
    want = guided + sigma**2 / alpha * jax.grad(log_prob)(x_t)
    want = jnp.where(mask[:, None], 1.0, want)
    np.testing.assert_allclose(drawn, want, rtol=1e-4)
