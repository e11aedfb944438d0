import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.diffusion import schedules
from tests.diffusion import closed_forms
from tests.diffusion.closed_forms import SCALES

QUANTITIES = ("gamma", "one_minus_gamma", "alpha", "sigma", "logsnr", "dlogsnr_dt")
TIMES = np.concatenate(
    [
        np.linspace(0, 1, 257, dtype=np.float32),
        np.float32([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1 - 1e-3, 1 - 1e-4, 1 - 1e-5, 1 - 2**-24]),
    ]
)


def golden_tolerances(name, t, b):
    """Absolute tolerance of each quantity: 1e-9 relative, and what float64 costs the reference."""
    exact = closed_forms.schedule(name, t, b)
    rounding = closed_forms.reference_rounding(name, t, b)
    signal, noise = rounding / exact["gamma"], rounding / exact["one_minus_gamma"]
    slope = np.abs(exact["dlogsnr_dt"])
    extra = {
        "gamma": rounding,
        "alpha": signal * exact["alpha"],
        "sigma": noise * exact["sigma"],
        "logsnr": signal + noise,
        # The second summand: autograd of an expanded polynomial rounds to a slope above zero.
        "dlogsnr_dt": slope * (signal + noise)
        + rounding / (exact["gamma"] * exact["one_minus_gamma"]),
    }
    return {key: 1e-9 * np.abs(exact[key]) + value for key, value in extra.items()}


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("times", ["t", "t_extra"])
def test_schedules_match_the_reference(golden, name, scale, times):
    vectors = golden("schedule")
    t, b = vectors[times], SCALES[scale]
    assert b in vectors["b"]
    tolerances = golden_tolerances(name, t, b)
    assert tolerances["logsnr"].min() < 2e-8
    with jax.enable_x64(True):
        schedule = schedules.make(name, b)
        for quantity, tolerance in tolerances.items():
            got = np.asarray(getattr(schedule, quantity)(t))
            want = vectors[f"{name}/{scale}/{times}/{quantity}"]
            assert (np.abs(got - want) <= tolerance).all(), quantity


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


def test_float32_times_match_the_reference(golden):
    vectors = golden("schedule")
    t, schedule = vectors["t_float32"], schedules.cosine(0.1)
    assert t.dtype == np.float32
    want = {q: vectors[f"cosine/b0p1/t_float32/{q}"] for q in ("gamma", "dlogsnr_dt")}
    # At t = 1 the reference's slope is -6e-8, the float64 rounding of sin(pi) times 1e9.
    for quantity, atol in (("gamma", 0), ("dlogsnr_dt", 1e-6)):
        np.testing.assert_allclose(
            getattr(schedule, quantity)(t), want[quantity], rtol=2e-6, atol=atol
        )
    with jax.enable_x64(True):
        np.testing.assert_allclose(schedule.gamma(t.astype(float)), want["gamma"], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("limits", [(-20.0, 20.0), (-10.0, 10.0), (-3.0, 36.0), (-80.0, 2.0)])
@pytest.mark.parametrize("b", [1.0, 0.1, 0.03])
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_float32_is_right_to_two_millionths(name, b, limits):
    schedule = schedules.make(name, b, *limits)
    # At 36 the oracle itself is short of digits in its first millionths.
    t = TIMES[(TIMES == 0) | (TIMES > 1e-5)] if limits[1] > 30 else TIMES
    want = closed_forms.schedule(name, t, b, *limits)
    for quantity in QUANTITIES:
        got = np.asarray(getattr(schedule, quantity)(t))
        assert got.dtype == np.float32 and np.isfinite(got).all()
        atol = 2e-6 if quantity == "logsnr" else 0  # it crosses zero
        np.testing.assert_allclose(got, want[quantity].astype(np.float64), rtol=2e-6, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [jax.jit, jax.vmap], ids=["jit", "vmap"])
def test_float32_under_transformations(wrap):
    for name in schedules.SCHEDULES:
        schedule, want = schedules.make(name), closed_forms.schedule(name, TIMES, 0.1)
        for quantity in ("gamma", "one_minus_gamma", "dlogsnr_dt"):
            got = wrap(getattr(schedule, quantity))(TIMES)
            np.testing.assert_allclose(got, want[quantity].astype(np.float64), rtol=2e-6)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(list(schedules.SCHEDULES)),
    b=st.floats(0.01, 4),
    logsnr_min=st.floats(-30, -1),
    logsnr_max=st.floats(1, 20),
    t=st.floats(0, 1, width=32),
)
def test_any_scale_and_limits(name, b, logsnr_min, logsnr_max, t):
    schedule = schedules.make(name, b, logsnr_min, logsnr_max)
    want = closed_forms.schedule(name, t, b, logsnr_min, logsnr_max)
    for quantity in QUANTITIES:
        got = float(getattr(schedule, quantity)(np.float32(t)))
        floor = 2e-6 if quantity == "logsnr" else 1e-30
        assert got == pytest.approx(float(want[quantity]), rel=3e-6, abs=floor)


@pytest.mark.slow
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_ends_in_float32(name):
    schedule = schedules.make(name)
    t = np.float32([0.0, 1e-4, 1.0])
    assert np.isfinite(np.stack([getattr(schedule, q)(t) for q in QUANTITIES])).all()
    np.testing.assert_allclose(schedule.logsnr(t)[np.array([0, 2])], [20, -20], rtol=1e-6)
    assert float(schedule.sigma(0.0)) == pytest.approx(4.54e-5, rel=1e-3)
    slopes = {"linear": (0, -4.449e3), "linear_simple": (-4.852e10, -4.852e6)}.get(name, (0, 0))
    np.testing.assert_allclose(schedule.dlogsnr_dt(np.float32([0, 1])), slopes, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "eighth", "half"),
    [
        ("cosine", -1.375, -4.605), ("linear", -2.818, -7.010), ("linear_simple", -2.659, -4.605),
        ("parabola", -1.163, -4.354),
    ],
)  # fmt: skip
def test_numbers_of_the_docstrings(name, eighth, half):
    logsnr = schedules.make(name).logsnr(np.float32([0.125, 0.5]))
    np.testing.assert_allclose(logsnr, [eighth, half], atol=1e-3)
    assert f"logsnr(.125) = {eighth:.3f} and" in schedules.SCHEDULES[name].__doc__
    assert f"logsnr(.5) = {half:.3f}." in schedules.SCHEDULES[name].__doc__


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
    jitted(0.5, schedule=schedules.make("cosine", 0.1, -20.0, 20.0))
    assert len(traces) == 1
    jitted(0.5, schedule=schedules.cosine(0.2))
    assert len(traces) == 2
    assert schedules.cosine(0.1) == schedules.cosine() and hash(schedules.cosine()) is not None
    assert schedules.cosine(0.1) != schedules.cosine(0.1, logsnr_max=15.0)
    assert len({schedules.make(name) for name in schedules.SCHEDULES}) == 4


def own_gamma(t):
    return 0.9 - 0.8 * t


def own_one_minus_gamma(t):
    return 0.1 + 0.8 * t


def test_a_gamma_of_ones_own():
    def gamma(t):
        return jnp.square(jnp.sin(0.5 * jnp.pi * (1 - t)))

    def one_minus_gamma(t):
        return jnp.square(jnp.sin(0.5 * jnp.pi * t))

    own, cosine = schedules.input_scaled(gamma, one_minus_gamma, 0.1), schedules.cosine(0.1)
    t = np.linspace(0, 1, 33, dtype=np.float32)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(own, quantity)(t), getattr(cosine, quantity)(t))


@pytest.mark.slow
def test_a_gamma_that_does_not_reach_its_ends():
    own = schedules.input_scaled(own_gamma, own_one_minus_gamma, 0.5)
    assert own == schedules.input_scaled(own_gamma, own_one_minus_gamma, 0.5)
    np.testing.assert_allclose(own.logsnr(np.float32([0, 1])), [20, -20], rtol=1e-5)
    # The map to the limits of the scaled gamma, as the reference implementation writes it.
    t = np.linspace(0, 1, 9)
    scaled = closed_forms.scaled(own_gamma(t), 0.5)
    top, bottom = (1 / (1 + np.exp(-x)) for x in (20.0, -20.0))
    want = bottom + (top - bottom) * (scaled - scaled[-1]) / (scaled[0] - scaled[-1])
    np.testing.assert_allclose(own.gamma(t.astype(np.float32)), want, rtol=2e-6, atol=1e-7)
    with jax.enable_x64(True):
        np.testing.assert_allclose(own.gamma(t), want, rtol=1e-12)
        differences = (own.logsnr(t + 1e-6) - own.logsnr(t - 1e-6)) / 2e-6
        np.testing.assert_allclose(own.dlogsnr_dt(t)[1:-1], differences[1:-1], rtol=1e-6)
    with pytest.raises(ValueError, match="must fall"):
        schedules.input_scaled(own_one_minus_gamma, own_gamma, 0.5)


def test_integer_times_and_shapes():
    schedule = schedules.cosine()
    assert schedule.gamma(0).shape == ()
    assert schedule.gamma(np.zeros((2, 3), np.float32)).shape == (2, 3)
    np.testing.assert_array_equal(schedule.gamma(1), schedule.gamma(1.0))


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize(
    "arguments",
    [
        (0.0,), (-1.0,), (1e-60,), (float("nan"),), (float("inf"),), (0.1, 5.0, 5.0),
        (0.1, -20.0, 40.0), (0.1, -100.0, 20.0), (0.1, float("nan"), 20.0),
    ],
)  # fmt: skip
def test_nonsense_is_refused(name, arguments):
    with pytest.raises(ValueError, match=r"input_scale|logsnr"):
        schedules.make(name, *arguments)


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(ValueError, match=r"one of cosine, linear, linear_simple, parabola.*'sine'"):
        schedules.make("sine")
