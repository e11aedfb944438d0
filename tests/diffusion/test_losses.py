import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import losses, parameterization, schedules, weighting
from tests.diffusion.closed_forms import SCALES
from tests.diffusion.test_weighting import NAMES

PREDICTIONS = ("x", "v", "eps", "both", "p", "p_logits")


def nhwc(x):
    return np.moveaxis(x, -3, -1).astype(np.float64)


@pytest.mark.parametrize("scale", ["b1", "b0p1"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("masked", [True, False])
def test_losses_match_the_reference(golden, scale, prediction, masked):
    vectors = golden("losses")
    key = f"{scale}/{prediction}"
    part = f"{key}/{'masked' if masked else 'fullmask'}"
    with jax.enable_x64(True):
        schedule = schedules.cosine(SCALES[scale])
        x0, eps = nhwc(vectors["x_pad" if masked else "x"]), nhwc(vectors["eps"])
        t = vectors["t"].astype(np.float64)
        mask = vectors["mask"][:, 0] if masked else np.ones(x0.shape[:3])
        alpha = parameterization.expand(schedule.alpha(t), x0)
        sigma = parameterization.expand(schedule.sigma(t), x0)
        x_t = parameterization.diffuse(x0, eps, alpha, sigma)
        output = nhwc(vectors[f"b0p1/{prediction}/network_output"])  # the same for every b
        assert output.shape[-1] == parameterization.output_channels(prediction, x0.shape[-1])
        pred = parameterization.to_x0(output, x_t, alpha, sigma, prediction)
        pred_eps = parameterization.to_eps(output, x_t, alpha, sigma, prediction)
        weight = weighting.sigmoid(schedule, t)
        error = losses.masked_mse(pred, x0, mask)
        close = np.testing.assert_allclose
        for name, got, tolerance in (
            ("x_t", x_t, 1e-5),
            ("pred_x", pred, 1e-5),
            ("pred_eps", pred_eps, 1e-5),
        ):
            want = nhwc(vectors[f"{part}/{name}"])
            stride = got.shape[1] // want.shape[1]  # The copied subset keeps every fourth pixel.
            close(got[:, ::stride, ::stride], want, rtol=tolerance, atol=tolerance)
        close(weight, vectors[f"{part}/weights"], rtol=1e-5)
        close(weight * error, vectors[f"{part}/losses"], rtol=1e-5)
        close(np.mean(weight * error), vectors[f"{part}/loss"], rtol=1e-5)


def masked_case(vectors):
    """(pred, target, mask, t) of prediction 'x' at b = 0.1."""
    pred = nhwc(vectors["b0p1/x/network_output"])
    return pred, nhwc(vectors["x"]), vectors["mask"][:, 0], vectors["t"].astype(np.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decoupled", [True, False])
def test_weighted_losses_match_the_reference(golden, name, decoupled):
    vectors = golden("losses")
    *arrays, t = masked_case(vectors)
    with jax.enable_x64(True):
        weight = weighting.make(*NAMES[name], decoupled)(schedules.cosine(0.1), t)
        got = weight * losses.masked_mse(*arrays)
    kind = "decoupled" if decoupled else "plain"
    np.testing.assert_allclose(got, vectors[f"by_weight/{name}/{kind}/losses"], rtol=1e-6)


@pytest.mark.parametrize("name", ["ce1", "ce2"])
def test_cross_entropies_match_the_reference(golden, name):
    vectors = golden("losses")
    pred, target, mask, t = masked_case(vectors)
    with jax.enable_x64(True):
        # These vectors were made with 0.99 of the output, to stay clear of log 0.
        error = losses.LOSSES[name](0.99 * pred, target, mask)
        got = weighting.sigmoid(schedules.cosine(0.1), t) * error
    np.testing.assert_allclose(got, vectors[f"by_loss_type/{name}/losses"], rtol=1e-6)


def test_the_bare_error_matches_the_reference(golden):
    vectors = golden("losses")
    pred = nhwc(vectors["model_output"])
    with jax.enable_x64(True):
        got = losses.masked_mse(pred, nhwc(vectors["x"]), vectors["mask"][:, 0])
    np.testing.assert_allclose(got, vectors["mse_only/masked"], rtol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_float32_agrees_with_float64(name):
    rng = np.random.default_rng(3)
    target = np.sign(rng.normal(size=(3, 5, 4, 6)))
    pred, mask = np.tanh(rng.normal(size=target.shape)), rng.random(target.shape[:3]) < 0.7
    with jax.enable_x64(True):
        want = losses.LOSSES[name](pred, target, mask)
    as_float32 = [jnp.asarray(x, jnp.float32) for x in (pred, target)]
    got = jax.jit(losses.LOSSES[name])(*as_float32, mask)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, want, rtol=2e-6)
    one_by_one = jax.vmap(lambda *x: losses.LOSSES[name](*(y[None] for y in x))[0])
    np.testing.assert_allclose(one_by_one(*as_float32, mask), want, rtol=2e-6)


def test_means_over_pixels_and_sums_over_channels():
    pred, target = jnp.zeros((2, 2, 3, 6)), jnp.ones((2, 2, 3, 6))
    mask = jnp.zeros((2, 2, 3), bool).at[0, 0, 0].set(True)
    np.testing.assert_allclose(losses.masked_mse(pred, target, mask), [6, 0])
    for name in ("ce1", "ce2"):
        np.testing.assert_allclose(
            losses.LOSSES[name](pred, target, mask), [6 * np.log(2), 0], rtol=1e-6
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_perfectly_wrong_prediction_has_a_finite_loss_and_gradient(name):
    target = jnp.ones((1, 1, 3, 2)).at[0, 0, 1].set(-1)
    pred = jnp.stack([target[:, :, 0], -target[:, :, 1], 3 * target[:, :, 2]], axis=2)
    for mask in (jnp.ones((1, 1, 3)), jnp.array([[[1.0, 0, 0]]])):
        value, gradient = jax.value_and_grad(
            lambda p, m=mask: losses.LOSSES[name](p, target, m)[0]
        )(pred)
        assert np.isfinite(value) and np.isfinite(gradient).all()
        # What does not count does not pull, even where its logarithm would be infinite.
        assert not np.asarray(gradient)[mask == 0].any()
    assert float(value) == 0  # the one counted pixel is right


def test_beyond_the_range_two_wrongs_make_no_right():
    target, pred = jnp.ones((1, 1, 1, 2)), -3 * jnp.ones((1, 1, 1, 2))
    assert float(losses.cross_entropy_product(pred, target, jnp.ones((1, 1, 1)))[0]) > 80


@pytest.mark.slow
def test_cross_entropy_of_logits():
    rng = np.random.default_rng(5)
    target = np.sign(rng.normal(size=(2, 4, 4, 3)))
    logits, mask = 3 * rng.normal(size=target.shape), rng.random((2, 4, 4)) < 0.6
    with jax.enable_x64(True):
        x0 = parameterization.to_x0(logits, logits, 1.0, 1.0, "p_logits")
        want = losses.cross_entropy_channels(x0, target, mask)
        np.testing.assert_allclose(losses.cross_entropy_logits(logits, target, mask), want, 1e-9)
    # A logit so wrong that its probability rounds to 0 still knows the way back.
    one = jnp.ones((1, 1, 1, 1))
    gradient = jax.grad(lambda x: losses.cross_entropy_logits(x, one, one[..., 0])[0])(-100 * one)
    np.testing.assert_allclose(gradient, -one)
