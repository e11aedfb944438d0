"""Sampling: from noise to data in `num_steps` evaluations of a denoiser.

The grid is t = 1, 1 - 1/N, ..., 1/N, unless the sampler has another (`time_grids`); the denoiser is
never asked at t = 0, and the last step returns its x0 as it is, unless told to step down to t = 0
like the others. One scan over the steps, so the program holds the network once.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from bitdiff_jax.diffusion import guidance, prng_keys, time_grids
from bitdiff_jax.diffusion.imposing import (
    Denoised,
    Known,
    guided_prediction,
    impose,
    imposed_prediction,
)
from bitdiff_jax.diffusion.multistep_methods import MultistepMethod
from bitdiff_jax.diffusion.parameterization import (
    Prediction,
    eps_from_x0,
    expand,
    to_eps,
    to_x0,
)
from bitdiff_jax.diffusion.precision import widened_dtype
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.schedules import Schedule

DenoiseFn = Callable[..., jax.Array]


class Weaker(NamedTuple):
    """A condition that lacks a part of the whole one, such as a prompt, which guides then.

    To x0 is added weight times what it differs from the x0 of this condition. Guidance by the
    empty condition is of the result, so that a weight of -1 is as if there were this one alone.
    """

    cond: Any  # a tree like that of the whole condition
    weight: jax.Array  # a scalar or [B]; 0 adds nothing


class Trajectory(NamedTuple):
    """Inputs and predictions of all steps; the first axis is the step, from t = 1 down."""

    x_t: jax.Array  # [N, B, H, W, C] input of each step
    x0: jax.Array  # [N, B, H, W, C] prediction of each step, guided, clipped and padded


def sample(
    denoise_fn: DenoiseFn,
    x_init: jax.Array,
    cond: Any,
    sampler: Sampler,
    *,
    schedule: Schedule,
    prediction: Prediction = "x",
    null_cond: Any = None,
    weaker: Weaker | None = None,
    keys: jax.Array | None = None,
    noise: jax.Array | None = None,
    valid_mask: jax.Array | None = None,
    pad_value: ArrayLike = 0.0,
    self_condition: bool = False,
    return_trajectory: bool = False,
    known: Known | None = None,
) -> jax.Array | tuple[jax.Array, Trajectory]:
    """Draws x0 given `cond`.

    The program is compiled once for each denoise_fn, sampler, schedule, prediction, set of flags
    and set of shapes; the arrays and the guidance weight are its arguments. Functions are compared
    as objects: for one that is made anew at each call, such as a lambda that closes over
    parameters, the program is compiled anew and holds the parameters as constants.
    `functools.partial(f, params)` is compared by `f`, and its `params` are arguments too. `sample`
    may be called inside another jit, where `denoise_fn` may close over traced parameters.

    Times, schedule and steps are computed in at least float32. An `x_init` in half precision sets
    the dtype only of what the denoiser is given and of what is returned.

    Args:
        denoise_fn: `(x_t [B, H, W, C], t [B], cond) -> raw network output`, [B, H, W, C], or
            [B, H, W, 2C] for prediction 'both'; see also `self_condition`. `t` is at least float32.
        x_init: initial noise [B, H, W, C], standard normal; multiplied by the sampler's
            `temperature`.
        cond: the condition, a tree of [B, ...] arrays.
        sampler: steps, guidance, method, clipping and temperature.
        schedule: the noise schedule.
        prediction: what the network's output stands for, see `parameterization`.
        null_cond: the empty condition, a tree of the same structure as `cond`; None means zeros,
            the paper's empty image. It is only used with a guidance weight.
        weaker: a condition that says less than `cond`, and how far to move away from it, as
            guidance moves away from the empty one; both may be used at once.
        keys: PRNG keys [B] of either style (see `prng_keys.typed`), one per image, so that an
            image's noise does not depend on its batch.
        noise: [>= sampler.draws, B, H, W, C] standard normal, used in order instead of `keys`; it
            is multiplied by the sampler's `temperature`, as what is drawn from `keys` is.
        valid_mask: [B, H, W] bool; outside of it x0 is set to `pad_value` at every step.
        pad_value: value of x0 on padding.
        self_condition: whether the denoiser also takes an earlier guess (arXiv 2208.04202):
            `(x_t, t, cond, x0_previous [B, H, W, C])`, which is zeros at the first step and then
            the guided, clipped, padded x0 of the step before. The empty half of guidance always
            gets zeros, as in the reference implementation, because that x0 depends on the
            condition.
        return_trajectory: whether to return every step's input and prediction as well.
        known: x0 of some pixels, imposed at every step, see `imposing`.

    Returns:
        x0 [B, H, W, C] of x_init's dtype, continuous; within the sampler's `clip` unless its
        `final` is 'step', and as it is known on known pixels. If `return_trajectory`, x0 and the
        `Trajectory`.

    Raises:
        ValueError: an unknown prediction, or noise is needed and neither `keys` nor `noise` is
            given.
    """
    keys, noise = _check_noise(x_init.shape, sampler.draws, keys, noise)
    denoise = _as_pytree(denoise_fn)
    drawn: jax.Array | tuple[jax.Array, Trajectory] = _sample(
        denoise, x_init, cond, null_cond, weaker, sampler, keys, noise, valid_mask, pad_value,
        known, schedule=schedule, prediction=prediction, self_condition=self_condition,
        return_trajectory=return_trajectory,
    )  # fmt: skip
    return drawn


def _as_pytree(denoise_fn: DenoiseFn) -> DenoiseFn:
    """The function as an argument of a jit: compared as an object, its arrays by their shapes."""
    partial: Any = jax.tree_util.Partial
    if isinstance(denoise_fn, functools.partial):
        arguments = jax.tree.leaves((denoise_fn.args, denoise_fn.keywords))
        if all(hasattr(leaf, "dtype") for leaf in arguments):
            bound: DenoiseFn = partial(denoise_fn.func, *denoise_fn.args, **denoise_fn.keywords)
            return bound
    alone: DenoiseFn = partial(denoise_fn)
    return alone


def _check_noise(
    shape: tuple[int, ...], draws: int, keys: jax.Array | None, noise: jax.Array | None
) -> tuple[jax.Array | None, jax.Array | None]:
    """Keys or noise for `draws` draws; neither of them if nothing is drawn."""
    if keys is not None and noise is not None:
        raise ValueError("give keys or noise, not both")
    if draws == 0:
        return None, None
    if keys is None and noise is None:
        raise ValueError(f"this sampler draws noise: give keys [B], or noise [{draws}, ...]")
    if keys is not None:
        keys = prng_keys.typed(keys)
        if keys.shape != shape[:1]:
            raise ValueError(
                f"keys must be one PRNG key per image, shape {shape[:1]}, got {keys.shape}; "
                "use jax.random.split(key, batch_size)"
            )
    if noise is not None:
        if noise.shape[0] < draws or noise.shape[1:] != shape:
            raise ValueError(f"noise must have shape [>= {draws}, *{shape}], got {noise.shape}")
        noise = noise[:draws]
    return keys, noise


def _clip_range(clip: bool | tuple[float, float]) -> tuple[float, float] | None:
    if isinstance(clip, bool):
        return (-1.0, 1.0) if clip else None
    return clip


def _scaled(noise: jax.Array, sampler: Sampler) -> jax.Array:
    """Standard normal noise at the sampler's temperature; at 1 the program has no product."""
    return noise if sampler.temperature == 1 else noise * sampler.temperature


@functools.partial(
    jax.jit,
    static_argnames=("schedule", "prediction", "self_condition", "return_trajectory"),
)
def _sample(
    denoise_fn: DenoiseFn, x_init: jax.Array, cond: Any, null_cond: Any, weaker: Weaker | None,
    sampler: Sampler, keys: jax.Array | None, noise: jax.Array | None,
    valid_mask: jax.Array | None, pad_value: Any, known: Known | None, *, schedule: Schedule,
    prediction: Prediction, self_condition: bool, return_trajectory: bool,
) -> jax.Array | tuple[jax.Array, Trajectory]:  # fmt: skip
    given, dtype = x_init.dtype, widened_dtype(x_init.dtype)
    x_init = _scaled(x_init.astype(dtype), sampler)
    num_steps, method, clip = sampler.num_steps, sampler.method, _clip_range(sampler.clip)
    # The conditions that x0 moves away from, each with its weight.
    others: list[Any] = []
    weights: list[jax.Array] = []
    if weaker is not None:
        others.append(weaker.cond)
        weights.append(jnp.asarray(weaker.weight, dtype))
    if sampler.guided:
        others.append(jax.tree.map(jnp.zeros_like, cond) if null_cond is None else null_cond)
        weights.append(jnp.asarray(sampler.guidance_weight, dtype))
    weights = [expand(weight, x_init) if weight.ndim else weight for weight in weights]
    num_parts, guided = 1 + len(others), bool(others)
    if guided:
        cond = guidance.interleave(cond, *others)  # outside the loop: once, not N times

    def guide(parts: jax.Array) -> jax.Array:
        if not guided:
            return parts
        moved, *rest = guidance.split(parts, num_parts)
        for other, weight in zip(rest, weights, strict=True):
            moved = guidance.combine(moved, other, weight)
        return moved

    def evaluate(*inputs: Any) -> jax.Array:
        if not guided or known is None or known.weight is None:
            return denoise_fn(*inputs)
        # Part by part, since the derivative is that of the first alone.
        parts = [
            jax.tree.map(lambda x, part=part: guidance.split(x, num_parts)[part], inputs)
            for part in range(num_parts)
        ]
        own, *rest = parts
        outputs = [denoise_fn(*own)] + [denoise_fn(*jax.lax.stop_gradient(other)) for other in rest]
        joined: jax.Array = guidance.interleave(*outputs)
        return joined

    def denoise(
        x_t: jax.Array, previous: Any, t: jax.Array, alpha_t: jax.Array, sigma_t: jax.Array
    ) -> Denoised:
        """Guided x0 at the scalar time t, unclipped, its eps, and x0 without guidance."""
        net_input = guidance.interleave(*[x_t] * num_parts) if guided else x_t
        if guided and self_condition:
            nothing = [jnp.zeros_like(previous)] * len(others)
            previous = guidance.interleave(previous, *nothing)
        times = jnp.full((net_input.shape[0],), t, dtype)
        earlier = (previous.astype(given),) if self_condition else ()
        output = evaluate(net_input.astype(given), times, cond, *earlier).astype(dtype)
        parts = to_x0(output, net_input, alpha_t, sigma_t, prediction)
        x0 = guide(parts)
        own = guidance.split(parts, num_parts)[0] if guided and known is not None else x0
        if prediction == "both":
            return Denoised(x0, guide(to_eps(output, net_input, alpha_t, sigma_t, prediction)), own)
        return Denoised(x0, eps_from_x0(x0, x_t, alpha_t, sigma_t), own)

    def draw(i: jax.Array, step_noise: Any) -> jax.Array:
        if noise is not None:
            return jnp.asarray(step_noise, dtype)
        if keys is None:
            return jnp.zeros((), dtype)
        shape = x_init.shape[1:]
        return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, i), shape, dtype))(
            keys
        )

    def step(
        x_t: jax.Array, previous: Any, state: Any, inputs: Any
    ) -> tuple[jax.Array, Any, Trajectory]:
        i, step_noise = inputs
        if sampler.time_grid == "uniform":
            t, s = ((i + k).astype(dtype) / num_steps for k in (1, 0))
        else:
            t, s = grid[i + 1], grid[i]
        alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
        at_t = functools.partial(denoise, previous=previous, t=t, alpha_t=alpha_t, sigma_t=sigma_t)
        if known is not None and known.weight is not None:
            x0, eps = guided_prediction(at_t, x_t, alpha_t, sigma_t, known)
        else:
            x0, eps, _ = at_t(x_t)
        if clip is not None:
            x0 = jnp.clip(x0, *clip)
        if valid_mask is not None:
            x0 = jnp.where(valid_mask[..., None], x0, jnp.asarray(pad_value, dtype))
        if known is not None:
            x0, eps = imposed_prediction(x0, eps, x_t, alpha_t, sigma_t, known)
        fresh = _scaled(draw(i, step_noise), sampler)
        if isinstance(method, MultistepMethod):
            x_s, state = method.step(x_t, x0, eps, t, s, schedule, fresh, state)
        else:
            x_s = method.step(x_t, x0, eps, t, s, schedule, fresh)
        x_s = x_s.astype(dtype)
        if sampler.final == "x0":
            x_s = jnp.where(i == 0, x0, x_s)
        return x_s, state, Trajectory(x_t, x0)

    grid = jnp.asarray(time_grids.times(sampler.time_grid, num_steps, schedule), dtype)
    steps = jnp.arange(num_steps - 1, -1, -1, dtype=jnp.int32)
    if noise is not None and noise.shape[0] < num_steps:  # the last step's is never used
        noise = jnp.concatenate([noise, jnp.zeros_like(noise, shape=(1, *x_init.shape))])

    def body(carry: Any, inputs: Any) -> tuple[Any, Trajectory | None]:
        x_t, previous, state = carry
        x_s, state, trajectory = step(x_t, previous, state, inputs)
        previous = trajectory.x0 if self_condition else None
        return (x_s, previous, state), trajectory if return_trajectory else None

    previous = jnp.zeros_like(x_init) if self_condition else None
    state = method.init_state(x_init) if isinstance(method, MultistepMethod) else None
    (x0, _, _), trajectory = jax.lax.scan(body, (x_init, previous, state), (steps, noise))
    if known is not None and sampler.final == "step":
        x0 = impose(x0, known)
    x0, trajectory = jax.tree.map(lambda x: x.astype(given), (x0, trajectory))
    return (x0, trajectory) if return_trajectory else x0
