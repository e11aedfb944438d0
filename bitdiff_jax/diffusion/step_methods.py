"""Step methods: from x_t and the predicted x0 to x_s, with s < t.

A method is a value: a frozen dataclass, equal by its fields, so that a program that was compiled
for one serves an equal one. Any object with the two members of `StepMethod` is a step method.

s may be 0. There r = SNR(t) / SNR(s) is nearly 0, so that DDPM's variance 'large' is sigma_t^2
rather than 0.
"""

import dataclasses
import math
from typing import Literal, Protocol, get_args, runtime_checkable

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.parameterization import eps_from_x0
from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.errors import InputError

Variance = Literal["large", "small"]


@runtime_checkable
class StepMethod(Protocol):
    """The members that the sampler needs of a step method, which is hashable and equal by value."""

    @property
    def draws_noise(self) -> bool:
        """Whether `step` uses its noise. If not, none is drawn and `noise` is a scalar zero."""

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
        """One step from t down to s.

        Args:
            x_t: noised data [B, H, W, C] at time t.
            x0: prediction of x0 [B, H, W, C], guided, clipped, and set to its value on padding.
            eps: noise [B, H, W, C] that the network's output stands for, before clipping. The noise
                that belongs to the clipped x0 is
                `parameterization.eps_from_x0(x0, x_t, alpha, sigma)`.
            t: time at which the step starts, a scalar of at least float32.
            s: time at which the step ends, a scalar below t; 0 at the last step.
            schedule: the noise schedule.
            noise: normal of x_t's shape, drawn for this step; its standard deviation is the
                sampler's `temperature`, 1 unless told otherwise.

        Returns:
            x_s, of x_t's shape.
        """


@dataclasses.dataclass(frozen=True)
class Ddpm:
    """Ancestral sampling: a draw of q(x_s | x_t, x0) (arXiv 2006.11239).

    mean = r (alpha_s / alpha_t) x_t + (1 - r) alpha_s x0, with r = SNR(t) / SNR(s).

    Attributes:
        variance: variance of the draw: 'large' is (1 - r) sigma_t^2, 'small' (1 - r) sigma_s^2.
    """

    variance: Variance = "large"

    def __post_init__(self) -> None:
        if self.variance not in get_args(Variance):
            raise InputError(f"variance is {self.variance!r}; use 'large' or 'small'")

    @property
    def draws_noise(self) -> bool:
        """Always true."""
        return True

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
        """Takes a step as `StepMethod.step` describes; `eps` is not used."""
        change = schedule.logsnr(t) - schedule.logsnr(s)
        r, one_minus_r = jnp.exp(change), -jnp.expm1(change)
        alpha_s = schedule.alpha(s)
        mean = r * (alpha_s / schedule.alpha(t)) * x_t + one_minus_r * alpha_s * x0
        sigma = schedule.sigma(t) if self.variance == "large" else schedule.sigma(s)
        return mean + jnp.sqrt(one_minus_r) * sigma * noise


@dataclasses.dataclass(frozen=True)
class Ddim:
    """DDIM (arXiv 2010.02502, Eq. 12).

    x_s = alpha_s x0 + sqrt(sigma_s^2 - d^2) eps + d noise, with d = eta sqrt(1 - r) sigma_s and
    r = SNR(t) / SNR(s).

    Attributes:
        eta: amount of noise, in [0, 1]: 0 is deterministic, 1 has the noise of DDPM with variance
            'small'.
        eps_after_clip: whether eps is computed from the clipped x0. Otherwise it is the network's,
            as in the released code (for prediction 'both' the guided half of its own).
    """

    eta: float = 0.0
    eps_after_clip: bool = True

    def __post_init__(self) -> None:
        try:
            eta = float(self.eta)
        except (TypeError, ValueError):
            eta = math.nan
        if not 0 <= eta <= 1:
            raise InputError(f"eta is {self.eta!r}; use a number from 0 to 1")
        if self.eps_after_clip not in (False, True):
            raise InputError(f"eps_after_clip is {self.eps_after_clip!r}; use True or False")
        object.__setattr__(self, "eta", eta)

    @property
    def draws_noise(self) -> bool:
        """True unless eta is 0."""
        return self.eta != 0

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
        if self.eps_after_clip:
            eps = eps_from_x0(x0, x_t, schedule.alpha(t), schedule.sigma(t))
        one_minus_r = -jnp.expm1(schedule.logsnr(t) - schedule.logsnr(s))
        sigma_s = schedule.sigma(s)
        fresh = self.eta * jnp.sqrt(one_minus_r)
        kept = jnp.sqrt(jnp.maximum(1 - jnp.square(fresh), 0))
        return schedule.alpha(s) * x0 + sigma_s * (kept * eps + fresh * noise)
