"""One step of a sampler: from x_t and the predicted x0 to x_s, with s < t.

`t` and `s` are scalars and `z` is standard normal noise of x_t's shape. s may be 0; with r nearly
0 there, DDPM's variance 'large' is then sigma_t^2 instead of nothing.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from bitdiff_jax.diffusion.schedules import Schedule

Variance = Literal["large", "small"]


def ddpm_step(
    x_t: jax.Array,
    x0: jax.Array,
    z: jax.Array,
    t: jax.Array,
    s: jax.Array,
    schedule: Schedule,
    variance: Variance = "large",
) -> jax.Array:
    """One ancestral step from t to s < t: a draw of q(x_s | x_t, x0) (arXiv 2006.11239).

    mean = r (alpha_s / alpha_t) x_t + (1 - r) alpha_s x0, r = SNR(t) / SNR(s); both t and s are
    scalars, z is standard normal of x_t's shape.
    """
    change = schedule.logsnr(t) - schedule.logsnr(s)
    r, one_minus_r = jnp.exp(change), -jnp.expm1(change)
    alpha_s = schedule.alpha(s)
    mean = r * (alpha_s / schedule.alpha(t)) * x_t + one_minus_r * alpha_s * x0
    sigma = schedule.sigma(t) if variance == "large" else schedule.sigma(s)
    return mean + jnp.sqrt(one_minus_r) * sigma * z


def ddim_step(
    x0: jax.Array,
    eps: jax.Array,
    z: jax.Array,
    t: jax.Array,
    s: jax.Array,
    schedule: Schedule,
    eta: ArrayLike = 0.0,
) -> jax.Array:
    """One DDIM step from t to s < t (arXiv 2010.02502, Eq. 12).

    x_s = alpha_s x0 + sqrt(sigma_s^2 - d^2) eps + d z with d = eta sqrt(1 - r) sigma_s,
    r = SNR(t) / SNR(s); eta = 0 is deterministic, eta = 1 has DDPM's 'small' variance.
    """
    one_minus_r = -jnp.expm1(schedule.logsnr(t) - schedule.logsnr(s))
    sigma_s = schedule.sigma(s)
    fresh = jnp.asarray(eta, sigma_s.dtype) * jnp.sqrt(one_minus_r)
    kept = jnp.sqrt(jnp.maximum(1 - jnp.square(fresh), 0))
    return schedule.alpha(s) * x0 + sigma_s * (kept * eps + fresh * z)
