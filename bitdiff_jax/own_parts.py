"""Own encodings, losses and weights at work: what they raise or give wrongly, told in one line."""

from typing import Any

import jax
import jax.numpy as jnp

from bitdiff_jax import extensions
from bitdiff_jax.diffusion import losses, schedules, weighting
from bitdiff_jax.errors import InputError


def of_rows(values: Any, t: jax.Array, part: str) -> jax.Array:
    """What an own part gave; `InputError` unless it is one number a row, as t is."""
    if jnp.shape(values) != t.shape:
        raise InputError(
            f"objective.{part} gave {list(jnp.shape(values))} for {len(t)} rows; it must give one "
            "number a row, [B]"
        )
    return jnp.asarray(values)


def called(part: Any, name: str, *arguments: Any) -> Any:
    """What someone's part gives; `InputError` where it fails."""
    try:
        return part(*arguments)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"config.model.{name} failed: {extensions.failure(error)}") from error


def try_weight(weight: weighting.Weight, schedule: schedules.Schedule) -> None:
    """Traces a weight, computing nothing, so that a wrong one is told before a training starts."""

    def traced(t: jax.Array) -> jax.Array:
        return of_rows(weight(schedule, t), t, "weight")

    called(jax.eval_shape, "objective.weight", traced, jax.ShapeDtypeStruct((2,), jnp.float32))


def try_loss(loss: losses.Loss, num_channels: int, out_channels: int) -> None:
    """Traces a loss, computing nothing, as `try_weight` does a weight."""
    channels = out_channels if loss.of_output else num_channels

    def traced(pred: jax.Array, x0: jax.Array, mask: jax.Array) -> jax.Array:
        return of_rows(loss.error(pred, x0, mask), mask[:, 0, 0], "loss")

    shape = (2, 4, 4)
    rows = (
        jax.ShapeDtypeStruct((*shape, channels), jnp.float32),
        jax.ShapeDtypeStruct((*shape, num_channels), jnp.float32),
        jax.ShapeDtypeStruct(shape, bool),
    )
    called(jax.eval_shape, "objective.loss", traced, *rows)
