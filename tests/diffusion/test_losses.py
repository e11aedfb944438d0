"""Times, weights, parameterizations and losses against the reference's vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from bitdiff_jax.diffusion import losses, parameterization, schedules, times, weighting

SCALES = {"b1": 1.0, "b0p5": 0.5, "b0p1": 0.1, "b0p05": 0.05}
BIASES = {"sigmoid": 0.0, "sigmoid_-6": -6.0, "sigmoid_-4": -4.0, "sigmoid_2": 2.0}


def nhwc(x):
    return np.moveaxis(x, -3, -1)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", [*BIASES, "uniform"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_weights_match_the_reference(golden, scale, name, decoupled):
    vectors = golden("loss_weights")
    kind = "decoupled" if decoupled else "plain"
    with jax.enable_x64(True):
        schedule = schedules.cosine(SCALES[scale])
        for grid, rtol in (("t", 1e-6), ("t_extra", 2e-5)):
            if name == "uniform":
                got = weighting.uniform(schedule, vectors[grid], decoupled)
            else:
                got = weighting.sigmoid(schedule, vectors[grid], BIASES[name], decoupled)
            np.testing.assert_allclose(
                got, vectors[f"{scale}/{name}/{kind}/{grid}"], rtol=rtol, atol=1e-7
            )


@pytest.mark.parametrize("b", [1.0, 0.1])
def test_the_decoupled_weight_integrates_to_the_same_for_every_schedule(b):
    with jax.enable_x64(True):
        schedule = schedules.cosine(b)
        # Substituting t = u^4 tames the peak at t = 0.
        total, _ = integrate.quad(
            lambda u: float(weighting.sigmoid(schedule, u**4)) * 4 * u**3, 0, 1, limit=400
        )
    assert total == pytest.approx(np.logaddexp(0, 24) - np.logaddexp(0, -16), rel=1e-4)


def test_weights_are_finite_in_float32():
    t = np.float32([0, 1e-7, 1e-4, 0.5, 1 - 1e-7, 1])
    for decoupled in (True, False):
        weight = weighting.sigmoid(schedules.cosine(), t, decoupled=decoupled)
        assert weight.dtype == jnp.float32
        assert np.isfinite(weight).all() and (np.asarray(weight) >= 0).all()


@pytest.mark.parametrize("scale", ["b1", "b0p1"])
@pytest.mark.parametrize("prediction", ["x", "eps", "v"])
@pytest.mark.parametrize("masked", [True, False])
def test_losses_match_the_reference(golden, scale, prediction, masked):
    vectors = golden("losses")
    key = f"{scale}/{prediction}"
    part = f"{key}/{'masked' if masked else 'fullmask'}"
    with jax.enable_x64(True):
        schedule = schedules.cosine(SCALES[scale])
        x0 = nhwc(vectors["x_pad" if masked else "x"]).astype(np.float64)
        eps, t = nhwc(vectors["eps"]).astype(np.float64), vectors["t"].astype(np.float64)
        mask = vectors["mask"][:, 0] if masked else np.ones(x0.shape[:3])
        alpha = parameterization.expand(schedule.alpha(t), x0)
        sigma = parameterization.expand(schedule.sigma(t), x0)
        x_t = parameterization.diffuse(x0, eps, alpha, sigma)
        output = nhwc(vectors[f"{key}/network_output"]).astype(np.float64)
        pred = parameterization.to_x0(output, x_t, alpha, sigma, prediction)
        pred_eps = parameterization.eps_from_x0(pred, x_t, alpha, sigma)
        weight = weighting.sigmoid(schedule, t)
        error = losses.masked_mse(pred, x0, mask)
        close = np.testing.assert_allclose
        for name, got, tolerance in (
            ("x_t", x_t, 1e-5),
            ("pred_x", pred, 1e-5),
            ("pred_eps", pred_eps, 1e-4),
        ):
            want = nhwc(vectors[f"{part}/{name}"])
            stride = got.shape[1] // want.shape[1]  # The copied subset keeps every fourth pixel.
            close(got[:, ::stride, ::stride], want, rtol=tolerance, atol=tolerance)
        close(weight, vectors[f"{part}/weights"], rtol=1e-5)
        close(weight * error, vectors[f"{part}/losses"], rtol=1e-5)
        close(np.mean(weight * error), vectors[f"{part}/loss"], rtol=1e-5)


def test_parameterizations_invert_each_other():
    rng = np.random.default_rng(0)
    x0, eps = rng.normal(size=(2, 4, 3, 3, 2))
    schedule = schedules.cosine(0.1)
    with jax.enable_x64(True):
        t = np.array([1e-3, 0.2, 0.7, 1.0])
        alpha = parameterization.expand(schedule.alpha(t), x0)
        sigma = parameterization.expand(schedule.sigma(t), x0)
        x_t = parameterization.diffuse(x0, eps, alpha, sigma)
        v = parameterization.v_from_x0_eps(x0, eps, alpha, sigma)
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)  # noqa: E731
        close(parameterization.x0_from_eps(eps, x_t, alpha, sigma), x0)
        close(parameterization.x0_from_v(v, x_t, alpha, sigma), x0)
        close(parameterization.eps_from_x0(x0, x_t, alpha, sigma), eps)
        close(parameterization.eps_from_v(v, x_t, alpha, sigma), eps)
    with pytest.raises(ValueError, match="prediction"):
        parameterization.to_x0(x0, x_t, alpha, sigma, "score")


def test_masked_mse_is_a_mean_over_pixels_and_a_sum_over_channels():
    pred, target = jnp.ones((2, 2, 3, 6)), jnp.zeros((2, 2, 3, 6))
    mask = jnp.zeros((2, 2, 3), bool).at[0, 0, 0].set(True)
    np.testing.assert_allclose(losses.masked_mse(pred, target, mask), [6, 0])


@pytest.mark.parametrize("batch_size", [1, 8, 1000])
def test_stratified_times_fall_one_into_each_part(batch_size):
    t = np.asarray(jax.jit(times.stratified, static_argnums=1)(jax.random.key(1), batch_size))
    assert t.dtype == np.float32 and t.min() >= 0 and t.max() < 1
    np.testing.assert_array_equal(np.sort(np.floor(t * batch_size)), np.arange(batch_size))
    if batch_size == 1000:
        assert not (np.diff(t) > 0).all()  # shuffled
        offsets = t * batch_size - np.floor(t * batch_size)
        assert abs(offsets.mean() - 0.5) < 0.05  # independent of one another
        assert offsets.std() == pytest.approx(12**-0.5, abs=0.03)
