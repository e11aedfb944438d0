"""The named noise schedules, each with the input scale b and the logsnr limits.

`variance_preserving` says what a `Schedule` is, and why it is written in h and 1 - h.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.variance_preserving import Schedule, TimeFunction, input_scaled

__all__ = [
    "SCHEDULES", "Schedule", "TimeFunction", "cosine", "input_scaled", "linear", "linear_simple",
    "make", "parabola",
]  # fmt: skip

# -log gamma of the linear schedule: its value at t = 0, and by how much it grows until t = 1.
_LINEAR_START, _LINEAR_GROWTH = 1e-4, 10.0


def cosine(
    input_scale: float = 0.1, logsnr_min: float = -20.0, logsnr_max: float = 20.0
) -> Schedule:
    """The paper's schedule: gamma = cos^2(pi t / 2), scaled by b (Eq. 7).

    Its slope dlogsnr/dt is 0 at both ends.

    Args:
        input_scale: input scale b > 0; the paper's best is 0.1, and 1 is the plain cosine schedule.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        The schedule; at b = 0.1, logsnr(.125) = -1.375 and logsnr(.5) = -4.605.
    """
    return Schedule(_cosine_fall, _cosine_rise, input_scale, logsnr_min, logsnr_max)


def linear(
    input_scale: float = 0.1, logsnr_min: float = -20.0, logsnr_max: float = 20.0
) -> Schedule:
    """DDPM's beta rising linearly, in continuous time: gamma = exp(-u), u = 1e-4 + 10 t^2.

    The same as sigmoid(-log(expm1(u))), as the reference implementation writes it. Before the
    limits, 1 - gamma is 1e-4 at t = 0, and gamma is 4.5e-5 at t = 1. The slope dlogsnr/dt is 0 at
    t = 0 and -4.4e3 at t = 1 with the default arguments.

    Args:
        input_scale: input scale b > 0.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        The schedule; at b = 0.1, logsnr(.125) = -2.818 and logsnr(.5) = -7.010.
    """
    return Schedule(
        _linear_fall, _linear_rise, input_scale, logsnr_min, logsnr_max,
        start_noise=-math.expm1(-_LINEAR_START),
        end_signal=math.exp(-_LINEAR_START - _LINEAR_GROWTH),
    )  # fmt: skip


def linear_simple(
    input_scale: float = 0.1, logsnr_min: float = -20.0, logsnr_max: float = 20.0
) -> Schedule:
    """Linear in gamma: gamma = 1 - t.

    Nothing flattens it at its ends: the slope dlogsnr/dt is finite but large there, -4.9e10 at
    t = 0 and -4.9e6 at t = 1 with the default arguments, where decoupled weights follow it.

    Args:
        input_scale: input scale b > 0.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        The schedule; at b = 0.1, logsnr(.125) = -2.659 and logsnr(.5) = -4.605.
    """
    return Schedule(_line_fall, _line_rise, input_scale, logsnr_min, logsnr_max)


def parabola(
    input_scale: float = 0.1, logsnr_min: float = -20.0, logsnr_max: float = 20.0
) -> Schedule:
    """gamma = (1 - t^2)^2, close to the cosine schedule; only the released code has it.

    Its slope dlogsnr/dt is 0 at both ends.

    Args:
        input_scale: input scale b > 0.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Returns:
        The schedule; at b = 0.1, logsnr(.125) = -1.163 and logsnr(.5) = -4.354.
    """
    return Schedule(_parabola_fall, _parabola_rise, input_scale, logsnr_min, logsnr_max)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "cosine": cosine,
    "linear": linear,
    "linear_simple": linear_simple,
    "parabola": parabola,
}


def make(
    name: str, input_scale: float = 0.1, logsnr_min: float = -20.0, logsnr_max: float = 20.0
) -> Schedule:
    """The schedule of a name.

    Args:
        name: a key of `SCHEDULES`.
        input_scale: input scale b > 0.
        logsnr_min: logsnr at t = 1.
        logsnr_max: logsnr at t = 0.

    Raises:
        ValueError: the name is unknown, or b or a limit is outside its domain.
    """
    if name not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {name!r}")
    return SCHEDULES[name](input_scale, logsnr_min, logsnr_max)


def _cosine_fall(t: jax.Array) -> jax.Array:
    # sin(pi (1 - t) / 2), not cos(pi t / 2): the latter is not 0 at t = 1 in floating point.
    return jnp.square(jnp.sin(0.5 * jnp.pi * (1 - t)))


def _cosine_rise(t: jax.Array) -> jax.Array:
    return jnp.square(jnp.sin(0.5 * jnp.pi * t))


def _linear_fall(t: jax.Array) -> jax.Array:
    # (exp(-u(t)) - exp(-u(1))) / (exp(-u(0)) - exp(-u(1))), the start of u cancelled.
    left = jnp.expm1(-_LINEAR_GROWTH * (1 - t) * (1 + t))
    return jnp.exp(-_LINEAR_GROWTH * t * t) * left / math.expm1(-_LINEAR_GROWTH)


def _linear_rise(t: jax.Array) -> jax.Array:
    return jnp.expm1(-_LINEAR_GROWTH * t * t) / math.expm1(-_LINEAR_GROWTH)


def _line_fall(t: jax.Array) -> jax.Array:
    return 1 - t


def _line_rise(t: jax.Array) -> jax.Array:
    return t


def _parabola_fall(t: jax.Array) -> jax.Array:
    return jnp.square((1 - t) * (1 + t))


def _parabola_rise(t: jax.Array) -> jax.Array:
    return t * t * (2 - t * t)
