"""Samplers: from noise to data in `num_steps` evaluations of a denoiser.

The grid is t = 1, 1 - 1/N, ..., 1/N; the denoiser is never asked at t = 0, and the last step
returns its x0 as it is. One scan over the steps, so the program holds the network once.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.diffusion import guidance
from bitdiff_jax.diffusion.parameterization import Prediction, eps_from_x0, expand, to_x0
from bitdiff_jax.diffusion.schedules import Schedule

DenoiseFn = Callable[[jax.Array, jax.Array, Any], jax.Array]
Method = Literal["ddpm", "ddim"]
Variance = Literal["large", "small"]


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
    clip: bool = True,
    valid_mask: jax.Array | None = None,
    pad_value: ArrayLike = 0.0,
    variance: Variance = "large",
    eps_after_clip: bool = True,
    return_trajectory: bool = False,
) -> jax.Array | tuple[jax.Array, Trajectory]:
    """Draws x0 given `cond`, by ancestral sampling (DDPM) or DDIM.

    Compiled once for each (denoise_fn, schedule, num_steps, prediction, method, variance, flags)
    and set of shapes; everything else is traced, so a sweep over guidance weights compiles once.
    May be called inside another jit, where `denoise_fn` may close over traced parameters.

    Args:
        denoise_fn: `(x_t [B, H, W, C], t [B], cond) -> raw network output [B, H, W, C]`.
        x_init: [B, H, W, C] standard normal.
        cond: the condition, a tree of [B, ...] arrays.
        null_cond: the empty condition, of the same structure; None means zeros, the paper's empty
            image. Only used with a `guidance_weight`.
        schedule: the noise schedule.
        num_steps: N >= 1.
        prediction: what the output stands for, 'x', 'eps' or 'v'.
        method: 'ddpm' or 'ddim'.
        eta: DDIM only: 0 is deterministic, 1 has the noise of DDPM with variance 'small'.
        guidance_weight: scalar or [B]; `(1 + w) cond - w null` in x0. None computes no second
            half and equals 0.
        keys: [B] PRNG keys, one per image: what an image gets does not depend on its batch.
        noise: [>= N - 1, B, H, W, C] standard normal, used in order instead of `keys`.
        clip: clip x0 to [-1, 1] at every step.
        valid_mask: [B, H, W] bool; outside of it x0 is set to `pad_value` at every step.
        pad_value: x0 of the padding.
        variance: DDPM's: 'large' (1 - r) sigma_t^2, 'small' (1 - r) sigma_s^2, with
            r = SNR(t) / SNR(s).
        eps_after_clip: DDIM only: take eps from the clipped x0 rather than from the raw one (the
            released code does the latter).
        return_trajectory: also return every step's input and prediction.

    Returns:
        x0 [B, H, W, C], continuous, in [-1, 1] if clipped; with the trajectory if asked for.

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
    deterministic = num_steps == 1 or (
        method == "ddim" and not isinstance(eta, jax.core.Tracer) and not np.any(eta)
    )
    if keys is not None and noise is not None:
        raise ValueError("give keys or noise, not both")
    if deterministic:
        keys = noise = None
    elif keys is None and noise is None:
        raise ValueError(f"method {method!r} draws noise: give keys [B], or noise [N - 1, ...]")
    if keys is not None and keys.shape != x_init.shape[:1]:
        raise ValueError(
            f"keys must be one PRNG key per image, shape {x_init.shape[:1]}, got {keys.shape}; "
            "use jax.random.split(key, batch_size)"
        )
    if noise is not None:
        if noise.shape[0] < num_steps - 1 or noise.shape[1:] != x_init.shape:
            raise ValueError(
                f"noise must have shape [>= {num_steps - 1}, *{x_init.shape}], got {noise.shape}"
            )
        noise = noise[: num_steps - 1]
    return _sample(
        denoise_fn, x_init, cond, null_cond, eta, guidance_weight, keys, noise, valid_mask,
        pad_value, schedule=schedule, num_steps=num_steps, prediction=prediction, method=method,
        clip=clip, variance=variance, eps_after_clip=eps_after_clip,
        return_trajectory=return_trajectory,
    )  # fmt: skip


@functools.partial(
    jax.jit,
    static_argnames=(
        "denoise_fn", "schedule", "num_steps", "prediction", "method", "clip", "variance",
        "eps_after_clip", "return_trajectory",
    ),
)  # fmt: skip
def _sample(
    denoise_fn, x_init, cond, null_cond, eta, guidance_weight, keys, noise, valid_mask, pad_value,
    *, schedule, num_steps, prediction, method, clip, variance, eps_after_clip, return_trajectory,
):  # fmt: skip
    dtype = x_init.dtype
    guided = guidance_weight is not None
    if guided:
        null_cond = jax.tree.map(jnp.zeros_like, cond) if null_cond is None else null_cond
        cond = guidance.interleave(cond, null_cond)  # outside the loop: once, not N times
        guidance_weight = jnp.asarray(guidance_weight, dtype)
        if guidance_weight.ndim:
            guidance_weight = expand(guidance_weight, x_init)

    def denoise(x_t, t, alpha_t, sigma_t):
        """Guided x0 at the scalar time t, unclipped."""
        net_input = guidance.interleave(x_t, x_t) if guided else x_t
        output = denoise_fn(net_input, jnp.full((net_input.shape[0],), t, dtype), cond)
        x0 = to_x0(output.astype(dtype), net_input, alpha_t, sigma_t, prediction)
        return guidance.combine(*guidance.split(x0), guidance_weight) if guided else x0

    def draw(i, step_noise):
        if noise is not None:
            return step_noise
        if keys is None:
            return jnp.zeros((), dtype)
        shape = x_init.shape[1:]
        return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, i), shape, dtype))(
            keys
        )

    def step(x_t, inputs):
        i, step_noise = inputs
        t, s = ((i + 1) / num_steps).astype(dtype), (i / num_steps).astype(dtype)
        alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
        x0 = denoise(x_t, t, alpha_t, sigma_t)
        eps = eps_from_x0(x0, x_t, alpha_t, sigma_t)
        if clip:
            x0 = jnp.clip(x0, -1, 1)
        if valid_mask is not None:
            x0 = jnp.where(valid_mask[..., None], x0, jnp.asarray(pad_value, dtype))
        if eps_after_clip:
            eps = eps_from_x0(x0, x_t, alpha_t, sigma_t)
        z = draw(i, step_noise)
        if method == "ddpm":
            x_s = ddpm_step(x_t, x0, z, t, s, schedule, variance)
        else:
            x_s = ddim_step(x0, eps, z, t, s, schedule, eta)
        return jnp.where(i == 0, x0, x_s), Trajectory(x_t, x0)

    steps = jnp.arange(num_steps - 1, -1, -1)
    if noise is not None:  # the last step draws none; its row is never used
        noise = jnp.concatenate([noise, jnp.zeros_like(noise, shape=(1, *x_init.shape))])

    def body(x_t, inputs):
        x_s, trajectory = step(x_t, inputs)
        return x_s, trajectory if return_trajectory else None

    x0, trajectory = jax.lax.scan(body, x_init, (steps, noise))
    return (x0, trajectory) if return_trajectory else x0


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
