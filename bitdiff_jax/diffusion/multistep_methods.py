"""Step methods that remember earlier steps: multistep solvers of the probability-flow ODE.

Written in lambda = logsnr / 2 = log(alpha / sigma), a step from t to s of the ODE is exactly

    x_s = (sigma_s / sigma_t) x_t + alpha_s (1 - exp(-h)) D,   h = lambda_s - lambda_t,

where D is a mean of x0 along the step. DDIM takes the x0 of t for it; a second-order method
extrapolates x0 to the middle of the step (arXiv 2211.01095).
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.schedules import Schedule


@runtime_checkable
class MultistepMethod(Protocol):
    """The members of a step method with memory, which is hashable and equal by value.

    It is a `StepMethod` that has `init_state` besides, and whose `step` takes and returns a state.
    """

    @property
    def draws_noise(self) -> bool:
        """Whether `step` uses its noise. If not, none is drawn and `noise` is a scalar zero."""

    def init_state(self, x_init: jax.Array) -> Any:
        """The state before the first step.

        Args:
            x_init: initial noise [B, H, W, C], in at least float32.

        Returns:
            A tree of arrays; those that `step` returns have the same structure, shapes and dtypes.
        """

    def step(
        self,
        x_t: jax.Array,
        x0: jax.Array,
        eps: jax.Array,
        t: jax.Array,
        s: jax.Array,
        schedule: Schedule,
        noise: jax.Array,
        state: Any,
    ) -> tuple[jax.Array, Any]:
        """One step from t down to s, as `StepMethod.step`.

        Args:
            x_t: as `StepMethod.step`.
            x0: as `StepMethod.step`.
            eps: as `StepMethod.step`.
            t: as `StepMethod.step`.
            s: as `StepMethod.step`.
            schedule: as `StepMethod.step`.
            noise: as `StepMethod.step`.
            state: what the step before returned, or `init_state`.

        Returns:
            x_s, of x_t's shape, and the state for the next step.
        """


@dataclasses.dataclass(frozen=True)
class Dpmpp2M:
    """DPM-Solver++(2M) for the probability-flow ODE (arXiv 2211.01095, Algorithm 2).

    A deterministic method of second order with one evaluation of the network a step:
    D = x0 + (h / (2 h')) (x0 - x0'), where x0' is the prediction of the step before and h' the
    length of that step in lambda. The first step and the one that ends at t = 0 have D = x0, as
    DDIM: the first has no predecessor, and the last is so long in lambda that an extrapolation
    would leave the range of the data. Elsewhere D may lie outside of the sampler's `clip` as well;
    the x0 that it is made of do not.
    """

    @property
    def draws_noise(self) -> bool:
        """Always false."""
        return False

    def init_state(self, x_init: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x0 of the step before, and the logsnr at which it was predicted.

        Before the first step these are 0 and minus infinity, which gives x0' no weight.
        """
        return jnp.zeros_like(x_init), jnp.full((), -jnp.inf, x_init.dtype)

    def step(
        self,
        x_t: jax.Array,
        x0: jax.Array,
        eps: jax.Array,
        t: jax.Array,
        s: jax.Array,
        schedule: Schedule,
        noise: jax.Array,
        state: tuple[jax.Array, jax.Array],
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Takes a step as `MultistepMethod.step` describes; `eps` and `noise` are not used."""
        previous, logsnr_previous = state
        logsnr_t = schedule.logsnr(t)
        change = schedule.logsnr(s) - logsnr_t
        weight = jnp.where(s > 0, change / (2 * (logsnr_t - logsnr_previous)), 0)
        middle = x0 + weight * (x0 - previous)
        pull = -jnp.expm1(-change / 2) * schedule.alpha(s)
        x_s = schedule.sigma(s) / schedule.sigma(t) * x_t + pull * middle
        return x_s, (x0, logsnr_t.astype(logsnr_previous.dtype))
