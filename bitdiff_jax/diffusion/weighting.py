"""Loss weights w(t) of the squared error in x0.

The loss is always taken in x0, whatever the network predicts; the classic losses in eps and v are
weights of it: |eps error|^2 = SNR |x0 error|^2 and |v error|^2 = (1 + SNR) |x0 error|^2, with
SNR = alpha^2 / sigma^2.

A decoupled weight is multiplied by -dlogsnr/dt: the expected loss becomes an integral of w over
logsnr that no longer depends on the schedule. The paper decouples its sigmoid weights and no
others, hence the defaults.

A weight of your own is a function `(schedule, t) -> weights` of t's shape.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from bitdiff_jax.diffusion.schedules import Schedule

Weight = Callable[[Schedule, ArrayLike], jax.Array]


def uniform(schedule: Schedule, t: ArrayLike, decoupled: bool = False) -> jax.Array:
    """1 for every t: the plain mean squared error in x0.

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        decoupled: whether to multiply by -dlogsnr/dt, which is uniform in logsnr rather than in t.

    Returns:
        Weights of t's shape.
    """
    return _decouple(jnp.ones_like(schedule.gamma(t)), schedule, t, decoupled)


def snr(schedule: Schedule, t: ArrayLike, decoupled: bool = False) -> jax.Array:
    """SNR = alpha^2 / sigma^2: the mean squared error in eps.

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        decoupled: whether to multiply by -dlogsnr/dt.

    Returns:
        Weights of t's shape, from e^logsnr_max at t = 0 (4.9e8 by default) to e^logsnr_min.
    """
    weight = schedule.gamma(t) / schedule.one_minus_gamma(t)
    return _decouple(weight, schedule, t, decoupled)


def snr_plus1(schedule: Schedule, t: ArrayLike, decoupled: bool = False) -> jax.Array:
    """1 + SNR = 1 / sigma^2: the mean squared error in v.

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        decoupled: whether to multiply by -dlogsnr/dt.

    Returns:
        Weights of t's shape, from e^logsnr_max + 1 at t = 0 to 1.
    """
    return _decouple(1 / schedule.one_minus_gamma(t), schedule, t, decoupled)


def snr_trunc(schedule: Schedule, t: ArrayLike, decoupled: bool = False) -> jax.Array:
    """max(SNR, 1): the larger of the errors in x0 and eps (arXiv 2202.00512).

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        decoupled: whether to multiply by -dlogsnr/dt.

    Returns:
        Weights of t's shape, from e^logsnr_max at t = 0 to 1.
    """
    return _decouple(jnp.maximum(snr(schedule, t), 1), schedule, t, decoupled)


def sigmoid(
    schedule: Schedule, t: ArrayLike, bias: float = -4.0, decoupled: bool = True
) -> jax.Array:
    """The paper's weight: a sigmoid of logsnr - bias (Sec. 3; VDM++, arXiv 2303.00848).

    For the cosine schedule and the default bias, the integral of the decoupled weight over logsnr
    is softplus(24) - softplus(-16) = 24.0. It grows like 2 / t towards t = 0, where it is 0 again:
    at b = 0.1 half of its mean comes from t < 0.001.

    Args:
        schedule: the noise schedule.
        t: times in [0, 1], any shape.
        bias: bias of the sigmoid: the logsnr at which the weight has fallen to a half.
        decoupled: whether to multiply by -dlogsnr/dt.

    Returns:
        Weights of t's shape, finite and >= 0 at both ends.
    """
    return _decouple(jax.nn.sigmoid(schedule.logsnr(t) - bias), schedule, t, decoupled)


WEIGHTS: dict[str, Callable[..., jax.Array]] = {
    "uniform": uniform,
    "snr": snr,
    "snr_plus1": snr_plus1,
    "snr_trunc": snr_trunc,
    "sigmoid": sigmoid,
}


def make(weight: str | Weight, bias: float = -4.0, decoupled: bool = True) -> Weight:
    """The weight of a name, or one of your own, as a function of schedule and time alone.

    Args:
        weight: a key of `WEIGHTS`, or a function `(schedule, t) -> weights`.
        bias: bias of the sigmoid weight: the logsnr at which it has fallen to a half. The other
            weights have none and ignore it.
        decoupled: whether to multiply by -dlogsnr/dt.

    Returns:
        A function `(schedule, t) -> weights` of t's shape.

    Raises:
        ValueError: an unknown name, or an object that cannot be called.
    """
    if not isinstance(weight, str):
        if not callable(weight):
            raise ValueError(f"weight must be a name or a function, got {weight!r}")
        own = weight
        return lambda schedule, t: _decouple(own(schedule, t), schedule, t, decoupled)
    if weight not in WEIGHTS:
        raise ValueError(f"weight must be one of {', '.join(WEIGHTS)}, got {weight!r}")
    if weight == "sigmoid":
        return functools.partial(sigmoid, bias=bias, decoupled=decoupled)
    return functools.partial(WEIGHTS[weight], decoupled=decoupled)


def _decouple(weight: jax.Array, schedule: Schedule, t: ArrayLike, decoupled: bool) -> jax.Array:
    return weight * -schedule.dlogsnr_dt(t) if decoupled else weight
