"""One step of training, compiled for a mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from bitdiff_jax.model import Model
from bitdiff_jax.parallel.mesh import batch_sharding, replicated
from bitdiff_jax.training.state import TrainState

Metrics = dict[str, jax.Array]
TrainStep = Callable[[TrainState, dict[str, jax.Array], jax.Array], tuple[TrainState, Metrics]]


def make_train_step(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    ema_decay: float,
    ema_warmup: bool,
    mesh: Mesh,
    state_shardings: Any,
) -> TrainStep:
    """Builds `train_step(state, batch, key) -> (state, metrics)`; the old state is donated.

    The step folds its number into `key`, so the same key is passed every time and a resumed run
    draws what the unbroken one would have. Metrics stay on the devices.

    Args:
        model: the model.
        tx: the optimizer.
        ema_decay: of the exponential moving average of the parameters.
        ema_warmup: let the average follow faster at first, min(decay, (1 + n) / (10 + n)); the
            reference implementation does not, which suits 300,000 steps but not 3,000.
        mesh: the mesh over which the batch is split.
        state_shardings: a tree of shardings like the state.
    """

    def train_step(
        state: TrainState, batch: dict[str, jax.Array], key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(key, state.step)
        (loss, aux), grads = jax.value_and_grad(model.loss, has_aux=True)(state.params, batch, key)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.float32(ema_decay)
        if ema_warmup:
            decay = jnp.minimum(decay, (1 + state.step) / (10 + state.step))
        new_state = TrainState(
            step=state.step + 1,
            params=params,
            ema_params=optax.incremental_update(params, state.ema_params, 1 - decay),
            opt_state=opt_state,
        )
        return new_state, {"loss": loss, "grad_norm": optax.tree.norm(grads), **aux}

    return jax.jit(
        train_step,
        in_shardings=(state_shardings, batch_sharding(mesh), replicated(mesh)),
        out_shardings=(state_shardings, replicated(mesh)),
        donate_argnums=0,
    )
