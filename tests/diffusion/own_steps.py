"""A step method that is not of the package: what a user would write."""

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Churned:
    """DDIM after a part of x_t's noise was drawn afresh; `churn` 0 is DDIM, 1 forgets x_t."""

    churn: float = 0.25

    @property
    def draws_noise(self):
        return self.churn > 0

    def step(self, x_t, x0, eps, t, s, schedule, noise):
        eps = (x_t - schedule.alpha(t) * x0) / schedule.sigma(t)
        eps = jnp.sqrt(1 - self.churn) * eps + jnp.sqrt(self.churn) * noise
        return schedule.alpha(s) * x0 + schedule.sigma(s) * eps


GENTLE = Churned(0.0)
NO_METHOD = 3


@dataclasses.dataclass(frozen=True)
class Needy:
    """Has a field without a default."""

    strength: float
    draws_noise = False

    def step(self, x_t, x0, eps, t, s, schedule, noise) -> jax.Array:
        return self.strength * x0
