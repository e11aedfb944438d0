"""Samplers: from noise to data in `num_steps` evaluations of a denoiser.

The grid is t = 1, 1 - 1/N, ..., 1/N; the denoiser is never asked at t = 0, and the last step
returns its x0 as it is, unless told to step down to t = 0 like the others. One scan over the
steps, so the program holds the network once.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.diffusion import guidance
from bitdiff_jax.diffusion.parameterization import (
    Prediction,
    eps_from_x0,
    expand,
    to_eps,
    to_x0,
)
from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.diffusion.steps import Variance, ddim_step, ddpm_step

DenoiseFn = Callable[..., jax.Array]
Method = Literal["ddpm", "ddim"]
Final = Literal["x0", "step"]


class Trajectory(NamedTuple):
    """What the sampler saw, step by step; the first axis is the step, from t = 1 down."""

    x_t: jax.Array  # [N, B, H, W, C] input of each step
    x0: jax.Array  # [N, B, H, W, C] its guided, clipped, padded prediction


def sample(
    denoise_fn: DenoiseFn,
    x_init: jax.Array,
    cond: Any,
    *,
    null_cond: Any = None,
    schedule: Schedule,
    num_steps: int,
    prediction: Prediction = "x",
    method: Method = "ddpm",
    eta: ArrayLike = 0.0,
    guidance_weight: ArrayLike | None = None,
    keys: jax.Array | None = None,
    noise: jax.Array | None = None,
    clip: bool | tuple[float, float] = True,
    valid_mask: jax.Array | None = None,
    pad_value: ArrayLike = 0.0,
    variance: Variance = "large",
    eps_after_clip: bool = True,
    self_condition: bool = False,
    final: Final = "x0",
    return_trajectory: bool = False,
) -> jax.Array | tuple[jax.Array, Trajectory]:
    """Draws x0 given `cond`, by ancestral sampling (DDPM) or DDIM.

    Compiled once for each (denoise_fn, schedule, num_steps, prediction, method, variance, flags)
    and set of shapes; everything else is traced, so a sweep over guidance weights compiles once.
    May be called inside another jit, where `denoise_fn` may close over traced parameters.

    Args:
        denoise_fn: `(x_t [B, H, W, C], t [B], cond) -> raw network output`, [B, H, W, C], or
            [B, H, W, 2C] for prediction 'both'; see also `self_condition`.
        x_init: [B, H, W, C] standard normal.
        cond: the condition, a tree of [B, ...] arrays.
        null_cond: the empty condition, of the same structure; None means zeros, the paper's empty
            image. Only used with a `guidance_weight`.
        schedule: the noise schedule.
        num_steps: N >= 1.
        prediction: what the output stands for, see `parameterization`.
        method: 'ddpm' or 'ddim'.
        eta: DDIM only: 0 is deterministic, 1 has the noise of DDPM with variance 'small'.
        guidance_weight: scalar or [B]; `(1 + w) cond - w null` in x0. None computes no second
            half and equals 0.
        keys: [B] PRNG keys, one per image: what an image gets does not depend on its batch.
        noise: [>= N - 1, B, H, W, C] standard normal, used in order instead of `keys`; >= N with
            final 'step'.
        clip: the range to which x0 is clipped at every step; True is (-1, 1), False none.
        valid_mask: [B, H, W] bool; outside of it x0 is set to `pad_value` at every step.
        pad_value: x0 of the padding.
        variance: DDPM's: 'large' (1 - r) sigma_t^2, 'small' (1 - r) sigma_s^2, with
            r = SNR(t) / SNR(s).
        eps_after_clip: DDIM only: take eps from the clipped x0 rather than from the raw one (the
            released code does the latter; for prediction 'both' its own half, guided).
        self_condition: the denoiser also takes an earlier guess (arXiv 2208.04202):
            `(x_t, t, cond, x0_previous [B, H, W, C])`, zeros at the first step and then the guided,
            clipped, padded x0 of the step before. The empty half of guidance always sees zeros, as
            in the reference implementation: that x0 knows the condition.
        final: what the last step returns, 'x0' or the ordinary step down to t = 0 ('step'). The
            latter is for variance 'small' or DDIM: 'large' ends with noise of sigma(1 / N).
        return_trajectory: also return every step's input and prediction.

    Returns:
        x0 [B, H, W, C], continuous, within `clip` unless `final` is 'step'; with the trajectory
        if asked for.

    Raises:
        ValueError: unknown names, num_steps < 1, or noise is needed and neither `keys` nor
            `noise` is given.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    if method not in ("ddpm", "ddim"):
        raise ValueError(f"method must be 'ddpm' or 'ddim', got {method!r}")
    if variance not in ("large", "small"):
        raise ValueError(f"variance must be 'large' or 'small', got {variance!r}")
    if final not in ("x0", "step"):
        raise ValueError(f"final must be 'x0' or 'step', got {final!r}")
    draws = num_steps if final == "step" else num_steps - 1
    if method == "ddim" and not isinstance(eta, jax.core.Tracer) and not np.any(eta):
        draws = 0
    keys, noise = _check_noise(x_init.shape, draws, keys, noise)
    return _sample(
        denoise_fn, x_init, cond, null_cond, eta, guidance_weight, keys, noise, valid_mask,
        pad_value, schedule=schedule, num_steps=num_steps, prediction=prediction, method=method,
        clip=_clip_range(clip), variance=variance, eps_after_clip=eps_after_clip,
        self_condition=self_condition, final=final, return_trajectory=return_trajectory,
    )  # fmt: skip


def _clip_range(clip: bool | tuple[float, float]) -> tuple[float, float] | None:
    if isinstance(clip, bool):
        return (-1.0, 1.0) if clip else None
    low, high = (float(end) for end in clip)
    if not low < high:
        raise ValueError(f"clip must be a bool or (low, high) with low < high, got {clip}")
    return low, high


def _check_noise(
    shape: tuple[int, ...], draws: int, keys: jax.Array | None, noise: jax.Array | None
) -> tuple[jax.Array | None, jax.Array | None]:
    """Keys or noise for `draws` draws, neither of them if there are none."""
    if keys is not None and noise is not None:
        raise ValueError("give keys or noise, not both")
    if draws == 0:
        return None, None
    if keys is None and noise is None:
        raise ValueError(f"this sampler draws noise: give keys [B], or noise [{draws}, ...]")
    if keys is not None and keys.shape != shape[:1]:
        raise ValueError(
            f"keys must be one PRNG key per image, shape {shape[:1]}, got {keys.shape}; "
            "use jax.random.split(key, batch_size)"
        )
    if noise is not None:
        if noise.shape[0] < draws or noise.shape[1:] != shape:
            raise ValueError(f"noise must have shape [>= {draws}, *{shape}], got {noise.shape}")
        noise = noise[:draws]
    return keys, noise


@functools.partial(
    jax.jit,
    static_argnames=(
        "denoise_fn", "schedule", "num_steps", "prediction", "method", "clip", "variance",
        "eps_after_clip", "self_condition", "final", "return_trajectory",
    ),
)  # fmt: skip
def _sample(
    denoise_fn, x_init, cond, null_cond, eta, guidance_weight, keys, noise, valid_mask, pad_value,
    *, schedule, num_steps, prediction, method, clip, variance, eps_after_clip, self_condition,
    final, return_trajectory,
):  # fmt: skip
    dtype = x_init.dtype
    guided = guidance_weight is not None
    if guided:
        null_cond = jax.tree.map(jnp.zeros_like, cond) if null_cond is None else null_cond
        cond = guidance.interleave(cond, null_cond)  # outside the loop: once, not N times
        guidance_weight = jnp.asarray(guidance_weight, dtype)
        if guidance_weight.ndim:
            guidance_weight = expand(guidance_weight, x_init)

    def guide(both):
        return guidance.combine(*guidance.split(both), guidance_weight) if guided else both

    def denoise(x_t, previous, t, alpha_t, sigma_t):
        """Guided x0 at the scalar time t, unclipped, and its eps."""
        net_input = guidance.interleave(x_t, x_t) if guided else x_t
        if guided and self_condition:
            previous = guidance.interleave(previous, jnp.zeros_like(previous))
        times = jnp.full((net_input.shape[0],), t, dtype)
        earlier = (previous,) if self_condition else ()
        output = denoise_fn(net_input, times, cond, *earlier).astype(dtype)
        x0 = guide(to_x0(output, net_input, alpha_t, sigma_t, prediction))
        if prediction == "both":
            return x0, guide(to_eps(output, net_input, alpha_t, sigma_t, prediction))
        return x0, eps_from_x0(x0, x_t, alpha_t, sigma_t)

    def draw(i, step_noise):
        if noise is not None:
            return step_noise
        if keys is None:
            return jnp.zeros((), dtype)
        shape = x_init.shape[1:]
        return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, i), shape, dtype))(
            keys
        )

    def step(x_t, previous, inputs):
        i, step_noise = inputs
        t, s = ((i + 1) / num_steps).astype(dtype), (i / num_steps).astype(dtype)
        alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
        x0, eps = denoise(x_t, previous, t, alpha_t, sigma_t)
        if clip is not None:
            x0 = jnp.clip(x0, *clip)
        if valid_mask is not None:
            x0 = jnp.where(valid_mask[..., None], x0, jnp.asarray(pad_value, dtype))
        if eps_after_clip:
            eps = eps_from_x0(x0, x_t, alpha_t, sigma_t)
        z = draw(i, step_noise)
        if method == "ddpm":
            x_s = ddpm_step(x_t, x0, z, t, s, schedule, variance)
        else:
            x_s = ddim_step(x0, eps, z, t, s, schedule, eta)
        if final == "x0":
            x_s = jnp.where(i == 0, x0, x_s)
        return x_s, Trajectory(x_t, x0)

    steps = jnp.arange(num_steps - 1, -1, -1)
    if noise is not None and noise.shape[0] < num_steps:  # the last step's is never used
        noise = jnp.concatenate([noise, jnp.zeros_like(noise, shape=(1, *x_init.shape))])

    def body(carry, inputs):
        x_t, previous = carry
        x_s, trajectory = step(x_t, previous, inputs)
        previous = trajectory.x0 if self_condition else None
        return (x_s, previous), trajectory if return_trajectory else None

    previous = jnp.zeros_like(x_init) if self_condition else None
    (x0, _), trajectory = jax.lax.scan(body, (x_init, previous), (steps, noise))
    return (x0, trajectory) if return_trajectory else x0
