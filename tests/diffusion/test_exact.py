"""The sampler against data whose denoiser, and whose sampled frequencies, are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.encoding import bits
from bitdiff_jax.testing import exact

P = 0.7
SAMPLERS = [name for name in exact.METHODS if name != "DDIM eta 1"]
WEIGHTS = jnp.array([0.0, 1.0])  # one image each
LAYOUT = ((1, 40), (16, 8), (256, 1))

MEAN, STD = 0.3, 0.2
NULL = (-0.5, 0.9)


def expected(name, num_steps, size, input_scale=0.1, weight=0.0, final="x0"):
    path = exact.steps(num_steps, input_scale, **exact.METHODS[name], final=final)
    return exact.frequency(path, size, P, weight=weight)


def draw_groups(name, num_steps, input_scale=0.1, final="x0", *, rows, layout=LAYOUT):
    """The sample [2, rows, W, 1], the first image without guidance and the second with 1."""
    schedule = schedules.cosine(input_scale)
    width = sum(m * count for m, count in layout)
    return sampling.sample(
        exact.groups(schedule, layout),
        jax.random.normal(jax.random.key(0), (2, rows, width, 1)),
        jnp.full(2, P),
        Sampler(num_steps, WEIGHTS, exact.STEP_METHODS[name], final=final),
        null_cond=jnp.full(2, 0.5),
        schedule=schedule,
        keys=jax.random.split(jax.random.key(1), 2),
    )


def assert_frequencies(x0, layout, want, slack=4.5):
    """`want(m, weight)` within `slack` standard errors, for each size of group and weight."""
    for part, (m, count) in zip(exact.split(x0, layout), layout, strict=True):
        draws = part.shape[1] * count
        for weight, got in zip((0.0, 1.0), np.asarray(part > 0).mean((1, 2, 3)), strict=True):
            target = want(m, weight)
            error = np.sqrt(target * (1 - target) / draws)
            assert got == pytest.approx(target, abs=slack * error + 3e-4), (m, weight)


# The denoisers themselves


@pytest.mark.slow
@pytest.mark.parametrize("t", [0.05, 0.4, 0.99])
def test_denoisers_are_posterior_means(t):
    schedule = schedules.cosine(0.1)
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    rng = np.random.default_rng(0)
    x_t = alpha * rng.choice([-1.0, 1.0], (1, 3, 4, 1)) + sigma * rng.normal(size=(1, 3, 4, 1))
    ask = lambda net, cond: net(jnp.float32(x_t), jnp.float32([t]), cond)  # noqa: E731

    x0 = np.linspace(-4, 4, 400_001)
    value = x_t[0, 1, 2, 0]
    posterior = norm.pdf(x0, MEAN, STD) * norm.pdf(value, alpha * x0, sigma)
    got = ask(exact.gaussian(schedule), jnp.float32([[MEAN, STD]]))[0, 1, 2, 0]
    assert got == pytest.approx(posterior @ x0 / posterior.sum(), abs=1e-5)

    got = ask(exact.groups(schedule, ((1, 1), (3, 1))), jnp.float32([P]))[0, 2, :, 0]
    for pixels in (slice(0, 1), slice(1, 4)):
        likelihood = {b: norm.pdf(x_t[0, 2, pixels, 0], alpha * b, sigma).prod() for b in (-1, 1)}
        plus, minus = P * likelihood[1], (1 - P) * likelihood[-1]
        np.testing.assert_allclose(got[pixels], (plus - minus) / (plus + minus), atol=1e-5)

    images = rng.normal(size=(4, 3, 4, 1))
    log_prior = np.log([0.1, 0.2, 0.3, 0.4])
    log = log_prior + norm.logpdf(x_t, alpha * images, sigma).sum((1, 2, 3))
    want = np.tensordot(np.exp(log - logsumexp(log)), images, 1)
    got = ask(exact.listed(schedule, images), jnp.float32(log_prior)[None])[0]
    np.testing.assert_allclose(got, want, atol=1e-4)


# (a) One Gaussian: mean and variance without a single random number


def affine_moments(x0):
    """Mean and variance of an affine function of independent normals, from its values.

    Column 0 was given zeros, column j the unit vector j - 1.
    """
    x0 = np.asarray(x0, np.float64)
    return x0[..., 0], np.square(x0[..., 1:] - x0[..., :1]).sum(-1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_steps", "input_scale", "final"),
    [(3, 0.1, "step"), (40, 1.0, "step"), (200, 0.1, "x0")],
)
@pytest.mark.parametrize("name", [*SAMPLERS, "DDIM eta .5"])
def test_mean_and_variance_of_a_gaussian_are_those_of_the_recursion(
    name, num_steps, input_scale, final
):
    options = exact.METHODS.get(name, {"method": "ddim", "eta": 0.5})
    schedule = schedules.cosine(input_scale)
    units = np.zeros((num_steps + 1, 1, 1, num_steps + 2, 1), np.float32)
    units[np.arange(num_steps + 1), 0, 0, np.arange(1, num_steps + 2)] = 1
    units = np.repeat(units, 2, axis=1)
    x0 = sampling.sample(
        exact.gaussian(schedule), units[0], jnp.float32([[MEAN, STD]] * 2),
        Sampler(num_steps, WEIGHTS, exact.STEP_METHODS.get(name, Ddim(0.5)), False, final),
        null_cond=jnp.float32([NULL] * 2), schedule=schedule, noise=units[1:],
    )  # fmt: skip
    path = exact.steps(num_steps, input_scale, **options, final=final)
    for weight, image in zip((0.0, 1.0), x0[:, 0, :, 0], strict=True):
        want = exact.moments(path, (MEAN, STD), NULL, weight)
        np.testing.assert_allclose(affine_moments(image), want, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("final", ["x0", "step"])
@pytest.mark.parametrize("input_scale", [0.1, 1.0])
@pytest.mark.parametrize("name", exact.METHODS)
def test_the_recursion_ends_at_the_truth(name, input_scale, final):
    errors = []
    for num_steps in (1000, 2000):
        path = exact.steps(num_steps, input_scale, **exact.METHODS[name], final=final)
        mean, var = exact.moments(path, (MEAN, STD))
        assert mean == pytest.approx(MEAN, abs=1e-4)
        errors.append(abs(var - STD**2) / STD**2)
    assert errors[1] < 0.08 and errors[1] < 0.6 * errors[0]


# (b) Pixels that share a bit


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_steps", "input_scale", "final"), [(5, 1.0, "step"), (8, 0.1, "x0"), (20, 0.1, "step")]
)
@pytest.mark.parametrize("name", SAMPLERS)
def test_sampled_frequencies_are_those_of_the_quadrature(name, num_steps, input_scale, final):
    x0 = draw_groups(name, num_steps, input_scale, final, rows=400)
    want = functools.partial(expected, name, num_steps, input_scale=input_scale, final=final)
    assert_frequencies(x0, LAYOUT, lambda m, weight: want(m, weight=weight))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "final"), [("DDPM large", "x0"), ("DDPM small", "step"), ("DDIM eta 0", "step")]
)
def test_a_hundred_sampled_steps_are_calibrated(name, final):
    layout = ((1, 32), (16, 6))
    x0 = draw_groups(name, 100, final=final, rows=400, layout=layout)
    for part, error in zip(exact.split(x0[:1], layout), (0.004, 0.009), strict=True):
        assert float((part > 0).mean()) == pytest.approx(P, abs=3 * error + 0.012)


@pytest.mark.slow
@pytest.mark.parametrize("input_scale", [0.1, 1.0])
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_bias_vanishes_with_the_number_of_steps(name, input_scale):
    for m in (1, 16, 256):
        biases = [abs(expected(name, n, m, input_scale) - P) for n in (100, 200)]
        assert biases[1] < 0.01
        assert biases[1] < max(0.65 * biases[0], 1e-3), m


@pytest.mark.parametrize(
    ("name", "final", "input_scale", "want"),
    [
        ("DDPM large", "x0", 0.1, (0.826, 0.732, 0.732)),
        ("DDPM large", "step", 0.1, (0.661, 0.668, 0.671)),
        ("DDPM small", "x0", 0.1, (0.842, 0.737, 0.732)),
        ("DDIM eta 0", "x0", 0.1, (0.835, 0.718, 0.719)),
        ("DDPM large", "x0", 1.0, (0.693, 0.748, 0.916)),
        ("DDPM small", "x0", 1.0, (0.729, 0.757, 0.920)),
        ("DDIM eta 0", "x0", 1.0, (0.714, 0.746, 0.919)),
    ],
)
def test_the_bias_at_eight_steps(name, final, input_scale, want):
    got = [expected(name, 8, m, input_scale, final=final) for m in (1, 16, 256)]
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_eta_one_is_variance_small_and_the_last_rule_matters_to_large_alone():
    for final in ("x0", "step"):
        small, eta = (
            exact.steps(8, 0.1, **exact.METHODS[name], final=final)
            for name in ("DDPM small", "DDIM eta 1")
        )
        np.testing.assert_allclose(small, eta, rtol=1e-9, atol=1e-12)
    for name, least, most in (
        ("DDPM large", 0.06, 1.0), ("DDPM small", 0.0, 2e-4), ("DDIM eta 0", 0.0, 2e-4)
    ):  # fmt: skip
        for m in (1, 16, 256):
            moved = abs(expected(name, 8, m) - expected(name, 8, m, final="step"))
            assert least <= moved <= most


def test_a_pixel_on_its_own_is_sharpened_by_the_last_step_and_a_region_by_coarse_steps():
    for m, from_last_step in ((1, 0.98), (256, 0.01)):
        bias = expected("DDPM large", 8, m) - P
        alone = exact.last_step_alone(8, 0.1, m, P) - P
        assert bias > 0.03
        np.testing.assert_allclose(alone / bias, from_last_step, atol=0.04)


@pytest.mark.parametrize(("name", "limit"), [("DDPM large", 0.8505), ("DDIM eta 0", 0.8467)])
def test_guidance_drifts_to_a_frequency_that_depends_on_the_method(name, limit):
    # The tilted P^2 / (P^2 + (1 - P)^2) = .8448 is neither's limit.
    for m in (1, 256):
        assert expected(name, 500, m, weight=1.0) == pytest.approx(limit, abs=1e-3)


# (c) A list of pictures


def draw_listed(images, prior, name, num_steps, final="x0", *, count):
    schedule = schedules.cosine(0.1)
    return sampling.sample(
        exact.listed(schedule, images),
        jax.random.normal(jax.random.key(0), (count, *images.shape[1:])),
        jnp.tile(jnp.log(jnp.float32(prior)), (count, 1)),
        Sampler(num_steps, None, exact.STEP_METHODS[name], final=final),
        schedule=schedule,
        keys=jax.random.split(jax.random.key(1), count),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DDPM large", "DDIM eta 0"])
def test_two_images_are_a_group_of_the_values_in_which_they_differ(name):
    codes = np.zeros((2, 4, 4), np.int32)
    codes[1, :2] = 3  # 2 bits of 8 pixels
    images = np.asarray(bits.encode(jnp.asarray(codes), 3))
    x0 = draw_listed(images, [1 - P, P], name, 8, count=4000)
    got = exact.shares(np.asarray(bits.decode(x0)), codes)
    assert got[2] == 0
    assert got[1] == pytest.approx(expected(name, 8, 16), abs=4 * 0.007)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_steps", "final", "least", "most"),
    [
        ("DDPM large", 8, "x0", 0.03, 0.09),
        ("DDPM large", 50, "x0", 0.0, 0.04),
        ("DDPM small", 50, "step", 0.0, 0.04),
        ("DDIM eta 0", 50, "x0", 0.0, 0.04),
        ("DDPM large", 8, "step", 0.99, 1.0),  # the last step's noise flips bits everywhere
    ],
)
def test_partitions_are_drawn_as_often_as_they_should(name, num_steps, final, least, most):
    codes, prior = exact.partitions()
    images = np.asarray(bits.encode(jnp.asarray(codes), 3))
    x0 = draw_listed(images, prior, name, num_steps, final, count=1200)
    shares = exact.shares(np.asarray(bits.decode(x0)), codes)
    distance = 0.5 * np.abs(shares - np.append(prior, 0)).sum()  # total variation
    assert least <= distance <= most
    assert shares[-1] == 0 or least > 0.9
