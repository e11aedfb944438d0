"""The sampler as a value: what it accepts, how it is compared, how a config becomes one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M
from bitdiff_jax.diffusion.sampler import METHODS, SETTINGS, Sampler, from_settings
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from bitdiff_jax.errors import InputError
from tests.diffusion import own_steps
from tests.diffusion.test_sampling import SCHEDULE, gaussian_net, gaussian_setup


def test_samplers_are_equal_by_value():
    assert Sampler() == Sampler(8, 1, Ddpm("large"), True, "x0", "code")
    assert hash(Sampler(method=Ddim(0))) == hash(Sampler(method=Ddim(0.0)))
    others = [
        Sampler(4), Sampler(guidance_weight=None), Sampler(guidance_weight=0.0),
        Sampler(method=Ddpm("small")), Sampler(method=Ddim()), Sampler(method=Ddim(0.5)),
        Sampler(method=Ddim(eps_after_clip=False)), Sampler(clip=False), Sampler(clip=(0, 1)),
        Sampler(method=Dpmpp2M()), Sampler(final="step"),
        Sampler(time_grid="logsnr"), Sampler(decoder="dichotomy"), Sampler(temperature=0.5),
    ]  # fmt: skip
    assert len({Sampler(), *others}) == len(others) + 1


def test_a_weight_of_zero_needs_no_second_half():
    guided = [Sampler(guidance_weight=w).guided for w in (None, 0, 0.0, np.float32(0), 0.5, -1)]
    assert guided == [False] * 4 + [True] * 2
    assert Sampler(guidance_weight=0).without_idle_half() == Sampler(guidance_weight=None)
    assert Sampler(guidance_weight=0.5).without_idle_half() == Sampler(guidance_weight=0.5)


def test_how_often_noise_is_drawn():
    for sampler, draws in (
        (Sampler(5), 4),
        (Sampler(5, final="step"), 5),
        (Sampler(5, method=Ddim()), 0),
        (Sampler(5, method=Ddim(0.1)), 4),
        (Sampler(1), 0),
    ):
        assert sampler.draws == draws


def test_methods_have_the_names_of_the_config():
    for name in METHODS:
        assert from_settings({"method": name}).method_name == name
    own = dataclasses.make_dataclass("Euler", [], bases=(Ddim,), frozen=True)
    assert Sampler(method=own()).method_name == "Euler"


def test_only_what_is_said_is_overridden():
    sampler = Sampler(3, 0.5, Ddim(0.5), (0, 1))
    assert sampler.override(num_steps=None, guidance_weight=None) == sampler
    assert sampler.override(guidance_weight=0) == dataclasses.replace(sampler, guidance_weight=0)
    assert sampler.override(temperature=0) == dataclasses.replace(sampler, temperature=0.0)
    with pytest.raises(InputError, match="num_steps is 0"):
        sampler.override(num_steps=0)


def test_equal_temperatures_are_one_value():
    for same in (1, 1.0, np.float32(1), np.int64(1)):
        sampler = Sampler(temperature=same)
        assert sampler == Sampler() and type(sampler.temperature) is float
    leaves, tree = jax.tree.flatten(Sampler(temperature=0.5))
    assert leaves == [1.0] and jax.tree.unflatten(tree, leaves).temperature == 0.5


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_steps": 0}, "num_steps is 0; use a whole number"),
        ({"num_steps": 2.5}, "num_steps is 2.5"),
        ({"num_steps": True}, "num_steps is True"),
        ({"guidance_weight": float("nan")}, "guidance_weight is nan; give a finite number"),
        ({"guidance_weight": np.float32("inf")}, "guidance_weight is inf"),
        ({"guidance_weight": "1"}, "guidance_weight is '1'"),
        ({"method": "ddpm"}, r"method is 'ddpm'; give a step method such as Ddpm\(\)"),
        ({"method": Ddim}, r"method is the class Ddim; give a value, Ddim\(\)"),
        ({"method": 3}, "method is 3"),
        ({"clip": (1, -1)}, r"clip is \(1, -1\); use True, False, or \(low, high\)"),
        ({"clip": (0.5, 0.5)}, "low < high"),
        ({"clip": (float("nan"), 1)}, "low < high"),
        ({"clip": 1}, "clip is 1"),
        ({"final": "half"}, "final is 'half'; use 'x0' or 'step'"),
        ({"decoder": "best"}, "decoder is 'best'; use 'code' or 'dichotomy'"),
        ({"temperature": -1}, "temperature is -1; give a finite number of 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan; give"),
        ({"temperature": float("inf")}, "temperature is inf; give"),
        ({"temperature": True}, "temperature is True; give"),
        ({"temperature": "a"}, "temperature is 'a'; give"),
        ({"temperature": None}, "temperature is None; give"),
        ({"time_grid": "snr"}, "time_grid is 'snr'; use 'uniform' or 'logsnr'"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(fields, words):
    with pytest.raises(InputError, match=words) as error:
        Sampler(**fields)
    assert "\n" not in str(error.value)


def test_wrong_values_of_step_methods_are_named():
    for make, words in (
        (lambda: Ddpm("medium"), "variance is 'medium'; use 'large' or 'small'"),
        (lambda: Ddim(1.5), "eta is 1.5; use a number from 0 to 1"),
        (lambda: Ddim("x"), "eta is 'x'"),
        (lambda: Ddim(eps_after_clip="no"), "eps_after_clip is 'no'"),
    ):
        with pytest.raises(InputError, match=words):
            make()

    @dataclasses.dataclass  # equal by value and not frozen: not hashable
    class Loose:
        draws_noise: bool = True

        def step(self, x_t, x0, eps, t, s, schedule, noise):
            return x0

    with pytest.raises(InputError, match="not hashable; make it a frozen dataclass"):
        Sampler(method=Loose())


# From a config


def test_the_default_config_is_the_default_sampler():
    config = config_lib.default()
    assert from_settings(config.sampling) == Sampler() == from_settings({})
    # Every key but the one that says which parameters are sampled.
    assert set(config.sampling) - {"weights"} == set(SETTINGS)


def test_each_setting_reaches_the_sampler():
    settings = {
        "num_steps": 20, "guidance_weight": 0.0, "method": "ddim", "eta": 0.5, "clip": [0, 1],
        "variance": "small", "eps_after_clip": False, "final": "step", "decoder": "dichotomy",
        "temperature": 0.3, "time_grid": "logsnr",
    }  # fmt: skip
    want = Sampler(20, 0.0, Ddim(0.5, False), (0.0, 1.0), "step", "dichotomy", 0.3, "logsnr")
    assert from_settings(settings) == want
    assert from_settings(settings | {"method": "ddpm"}).method == Ddpm("small")
    assert from_settings(settings | {"method": "dpmpp_2m"}).method == Dpmpp2M()
    assert from_settings({"num_steps": 3, "weights": "ema"}) == Sampler(3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_steps", 0), ("guidance_weight", float("nan")), ("method", "euler"), ("eta", -1),
        ("clip", "yes"), ("variance", "best"), ("final", "x"), ("decoder", "x"),
        ("temperature", -0.5), ("time_grid", "t"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_key(name, value):
    with pytest.raises(InputError, match=rf"^config\.sampling\.{name} is {value!r}"):
        from_settings({name: value})


# A step method of one's own


def run(method, weight=None):
    x_init, cond, keys = gaussian_setup(8)
    sampler = Sampler(5, weight, method)
    return sampling.sample(gaussian_net, x_init, cond, sampler, schedule=SCHEDULE, keys=keys)


@pytest.mark.slow
def test_an_own_method_is_used_and_compiled_once_for_equal_values():
    traced = []

    @dataclasses.dataclass(frozen=True)
    class Counted(own_steps.Churned):
        def step(self, *arguments):
            traced.append(1)
            return super().step(*arguments)

    for _ in range(3):
        churned = run(Counted(0.5))
    assert len(traced) == 1
    np.testing.assert_allclose(run(own_steps.GENTLE), run(Ddim()), atol=1e-5)
    # All of the noise is fresh: the x_t of a step says nothing beyond its x0.
    x_init, cond, _ = gaussian_setup(8)
    noise = jax.random.normal(jax.random.key(5), (1, *x_init.shape))
    x0, seen = sampling.sample(
        gaussian_net, x_init, cond, Sampler(2, None, own_steps.Churned(1.0)), schedule=SCHEDULE,
        noise=noise, return_trajectory=True,
    )  # fmt: skip
    s = jnp.float32(0.5)
    want = SCHEDULE.alpha(s) * seen.x0[0] + SCHEDULE.sigma(s) * noise[0]
    np.testing.assert_allclose(seen.x_t[1], want, atol=1e-6)
    assert np.abs(churned - run(Ddim())).max() > 0.01 and np.isfinite(x0).all()


def test_an_own_method_by_its_name_in_the_config():
    module = "tests.diffusion.own_steps"
    for name, method in (("Churned", own_steps.Churned()), ("GENTLE", own_steps.GENTLE)):
        assert from_settings({"method": f"{module}:{name}"}).method == method
    key = "config.sampling.method"
    for name, words in (
        ("Nothing", f"^{key}='{module}:Nothing': .* has no Nothing"),
        ("NO_METHOD", f"^{key}='{module}:NO_METHOD': method is 3; give a step method"),
        ("Needy", f"^{key}='{module}:Needy' cannot be made without arguments"),
    ):
        with pytest.raises(InputError, match=words) as error:
            from_settings({"method": f"{module}:{name}"})
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=rf"^{key}='no.such:Thing': there is no module"):
        from_settings({"method": "no.such:Thing"})


def test_schedules_reach_the_method_as_they_are():
    seen = []

    @dataclasses.dataclass(frozen=True)
    class Looking(own_steps.Churned):
        def step(self, x_t, x0, eps, t, s, schedule, noise):
            seen.append((t.dtype, s.dtype, schedule, noise.shape))
            return super().step(x_t, x0, eps, t, s, schedule, noise)

    run(Looking(0.0))
    run(Looking(0.5))
    assert seen == [
        (jnp.float32, jnp.float32, schedules.cosine(0.1), ()),
        (jnp.float32, jnp.float32, schedules.cosine(0.1), (4, 8, 8, 1)),
    ]
