import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from bitdiff_jax.diffusion import parameterization, schedules, weighting
from tests.diffusion import closed_forms
from tests.diffusion.closed_forms import SCALES

# The reference's names.
NAMES = {
    "uniform": ("uniform", 0.0), "SNR": ("snr", 0.0), "SNR_plus1": ("snr_plus1", 0.0),
    "SNR_trunc": ("snr_trunc", 0.0), "sigmoid": ("sigmoid", 0.0), "sigmoid_-6": ("sigmoid", -6.0),
    "sigmoid_-4": ("sigmoid", -4.0), "sigmoid_-2": ("sigmoid", -2.0),
    "sigmoid_0": ("sigmoid", 0.0), "sigmoid_2": ("sigmoid", 2.0),
}  # fmt: skip


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decoupled", [False, True])
def test_weights_match_the_reference(golden, scale, name, decoupled):
    vectors = golden("loss_weights")
    kind, b = "decoupled" if decoupled else "plain", SCALES[scale]
    weight = weighting.make(*NAMES[name], decoupled)
    for grid in ("t", "t_extra"):
        t = vectors[grid]
        exact = closed_forms.schedule("cosine", t, b)
        # What float64 costs the reference in SNR, a relative error of its weights.
        snr_error = closed_forms.reference_rounding("cosine", t, b) / (
            exact["gamma"] * exact["one_minus_gamma"]
        )
        with jax.enable_x64(True):
            got = np.asarray(weight(schedules.cosine(b), t))
        want = vectors[f"{scale}/{name}/{kind}/{grid}"]
        tolerance = want * (1e-9 + snr_error * (2 if decoupled else 1))
        if decoupled:  # At t = 1 sin(pi) in float64, 1e-16, times 1e9.
            tolerance = tolerance + 1e-7 * np.where(t == 1, np.max(want), 0)
        assert (np.abs(got - want) <= tolerance).all()


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("b", [1.0, 0.1])
def test_the_decoupled_weight_integrates_to_the_same_for_every_schedule(name, b):
    with jax.enable_x64(True):
        weight = jax.jit(lambda t: weighting.sigmoid(schedules.make(name, b), t))
        # The slope peaks at both ends; t = u^4 (35 - 84 u + 70 u^2 - 20 u^3) tames the peaks.
        total, _ = integrate.quad(
            lambda u: (
                float(weight(u**4 * (35 - 84 * u + 70 * u**2 - 20 * u**3)))
                * 140
                * (u * (1 - u)) ** 3
            ),
            0,
            1,
            limit=400,
        )
    assert total == pytest.approx(np.logaddexp(0, 24) - np.logaddexp(0, -16), rel=1e-4)


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
@pytest.mark.parametrize("name", weighting.WEIGHTS)
def test_weights_in_float32(schedule, name):
    t = np.float32([0, 1e-7, 1e-4, 0.25, 0.5, 0.75, 1 - 1e-7, 1])
    exact = closed_forms.schedule(schedule, t, 0.1)
    snr = exact["snr"]
    plain = {
        "uniform": np.ones_like(snr), "snr": snr, "snr_plus1": 1 + snr,
        "snr_trunc": np.maximum(snr, 1), "sigmoid": 1 / (1 + np.exp(-4) / snr),
    }[name]  # fmt: skip
    for decoupled in (True, False):
        got = jax.jit(weighting.make(name, -4.0, decoupled), static_argnums=0)(
            schedules.make(schedule), t
        )
        want = plain * -exact["dlogsnr_dt"] if decoupled else plain
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, want.astype(np.float64), rtol=5e-6)


@pytest.mark.parametrize(("name", "prediction"), [("snr", "eps"), ("snr_plus1", "v")])
def test_weights_of_the_classic_losses(name, prediction):
    rng = np.random.default_rng(0)
    schedule, t = schedules.cosine(0.1), np.array([0.01, 0.2, 0.6, 0.95])
    x0, eps, output = rng.normal(size=(3, 4, 2, 2, 3))
    with jax.enable_x64(True):
        alpha = parameterization.expand(schedule.alpha(t), x0)
        sigma = parameterization.expand(schedule.sigma(t), x0)
        x_t = parameterization.diffuse(x0, eps, alpha, sigma)
        truth = eps if prediction == "eps" else alpha * eps - sigma * x0
        pred = parameterization.to_x0(output, x_t, alpha, sigma, prediction)
        error = np.sum(np.square(pred - x0), axis=(1, 2, 3))
        got = weighting.WEIGHTS[name](schedule, t) * error
        classic = np.sum(np.square(output - truth), axis=(1, 2, 3))
    np.testing.assert_allclose(got, classic, rtol=1e-9)


def test_the_truncated_weight_is_the_larger_of_two_losses():
    schedule, t = schedules.cosine(0.1), np.linspace(0, 1, 33, dtype=np.float32)
    trunc, snr = weighting.snr_trunc(schedule, t), weighting.snr(schedule, t)
    np.testing.assert_array_equal(trunc, np.maximum(snr, 1))
    assert (np.asarray(trunc) > 1).any() and (np.asarray(trunc) == 1).any()


@pytest.mark.slow
def test_defaults_are_the_papers():
    schedule, t = schedules.cosine(), np.float32([0.1, 0.9])
    np.testing.assert_array_equal(
        weighting.make("sigmoid")(schedule, t),
        weighting.sigmoid(schedule, t, bias=-4.0, decoupled=True),
    )
    np.testing.assert_array_equal(weighting.uniform(schedule, t), [1, 1])
    assert weighting.make("snr", bias=3.0)(schedule, 0.5).shape == ()
    with pytest.raises(ValueError, match=r"one of uniform, snr, snr_plus1.*'gamma'"):
        weighting.make("gamma")
