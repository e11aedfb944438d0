import jax
import numpy as np
import pytest

from bitdiff_jax.diffusion import parameterization, schedules


def setup(t=(1e-3, 0.2, 0.7, 1.0)):
    """(x0, eps, x_t, alpha, sigma) in float64 at four times."""
    rng = np.random.default_rng(0)
    x0, eps = rng.normal(size=(2, 4, 3, 3, 2))
    schedule, t = schedules.cosine(0.1), np.array(t)
    alpha = parameterization.expand(schedule.alpha(t), x0)
    sigma = parameterization.expand(schedule.sigma(t), x0)
    return x0, eps, parameterization.diffuse(x0, eps, alpha, sigma), alpha, sigma


def close(got, want, tolerance=1e-8):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_parameterizations_invert_each_other():
    with jax.enable_x64(True):
        x0, eps, x_t, alpha, sigma = setup()
        v = parameterization.v_from_x0_eps(x0, eps, alpha, sigma)
        close(parameterization.x0_from_eps(eps, x_t, alpha, sigma), x0)
        close(parameterization.x0_from_v(v, x_t, alpha, sigma), x0)
        close(parameterization.eps_from_x0(x0, x_t, alpha, sigma), eps)
        close(parameterization.eps_from_v(v, x_t, alpha, sigma), eps)


@pytest.mark.parametrize("prediction", ["x", "eps", "v", "both", "p", "p_logits"])
def test_the_true_output_gives_the_truth(prediction):
    with jax.enable_x64(True):
        x0, eps, x_t, alpha, sigma = setup()
        if prediction in ("p", "p_logits"):
            x0 = np.tanh(x0)
            x_t = parameterization.diffuse(x0, eps, alpha, sigma)
        output = {
            "x": x0,
            "eps": eps,
            "v": alpha * eps - sigma * x0,
            # The weights alpha and sigma do not sum to 1; the x0 half makes up for it.
            "both": np.concatenate([eps, x0 * (1 - sigma) / alpha], -1),
            "p": (x0 + 1) / 2,
            "p_logits": np.log1p(x0) - np.log1p(-x0) if prediction == "p_logits" else None,
        }[prediction]
        assert output.shape[-1] == parameterization.output_channels(prediction, 2)
        # At t = 1 x0 is read off x_t with a factor of 2e4.
        close(parameterization.to_x0(output, x_t, alpha, sigma, prediction), x0)
        close(parameterization.to_eps(output, x_t, alpha, sigma, prediction), eps, 1e-7)


def test_the_halves_of_both_are_weighed():
    with jax.enable_x64(True):
        x0, eps, x_t, alpha, sigma = setup((0.0, 0.001, 0.999, 1.0))
        halves = np.concatenate([eps, x0 + 1], -1)
        got = parameterization.to_x0(halves, x_t, alpha, sigma, "both")
        close(got, (alpha + sigma) * x0 + alpha)
        close(parameterization.to_eps(halves, x_t, alpha, sigma, "both"), eps)


def test_an_unknown_prediction_is_refused():
    x = np.zeros((1, 2, 2, 1))
    message = "one of x, eps, v, both, p, p_logits, got 'score'"
    for convert in (parameterization.to_x0, parameterization.to_eps):
        with pytest.raises(ValueError, match=message):
            convert(x, x, 1.0, 0.1, "score")
    with pytest.raises(ValueError, match=message):
        parameterization.output_channels("score", 3)
