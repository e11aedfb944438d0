"""The state that training carries from step to step."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from bitdiff_jax.model import Model, Params


@struct.dataclass
class TrainState:
    """Everything that a checkpoint must hold, as a plain pytree."""

    step: jax.Array  # int32 [], number of optimizer steps taken
    params: Params
    ema_params: Params
    opt_state: Any


def init_state(model: Model, tx: optax.GradientTransformation, key: jax.Array) -> TrainState:
    """The state before the first step. The average starts at the initial parameters."""
    params = model.init(key)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        # A copy, because a donated state must not hold one buffer twice.
        ema_params=jax.tree.map(jnp.copy, params),
        opt_state=tx.init(params),
    )
