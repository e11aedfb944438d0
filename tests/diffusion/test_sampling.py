import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import guidance, sampling, schedules
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm

SCHEDULE = schedules.cosine(0.1)


@functools.cache
def fake_net(prediction):
    """The network of the reference's trajectories; a zero image stands for no image."""

    def denoise(x_t, t, cond):
        h = 0.5 * x_t + 0.1 * t[:, None, None, None]
        h = h + 0.7 * cond["image"].mean(-1, keepdims=True) * cond["given"][:, None, None, None]
        return jnp.tanh(h) if prediction == "x" else h

    return denoise


def gaussian_net(x_t, t, cond):
    """The exact denoiser of data ~ N(mean, std^2), independent in every pixel."""
    mean, std = cond[..., :1], cond[..., 1:2]
    alpha = SCHEDULE.alpha(t)[:, None, None, None]
    sigma = SCHEDULE.sigma(t)[:, None, None, None]
    gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
    return mean + gain * (x_t - alpha * mean)


def gaussian_setup(side=48):
    cond = jnp.broadcast_to(jnp.float32([0.3, 0.2]), (4, side, side, 2))
    x_init = jax.random.normal(jax.random.key(0), (4, side, side, 1))
    return x_init, cond, jax.random.split(jax.random.key(1), 4)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Ddpm("large"), Ddpm("small"), Ddim()])
def test_a_gaussian_is_sampled_with_its_mean_and_spread(method):
    x_init, cond, keys = gaussian_setup()
    sampler = Sampler(1000, None, method, clip=False)
    x0 = sampling.sample(gaussian_net, x_init, cond, sampler, schedule=SCHEDULE, keys=keys)
    assert float(x0.mean()) == pytest.approx(0.3, abs=0.01)
    assert float(x0.std()) == pytest.approx(0.2, abs=0.03)


@pytest.mark.slow
def test_ddim_with_eta_one_is_ddpm_with_small_variance():
    x_init, cond, _ = gaussian_setup(8)
    noise = jax.random.normal(jax.random.key(2), (9, *x_init.shape))
    ddim, ddpm = (
        sampling.sample(
            gaussian_net, x_init, cond, Sampler(10, None, method), schedule=SCHEDULE, noise=noise
        )
        for method in (Ddim(1.0), Ddpm("small"))
    )
    np.testing.assert_allclose(ddim, ddpm, atol=2e-5)


@pytest.mark.slow
def test_no_guidance_equals_weight_zero_and_minus_one_is_unconditional():
    x_init, cond, keys = gaussian_setup(8)

    def draw(x_init, cond, null_cond=None, guidance_weight=None):
        return sampling.sample(
            gaussian_net, x_init, cond, Sampler(5, guidance_weight), null_cond=null_cond,
            schedule=SCHEDULE, keys=keys,
        )  # fmt: skip

    null = cond * jnp.float32([-1, 1])
    plain = draw(x_init, cond)
    np.testing.assert_allclose(
        draw(x_init, cond, null_cond=null, guidance_weight=0.0), plain, atol=1e-6
    )
    np.testing.assert_allclose(
        draw(x_init, cond, null_cond=null, guidance_weight=-1.0), draw(x_init, null), atol=1e-6
    )
    per_image = draw(x_init, cond, null_cond=null, guidance_weight=jnp.array([0.0, -1, 0, -1]))
    np.testing.assert_allclose(per_image[0], plain[0], atol=1e-6)
    np.testing.assert_allclose(per_image[1], draw(x_init, null)[1], atol=1e-6)


@pytest.mark.slow
def test_missing_null_condition_is_all_zeros():
    x_init, _, keys = gaussian_setup(4)
    cond = {"image": jnp.ones((4, 4, 4, 3)), "given": jnp.ones(4)}
    draw = functools.partial(
        sampling.sample, fake_net("x"), x_init, cond, Sampler(3, 2.0), schedule=SCHEDULE, keys=keys
    )
    zeros = jax.tree.map(jnp.zeros_like, cond)
    np.testing.assert_array_equal(draw(), draw(null_cond=zeros))


@pytest.mark.slow
def test_an_image_does_not_depend_on_its_batch():
    x_init, cond, keys = gaussian_setup(8)
    draw = functools.partial(
        sampling.sample, gaussian_net, sampler=Sampler(6, None), schedule=SCHEDULE
    )
    whole = draw(x_init, cond, keys=keys)
    alone = draw(x_init[2:3], cond[2:3], keys=keys[2:3])
    np.testing.assert_allclose(whole[2], alone[0], atol=1e-6)
    assert not np.allclose(whole[0], whole[1])


def test_a_sweep_over_weights_compiles_once():
    traces = []

    def net(x_t, t, cond):
        traces.append(1)
        return gaussian_net(x_t, t, cond)

    x_init, cond, keys = gaussian_setup(4)
    for weight in (0.0, 1.0, 2.5):
        sampling.sample(
            net, x_init, cond, Sampler(4, weight), schedule=schedules.cosine(0.1), keys=keys,
            pad_value=weight,
        )  # fmt: skip
    assert len(traces) == 1  # the scan holds the network once


@pytest.mark.slow
def test_a_partial_is_known_by_its_function_and_its_arrays_are_arguments():
    traces = []

    def net(scale, x_t, t, cond):
        traces.append(1)
        return scale["by"] * gaussian_net(x_t, t, cond)

    x_init, cond, keys = gaussian_setup(4)
    draw = lambda scale: sampling.sample(  # noqa: E731
        functools.partial(net, {"by": jnp.float32(scale)}), x_init, cond, Sampler(3, None),
        schedule=SCHEDULE, keys=keys,
    )  # fmt: skip
    drawn = [draw(scale) for scale in (1.0, 0.5, 1.0)]
    assert len(traces) == 1
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.allclose(drawn[0], drawn[1])
    direct = sampling.sample(
        gaussian_net, x_init, cond, Sampler(3, None), schedule=SCHEDULE, keys=keys
    )
    np.testing.assert_allclose(drawn[0], direct, atol=1e-6)


@pytest.mark.slow
def test_padding_and_clipping_hold_at_every_step():
    x_init, cond, keys = gaussian_setup(6)
    valid = jnp.ones((4, 6, 6), bool).at[:, 4:].set(False)
    x0, trajectory = sampling.sample(
        gaussian_net, x_init * 50, cond * 9, Sampler(4, None), schedule=SCHEDULE, keys=keys,
        valid_mask=valid, pad_value=0.25, return_trajectory=True,
    )  # fmt: skip
    assert (np.asarray(trajectory.x0)[:, :, 4:] == 0.25).all() and (
        np.asarray(x0)[:, 4:] == 0.25
    ).all()
    assert np.abs(trajectory.x0).max() <= 1
    np.testing.assert_allclose(trajectory.x0[-1], x0, atol=1e-6)


def test_inside_an_outer_jit_with_traced_parameters():
    x_init, cond, keys = gaussian_setup(4)
    sampler = Sampler(3, None)

    @jax.jit
    def draw(scale):
        net = lambda x_t, t, c: scale * gaussian_net(x_t, t, c)  # noqa: E731
        return sampling.sample(net, x_init, cond, sampler, schedule=SCHEDULE, keys=keys)

    direct = sampling.sample(gaussian_net, x_init, cond, sampler, schedule=SCHEDULE, keys=keys)
    np.testing.assert_allclose(draw(jnp.float32(1)), direct, atol=1e-6)
    assert not np.allclose(draw(jnp.float32(0.5)), direct)


@pytest.mark.slow
def test_gradients_flow_through_the_sampler():
    x_init, cond, keys = gaussian_setup(4)
    draw = lambda c: sampling.sample(  # noqa: E731
        gaussian_net, x_init, c, Sampler(4, 1.0), schedule=SCHEDULE, keys=keys
    ).sum()
    assert np.isfinite(jax.grad(draw)(cond)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction": "score"}, "prediction"),
        ({"keys": None}, "keys"),
        ({"keys": jax.random.split(jax.random.key(0), 3)}, "one PRNG key per image"),
        ({"keys": jnp.arange(4)}, "a PRNG key is int32"),
        ({"keys": None, "noise": jnp.zeros((1, 4, 4, 4, 1))}, "noise must have shape"),
        ({"noise": jnp.zeros((9, 4, 4, 4, 1))}, "not both"),
    ],
)
def test_misuse_is_named(change, message):
    x_init, cond, keys = gaussian_setup(4)
    arguments = {"schedule": SCHEDULE, "keys": keys} | change
    with pytest.raises(ValueError, match=message):
        sampling.sample(gaussian_net, x_init, cond, Sampler(4, None), **arguments)


def test_interleaving_is_undone():
    a, b = jnp.arange(6.0).reshape(3, 2), -jnp.arange(6.0).reshape(3, 2)
    both = guidance.interleave(a, b)
    np.testing.assert_array_equal(both[:2], [[0, 1], [0, -1]])
    for got, want in zip(guidance.split(both), (a, b), strict=True):
        np.testing.assert_array_equal(got, want)
