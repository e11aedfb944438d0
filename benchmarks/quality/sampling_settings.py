"""One switch each of how a map is drawn, over any denoiser: what `sampling_steps.py` compares.

The switches that are no options of `Sampler` are laid around the denoiser and the schedule. A time
grid is another schedule: with t = g(u), the library's uniform grid in u is the grid g in t.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.diffusion import guidance
from bitdiff_jax.diffusion.parameterization import eps_from_x0, expand
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.schedules import Schedule

Grid = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Setting:
    """Changes of `Sampler`'s fields, and the switches that it does not have.

    Attributes:
        name: what the tables call it.
        fields: of `Sampler`, but for `num_steps`.
        grid: time t as a function of u in [0, 1], where steps are uniform; None for t = u.
        shift: what is added to the logsnr that the denoiser is told (time shift, arXiv 2305.15583).
        interval: logsnr (low, high) between which guidance is in force (arXiv 2404.07724).
        guess: whether a self-conditioned network is shown its guess of the step before.
    """

    name: str
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    grid: Grid | None = None
    shift: float = 0.0
    interval: tuple[float, float] | None = None
    guess: bool = True

    def applied(
        self, denoise_fn: Callable[..., jax.Array], schedule: Schedule, num_steps: int
    ) -> tuple[Callable[..., jax.Array], Schedule, Sampler]:
        """Denoiser, schedule and sampler; with `interval` the condition is a pair (cond, null)."""
        fields, grid = dict(self.fields), self.grid or (lambda u: u)
        weight = fields.pop("guidance_weight", None) if self.interval else None

        def asked(x_t: jax.Array, u: jax.Array, cond: Any, *previous: jax.Array) -> jax.Array:
            t = grid(u)
            if not self.guess:
                previous = tuple(jnp.zeros_like(x) for x in previous)
            told = inverse_logsnr(schedule, schedule.logsnr(t) + self.shift) if self.shift else t
            if self.interval is None:
                return denoise_fn(x_t, told, cond, *previous)
            both = guidance.interleave(x_t, x_t), jnp.repeat(told, 2), guidance.interleave(*cond)
            own = [guidance.interleave(x, jnp.zeros_like(x)) for x in previous]
            logsnr = schedule.logsnr(t)
            inside = (logsnr >= self.interval[0]) & (logsnr <= self.interval[1])
            here = expand(jnp.where(inside, weight, 0.0), x_t)
            return guidance.combine(*guidance.split(denoise_fn(*both, *own)), here)

        return asked, on_grid(schedule, self.grid), Sampler(num_steps, **{**PLAIN, **fields})


PLAIN: dict[str, Any] = {"guidance_weight": None}


def on_grid(schedule: Schedule, grid: Grid | None) -> Schedule:
    """The schedule as a function of u, where t = grid(u)."""
    if grid is None:
        return schedule
    fall, rise = schedule.fall, schedule.rise
    return dataclasses.replace(schedule, fall=lambda u: fall(grid(u)), rise=lambda u: rise(grid(u)))


def inverse_logsnr(schedule: Schedule, logsnr: jax.Array) -> jax.Array:
    """t of a logsnr, by interpolation between 4,001 times that are dense at both ends."""
    t = np.sin(0.5 * np.pi * np.linspace(0, 1, 4001)) ** 4
    with jax.ensure_compile_time_eval():
        table = np.asarray(schedule.logsnr(t.astype(np.float32)))
    return jnp.interp(-logsnr, -table, t.astype(np.float32))


def uniform_in_t(low: float, high: float) -> Grid:
    """Uniform in t between two times."""
    return lambda u: low + (high - low) * u


def uniform_in_information(schedule: Schedule, t: np.ndarray, error: np.ndarray) -> Grid:
    """Uniform in what x_t tells of x0: d information / d logsnr = SNR (squared error of x0) / 2.

    Args:
        schedule: the noise schedule.
        t: increasing times at which the error is known.
        error: mean squared error of x0 there, or what the denoiser expects of it, 1 - x0^2.
    """
    logsnr = np.asarray(schedule.logsnr(t.astype(np.float32)), np.float64)
    rate = error * np.exp(logsnr)
    middle = (rate[1:] + rate[:-1]) / 2
    share = np.append(0, np.cumsum(middle * -np.diff(logsnr)))
    share, times = jnp.float32(share / share[-1]), jnp.float32(t)
    return lambda u: jnp.interp(u, share, times)


@dataclasses.dataclass(frozen=True)
class ScaledDdim:
    """DDIM whose eps is divided by `scale` (epsilon scaling, arXiv 2308.15321); x0 stays."""

    scale: float = 1.005
    draws_noise = False

    def step(
        self,
        x_t: jax.Array,
        x0: jax.Array,
        eps: jax.Array,
        t: jax.Array,
        s: jax.Array,
        schedule: Schedule,
        noise: jax.Array,
    ) -> jax.Array:
        """Takes a step as `StepMethod.step` describes."""
        eps = eps_from_x0(x0, x_t, schedule.alpha(t), schedule.sigma(t)) / self.scale
        return schedule.alpha(s) * x0 + schedule.sigma(s) * eps
