import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import schedules

QUANTITIES = ("gamma", "one_minus_gamma", "alpha", "sigma", "logsnr", "dlogsnr_dt")
SCALES = {"b1": 1.0, "b0p5": 0.5, "b0p1": 0.1, "b0p05": 0.05}


def exact(t, b, logsnr_min=-20.0, logsnr_max=20.0):
    """The closed form in numpy float64 (or better), for t in float64."""
    t, b = np.asarray(t, np.longdouble), np.longdouble(np.float32(b))
    top, bottom = (1 / (1 + np.exp(-np.longdouble(x))) for x in (logsnr_max, logsnr_min))
    s, c = np.sin(np.pi * t / 2), np.sin(np.pi * (1 - t) / 2)
    total = s**2 + b**2 * c**2
    gamma = (top - bottom) * b**2 * c**2 / total + bottom
    rest = (top - bottom) * s**2 / total + 1 / (1 + np.exp(np.longdouble(logsnr_max)))
    slope = -(top - bottom) * b**2 * np.pi * s * c / (total**2 * gamma * rest)
    return {
        "gamma": gamma,
        "one_minus_gamma": rest,
        "alpha": np.sqrt(gamma),
        "sigma": np.sqrt(rest),
        "logsnr": np.log(gamma) - np.log(rest),
        "dlogsnr_dt": slope,
    }


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("times", ["t", "t_extra"])
def test_cosine_matches_the_reference(golden, name, times):
    vectors = golden("schedule")
    with jax.enable_x64(True):
        schedule = schedules.cosine(SCALES[name])
        for quantity in ("gamma", "alpha", "sigma", "logsnr", "dlogsnr_dt"):
            got = np.asarray(getattr(schedule, quantity)(vectors[times]))
            want = vectors[f"cosine/{name}/{times}/{quantity}"]
            # The reference subtracts gamma from 1 in float64, which costs it digits near t = 0.
            tolerance = {"gamma": 1e-9, "alpha": 1e-9}.get(quantity, 2e-5)
            np.testing.assert_allclose(
                got, want, rtol=tolerance, atol=2e-5 if "log" in quantity else 1e-9
            )


def test_other_limits_match_the_reference(golden):
    vectors = golden("schedule")
    prefix = "cosine/b0p1_clip10/t/"
    quantities = [key.removeprefix(prefix) for key in vectors if key.startswith(prefix)]
    assert {"gamma", "logsnr"} <= set(quantities)
    with jax.enable_x64(True):
        schedule = schedules.cosine(0.1, logsnr_min=-10.0, logsnr_max=10.0)
        for quantity in quantities:
            got = getattr(schedule, quantity)(vectors["t"])
            np.testing.assert_allclose(got, vectors[prefix + quantity], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("b", [1.0, 0.1, 0.03])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.vmap], ids=["eager", "jit", "vmap"])
def test_float32_is_right_to_two_millionths(b, wrap):
    t = np.linspace(0, 1, 257, dtype=np.float32)
    t = np.concatenate([t, np.float32([1e-6, 1e-4, 1 - 1e-4])])
    schedule = schedules.cosine(b)
    want = exact(t.astype(np.float64), b)
    for quantity in QUANTITIES:
        got = np.asarray(wrap(getattr(schedule, quantity))(t))
        assert got.dtype == np.float32
        atol = 2e-6 if quantity == "logsnr" else 0  # it crosses zero
        np.testing.assert_allclose(got, want[quantity].astype(np.float64), rtol=2e-6, atol=atol)


def test_ends_in_float32():
    schedule = schedules.cosine()
    t = jnp.float32([0.0, 1e-4, 1.0])
    assert np.isfinite(np.stack([getattr(schedule, q)(t) for q in QUANTITIES])).all()
    np.testing.assert_allclose(schedule.logsnr(t)[np.array([0, 2])], [20, -20], rtol=1e-6)
    assert float(schedule.sigma(0.0)) == pytest.approx(4.54e-5, rel=1e-3)
    assert float(schedule.dlogsnr_dt(jnp.float32(1.0))) == 0


def test_the_input_scale_multiplies_alpha_over_sigma():
    with jax.enable_x64(True):
        t = np.linspace(0.05, 0.95, 19)
        plain, scaled = schedules.cosine(1.0), schedules.cosine(0.25)
        ratio = (scaled.alpha(t) / scaled.sigma(t)) / (plain.alpha(t) / plain.sigma(t))
        np.testing.assert_allclose(ratio, 0.25, rtol=1e-4)  # the limits bend it a little


def test_equal_by_value_and_one_compilation():
    traces = []

    def f(t, schedule):
        traces.append(1)
        return schedule.alpha(t)

    jitted = jax.jit(f, static_argnames="schedule")
    jitted(0.5, schedule=schedules.cosine(0.1))
    jitted(0.5, schedule=schedules.cosine(0.1, -20.0, 20.0))
    assert len(traces) == 1
    jitted(0.5, schedule=schedules.cosine(0.2))
    assert len(traces) == 2
    assert schedules.cosine(0.1) == schedules.cosine() and hash(schedules.cosine()) is not None
    assert schedules.cosine(0.1) != schedules.cosine(0.1, logsnr_max=15.0)


def test_a_gamma_of_ones_own():
    def gamma(t):
        return jnp.square(jnp.sin(0.5 * jnp.pi * (1 - t)))

    def one_minus_gamma(t):
        return jnp.square(jnp.sin(0.5 * jnp.pi * t))

    own, cosine = schedules.input_scaled(gamma, one_minus_gamma, 0.1), schedules.cosine(0.1)
    t = np.linspace(0, 1, 33, dtype=np.float32)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(own, quantity)(t), getattr(cosine, quantity)(t))

    # One whose ends are not 0 and 1: the limits are still met.
    own = schedules.input_scaled(lambda t: 0.9 - 0.8 * t, lambda t: 0.1 + 0.8 * t, 0.5)
    np.testing.assert_allclose(own.logsnr(np.float32([0, 1])), [20, -20], rtol=1e-5)


def test_integer_times_and_shapes():
    schedule = schedules.cosine()
    assert schedule.gamma(0).shape == ()
    assert schedule.gamma(np.zeros((2, 3), np.float32)).shape == (2, 3)
    np.testing.assert_array_equal(schedule.gamma(1), schedule.gamma(1.0))


@pytest.mark.parametrize(
    "arguments", [(0.0,), (-1.0,), (0.1, 5.0, 5.0), (0.1, -20.0, 40.0), (float("nan"),)]
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(ValueError, match=r"input_scale|logsnr"):
        schedules.cosine(*arguments)
