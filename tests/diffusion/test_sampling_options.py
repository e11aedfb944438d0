"""The options of the sampler that change what a step sees or what the last one returns."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import parameterization, sampling, schedules
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm

SCHEDULE = schedules.cosine(0.1)


def setup(batch_size=3, side=4, channels=2):
    x_init = jax.random.normal(jax.random.key(0), (batch_size, side, side, channels))
    cond = jax.random.normal(jax.random.key(1), x_init.shape)
    return x_init, cond, jax.random.split(jax.random.key(2), batch_size)


def plain_net(x_t, t, cond):
    return jnp.tanh(0.5 * x_t + 0.1 * t[:, None, None, None] + 0.7 * cond)


def blind_net(x_t, t, cond, previous):
    assert previous.shape == x_t.shape
    return plain_net(x_t, t, cond)


def seeing_net(x_t, t, cond, previous):
    return 1.5 * jnp.tanh(plain_net(x_t, t, cond) + 0.8 * previous)


_FIELDS = {field.name for field in dataclasses.fields(Sampler)}


def draw(net, x_init, cond, *, guidance_weight=None, **options):
    """Five steps; the fields of `Sampler` among the options go there."""
    fields = {name: options.pop(name) for name in _FIELDS & set(options)}
    sampler = Sampler(5, guidance_weight, **fields)
    return sampling.sample(net, x_init, cond, sampler, schedule=SCHEDULE, **options)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [None, 1.5])
def test_a_net_that_ignores_its_guess_samples_as_without(weight):
    x_init, cond, keys = setup()
    options = {"keys": keys, "guidance_weight": weight}
    np.testing.assert_array_equal(
        draw(blind_net, x_init, cond, self_condition=True, **options),
        draw(plain_net, x_init, cond, **options),
    )


@pytest.mark.slow
@pytest.mark.parametrize("weight", [None, 1.5])
def test_self_conditioning_step_by_step(weight):
    """The same loop in plain Python, its two halves as two calls."""
    x_init, cond, _ = setup()
    noise = jax.random.normal(jax.random.key(5), (4, *x_init.shape))
    valid = jnp.ones(x_init.shape[:3], bool).at[:, 3:].set(False)
    got, trajectory = draw(
        seeing_net, x_init, cond, guidance_weight=weight, noise=noise, valid_mask=valid,
        pad_value=0.25, self_condition=True, return_trajectory=True,
    )  # fmt: skip
    x_t, previous, zeros = x_init, jnp.zeros_like(x_init), jnp.zeros_like(x_init)
    for i in range(4, -1, -1):
        t, s = jnp.float32((i + 1) / 5), jnp.float32(i / 5)
        times = jnp.full((3,), t)
        x0 = seeing_net(x_t, times, cond, previous)
        if weight is not None:
            x0 = (1 + weight) * x0 - weight * seeing_net(x_t, times, zeros, zeros)
        x0 = jnp.where(valid[..., None], jnp.clip(x0, -1, 1), 0.25)
        np.testing.assert_allclose(trajectory.x_t[4 - i], x_t, atol=2e-5)
        np.testing.assert_allclose(trajectory.x0[4 - i], x0, atol=2e-5)
        previous = x0
        x_t = Ddpm().step(x_t, x0, zeros, t, s, SCHEDULE, noise[4 - i]) if i else x0
    np.testing.assert_allclose(got, x_t, atol=2e-5)
    forgetful = draw(
        lambda *inputs: seeing_net(*inputs[:3], jnp.zeros_like(inputs[0])), x_init, cond,
        guidance_weight=weight, noise=noise, valid_mask=valid, pad_value=0.25,
    )  # fmt: skip
    assert np.abs(forgetful - got).max() > 0.1  # what it sees matters


@pytest.mark.slow
def test_clip_takes_a_range():
    x_init, cond, keys = setup()
    wild = lambda x_t, t, cond: 5 * plain_net(x_t, t, cond)  # noqa: E731
    sample = functools.partial(draw, wild, x_init, cond, keys=keys)
    np.testing.assert_array_equal(sample(clip=True), sample(clip=(-1, 1)))
    narrow = np.asarray(sample(clip=(-0.1, 2.5)))
    assert narrow.min() == np.float32(-0.1) and narrow.max() == 2.5
    assert np.abs(sample(clip=False)).max() > 2.5
    _, trajectory = sample(clip=(0, 1), return_trajectory=True)
    assert np.asarray(trajectory.x0).min() == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", [Ddpm("small"), Ddim(), Ddim(0.7)])
def test_the_final_step_down_to_zero(method):
    x_init, cond, _ = setup()
    noise = jax.random.normal(jax.random.key(5), (5, *x_init.shape))
    sample = functools.partial(
        draw, plain_net, x_init, cond, method=method, noise=noise, return_trajectory=True
    )
    x0, trajectory = sample()
    stepped, same = sample(final="step")
    for a, b in zip(trajectory, same, strict=True):
        np.testing.assert_array_equal(a, b)
    x_t, t, s = trajectory.x_t[-1], jnp.float32(0.2), jnp.float32(0.0)
    eps = parameterization.eps_from_x0(x0, x_t, SCHEDULE.alpha(t), SCHEDULE.sigma(t))
    want = method.step(x_t, x0, eps, t, s, SCHEDULE, noise[-1])
    np.testing.assert_allclose(stepped, want, atol=1e-6)
    difference = np.abs(stepped - x0).max()
    assert 0 < difference < 1e-3  # sigma(0) is 4.5e-5


def test_the_final_step_needs_its_noise():
    x_init, cond, keys = setup()
    sample = functools.partial(draw, plain_net, x_init, cond, final="step")
    with pytest.raises(ValueError, match=r"noise must have shape \[>= 5"):
        sample(noise=jnp.zeros((4, *x_init.shape)))
    with pytest.raises(ValueError, match="draws noise"):
        sample()
    # As the docstring says: 'large' leaves noise of sigma(1 / N) in the end.
    noisy = sample(keys=keys) - draw(plain_net, x_init, cond, keys=keys)
    assert float(jnp.std(noisy)) == pytest.approx(float(SCHEDULE.sigma(0.2)), rel=0.2)


@pytest.mark.parametrize("method", [Ddpm(), Ddim(), Ddim(0.7)])
def test_a_temperature_scales_all_noise(method):
    x_init, cond, keys = setup()
    noise = jax.random.normal(jax.random.key(5), (4, *x_init.shape))
    sample = functools.partial(draw, plain_net, cond=cond, method=method)
    cooler = sample(x_init=x_init, noise=noise, temperature=0.3)
    want = sample(x_init=0.3 * x_init, noise=0.3 * noise)
    np.testing.assert_allclose(cooler, want, atol=1e-6)
    assert np.abs(cooler - sample(x_init=x_init, noise=noise)).max() > 0.05
    if not method.draws_noise:
        return

    def of_key(key, i):
        return jax.random.normal(jax.random.fold_in(key, i), x_init.shape[1:])

    # What is drawn from keys is scaled alike; steps are counted down.
    own = [jnp.stack([of_key(key, i) for key in keys]) for i in (4, 3, 2, 1)]
    np.testing.assert_allclose(
        sample(x_init=x_init, keys=keys, temperature=0.3),
        sample(x_init=0.3 * x_init, noise=0.3 * jnp.stack(own)),
        atol=1e-6,
    )


@pytest.mark.parametrize("method", [Ddpm(), Ddim()])
def test_temperature_0_draws_one_map_whatever_the_keys(method):
    x_init, cond, keys = setup()
    sample = functools.partial(draw, plain_net, cond=cond, method=method)
    others = {"x_init": x_init[::-1], "keys": keys[::-1]}
    still = sample(x_init=x_init, keys=keys, temperature=0)
    np.testing.assert_array_equal(sample(**others, temperature=0), still)
    assert np.abs(sample(**others) - sample(x_init=x_init, keys=keys)).max() > 0.05


def test_temperature_1_leaves_the_program_as_it_was():
    x_init, cond, keys = setup()

    def products(**fields):
        sample = functools.partial(draw, plain_net, **fields)
        return str(jax.make_jaxpr(sample)(x_init, cond, keys=keys)).count(" mul ")

    # Another temperature costs a product each for the initial noise and that of a step.
    assert products() == products(temperature=1) == products(temperature=0.5) - 2


def test_ddim_with_eta_one_is_ddpm_with_small_variance():
    """In mean and in spread, over one step from t to s, for any x_t and x0."""
    rng = np.random.default_rng(7)
    with jax.enable_x64(True):
        for schedule in (SCHEDULE, schedules.linear(0.5), schedules.linear_simple()):
            for t, s in ((1.0, 0.8), (0.5, 0.49), (0.3, 0.001), (0.125, 0.0)):
                x_t, x0, z = (jnp.asarray(a) for a in rng.normal(size=(3, 6)))
                eps = parameterization.eps_from_x0(x0, x_t, schedule.alpha(t), schedule.sigma(t))
                t, s = jnp.float64(t), jnp.float64(s)
                ddim, ddpm = (
                    method.step(x_t, x0, eps, t, s, schedule, z)
                    for method in (Ddim(1.0), Ddpm("small"))
                )
                np.testing.assert_allclose(ddim, ddpm, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Ddpm(), Ddim(eps_after_clip=False)])
@pytest.mark.parametrize("weight", [None, 2.0])
def test_all_predictions_of_one_net_sample_alike(method, weight):
    """One guess of x0, said in six ways."""
    x_init, cond, keys = setup()

    def net(prediction, x_t, t, cond):
        alpha = parameterization.expand(SCHEDULE.alpha(t), x_t)
        sigma = parameterization.expand(SCHEDULE.sigma(t), x_t)
        x0 = plain_net(x_t, t, cond)
        eps = parameterization.eps_from_x0(x0, x_t, alpha, sigma)
        return {
            "x": x0,
            "eps": eps,
            "v": parameterization.v_from_x0_eps(x0, eps, alpha, sigma),
            "both": jnp.concatenate([eps, x0 * (1 - sigma) / alpha], axis=-1),
            "p": (x0 + 1) / 2,
            "p_logits": 2 * jnp.arctanh(x0),
        }[prediction]

    with jax.enable_x64(True):
        arrays = [x.astype(jnp.float64) for x in (x_init, cond)]
        samples = {
            prediction: draw(
                functools.partial(net, prediction), *arrays, prediction=prediction, method=method,
                guidance_weight=weight, keys=keys,
            )
            for prediction in ("x", "eps", "v", "both", "p", "p_logits")
        }  # fmt: skip
    for prediction, got in samples.items():
        np.testing.assert_allclose(got, samples["x"], atol=1e-6, err_msg=prediction)
        assert got.shape == x_init.shape
    assert np.abs(samples["x"]).max() <= 1


def test_ddim_as_released_takes_eps_from_the_half_that_says_it():
    x_init, cond, _ = setup()
    eps_half = 0.3 * x_init

    def net(x_t, t, cond):
        return jnp.concatenate([jnp.broadcast_to(eps_half, x_t.shape), plain_net(x_t, t, cond)], -1)

    _, trajectory = draw(
        net, x_init, cond, prediction="both", method=Ddim(eps_after_clip=False),
        return_trajectory=True,
    )  # fmt: skip
    s = jnp.float32(0.8)
    want = SCHEDULE.alpha(s) * trajectory.x0[0] + SCHEDULE.sigma(s) * eps_half
    np.testing.assert_allclose(trajectory.x_t[1], want, atol=1e-6)
