"""Loss weights w(t) of the squared error in x0."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from bitdiff_jax.diffusion.schedules import Schedule


def sigmoid(
    schedule: Schedule, t: ArrayLike, bias: float = -4.0, decoupled: bool = True
) -> jax.Array:
    """The paper's weight: a sigmoid of logsnr - bias (Sec. 3; VDM++, arXiv 2303.00848).

    Decoupled, it is multiplied by -dlogsnr/dt: the expected loss becomes an integral over logsnr
    that no longer depends on the schedule (softplus(24) - softplus(-16) = 24.0 for the default).
    The weight then grows like 2 / t towards t = 0, where it is 0 again: at b = 0.1 half of its
    mean comes from t < 0.001.

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        bias: logsnr at which the weight has fallen to a half.
        decoupled: multiply by -dlogsnr/dt.

    Returns:
        Weights of t's shape, finite and >= 0 at both ends.
    """
    weight = jax.nn.sigmoid(schedule.logsnr(t) - bias)
    return weight * -schedule.dlogsnr_dt(t) if decoupled else weight


def uniform(schedule: Schedule, t: ArrayLike, decoupled: bool = False) -> jax.Array:
    """1 for every t: the plain mean squared error in x0.

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        decoupled: multiply by -dlogsnr/dt (uniform in logsnr rather than in t).

    Returns:
        Weights of t's shape.
    """
    slope = schedule.dlogsnr_dt(t)
    return -slope if decoupled else jnp.ones_like(slope)
