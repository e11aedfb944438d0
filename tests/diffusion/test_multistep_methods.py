"""Step methods with memory: DPM-Solver++(2M), and how the sampler carries a state."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M, MultistepMethod
from bitdiff_jax.diffusion.sampler import Sampler, from_settings
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm, StepMethod

SCHEDULE = schedules.cosine(0.1)
MEAN, STD = 0.3, 0.2


def follow(method, num_steps, start=0.9, end=0.1):
    """x at time `end` of the exact denoiser of N(.3, .2^2), from x = 1.1 at `start`."""
    x_t = jnp.full((1, 1, 1, 1), 1.1)
    state = method.init_state(x_t) if isinstance(method, MultistepMethod) else None
    times = jnp.linspace(start, end, num_steps + 1)
    for t, s in itertools.pairwise(times):
        alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        x0 = MEAN + gain * (x_t - alpha * MEAN)
        inputs = x_t, x0, jnp.nan, t, s, SCHEDULE, jnp.zeros(())
        if state is None:
            x_t = method.step(*inputs)
        else:
            x_t, state = method.step(*inputs, state)
    return float(x_t[0, 0, 0, 0])


def solution(start=0.9, end=0.1):
    """The same in closed form: x keeps its distance to the mean in standard deviations."""
    (alpha, sigma), (alpha_s, sigma_s) = (
        (float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))) for t in (start, end)
    )
    spread, spread_s = np.hypot(alpha * STD, sigma), np.hypot(alpha_s * STD, sigma_s)
    return alpha_s * MEAN + spread_s / spread * (1.1 - alpha * MEAN)


@pytest.mark.parametrize(("method", "order"), [(Ddim(), 1), (Dpmpp2M(), 2)])
def test_the_error_falls_with_the_order_of_the_method(method, order):
    with jax.enable_x64(True):
        errors = np.array([abs(follow(method, n) - solution()) for n in (20, 40, 80, 160)])
    orders = np.log2(errors[:-1] / errors[1:])
    np.testing.assert_allclose(orders, order, atol=0.25)
    np.testing.assert_allclose(orders[-1], order, atol=0.1)


def test_one_step_of_the_second_order_is_ddim_and_twenty_are_nearer():
    with jax.enable_x64(True):
        assert follow(Dpmpp2M(), 1) == pytest.approx(follow(Ddim(), 1), abs=1e-12)
        second, first = (abs(follow(m, 20) - solution()) for m in (Dpmpp2M(), Ddim()))
    assert second < first / 4


# Within the sampler


def net(x_t, t, cond):
    return 1.4 * jnp.tanh(1.5 * x_t + 0.1 * t[:, None, None, None] + 0.7 * cond)


def written_out(x_init, cond, num_steps, weight, valid, pad_value, final):
    """Algorithm 2 of arXiv 2211.01095 in float64, with x0 guided, clipped and padded."""
    lambdas = {i: float(SCHEDULE.logsnr(i / num_steps)) / 2 for i in range(num_steps + 1)}
    x_t, earlier = np.asarray(x_init, np.float64), None
    for i in range(num_steps, 0, -1):
        alpha_s = float(SCHEDULE.alpha((i - 1) / num_steps))
        sigma, sigma_s = (float(SCHEDULE.sigma((i - k) / num_steps)) for k in (0, 1))
        times = jnp.full(len(x_t), i / num_steps)
        x0 = np.asarray(net(jnp.float32(x_t), times, cond), np.float64)
        if weight is not None:
            empty = np.asarray(net(jnp.float32(x_t), times, 0 * cond), np.float64)
            x0 = (1 + weight) * x0 - weight * empty
        x0 = np.where(valid[..., None], np.clip(x0, -1, 1), pad_value)
        h, direction = lambdas[i - 1] - lambdas[i], x0
        if earlier is not None and i > 1:
            r = (lambdas[i] - lambdas[i + 1]) / h
            direction = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * earlier
        if i == 1 and final == "x0":
            return x0
        x_t = sigma_s / sigma * x_t - alpha_s * np.expm1(-h) * direction
        earlier = x0
    return x_t


@pytest.mark.parametrize("final", ["x0", "step"])
@pytest.mark.parametrize("weight", [None, 1.5])
def test_the_sampler_takes_the_steps_of_the_paper(weight, final):
    x_init = jax.random.normal(jax.random.key(0), (3, 4, 4, 2))
    cond = jax.random.normal(jax.random.key(1), x_init.shape)
    valid = np.ones((3, 4, 4), bool)
    valid[:, 3:] = False
    got, trajectory = sampling.sample(
        net, x_init, cond, Sampler(6, weight, Dpmpp2M(), final=final), schedule=SCHEDULE,
        valid_mask=jnp.asarray(valid), pad_value=0.25, return_trajectory=True,
    )  # fmt: skip
    want = written_out(x_init, cond, 6, weight, valid, 0.25, final)
    np.testing.assert_allclose(got, want, atol=3e-5)
    assert np.abs(trajectory.x0).max() == 1  # the clip was at work
    assert (np.asarray(trajectory.x0)[:, ~valid] == 0.25).all()
    # Padding that is known at each step is known in the end, whatever was extrapolated.
    np.testing.assert_allclose(got[~valid], 0.25, atol=1e-3)
    ddim = sampling.sample(net, x_init, cond, Sampler(6, weight, Ddim()), schedule=SCHEDULE)
    assert np.abs(got - ddim)[valid].max() > 0.01


def test_the_second_order_draws_no_noise_and_keeps_the_dtype():
    x_init = jax.random.normal(jax.random.key(0), (2, 4, 4, 2), jnp.bfloat16)
    sampler = Sampler(3, None, Dpmpp2M(), temperature=0.5)
    assert sampler.draws == 0
    got = sampling.sample(net, x_init, x_init, sampler, schedule=SCHEDULE)
    assert got.dtype == jnp.bfloat16 and np.isfinite(np.asarray(got, np.float32)).all()


def test_guidance_weights_by_image_and_self_conditioning_go_with_a_state():
    x_init = jax.random.normal(jax.random.key(0), (2, 4, 4, 2))
    weights = jnp.array([0.0, 1.5])
    draw = lambda w, **options: sampling.sample(  # noqa: E731
        lambda x_t, t, cond, previous: net(x_t + 0.3 * previous, t, cond), x_init, x_init,
        Sampler(4, w, Dpmpp2M()), schedule=SCHEDULE, self_condition=True,
    )  # fmt: skip
    both = draw(weights)
    for k, weight in enumerate((0.0, 1.5)):
        np.testing.assert_allclose(both[k], draw(weight)[k], atol=1e-6)


# A method with memory of one's own


@dataclasses.dataclass(frozen=True)
class Momentum:
    """DDIM that moves on by a share of the change before; the state is a dict of arrays."""

    share: float = 0.2
    draws_noise = True

    def init_state(self, x_init):
        return {"change": jnp.zeros_like(x_init), "steps": jnp.zeros((), jnp.int32)}

    def step(self, x_t, x0, eps, t, s, schedule, noise, state):
        x_s = Ddim().step(x_t, x0, eps, t, s, schedule, noise)
        change = x_s - x_t + 0.01 * state["steps"] * noise
        x_s = x_t + change + self.share * state["change"]
        return x_s, {"change": change, "steps": state["steps"] + 1}


MOMENTUM = Momentum(0.1)


def test_an_own_state_is_carried_from_step_to_step():
    x_init = jax.random.normal(jax.random.key(0), (2, 4, 4, 2))
    noise = jax.random.normal(jax.random.key(1), (3, *x_init.shape))
    got = sampling.sample(
        net, x_init, x_init, Sampler(4, None, Momentum(), False), schedule=SCHEDULE, noise=noise
    )
    method, x_t = Momentum(), x_init
    state = method.init_state(x_init)
    for i in (4, 3, 2, 1):
        t, s = jnp.float32(i / 4), jnp.float32((i - 1) / 4)
        x0 = net(x_t, jnp.full(2, t), x_init)
        if i > 1:
            x_t, state = method.step(x_t, x0, None, t, s, SCHEDULE, noise[4 - i], state)
    np.testing.assert_allclose(got, x0, atol=1e-5)
    gone = dataclasses.replace(method, share=0.0)
    assert gone != method and gone == Momentum(0.0)


def test_methods_with_and_without_memory_are_told_apart():
    for method, has_memory in ((Dpmpp2M(), True), (Momentum(), True), (Ddpm(), False)):
        assert isinstance(method, StepMethod)
        assert isinstance(method, MultistepMethod) == has_memory


def test_methods_with_memory_by_their_name_in_the_config():
    assert from_settings({"method": "dpmpp_2m"}) == Sampler(method=Dpmpp2M())
    reference = f"{__name__}:MOMENTUM"
    assert from_settings({"method": reference}) == Sampler(method=MOMENTUM)
