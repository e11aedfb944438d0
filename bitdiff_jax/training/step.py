"""One step of training, compiled for a mesh."""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import partition_rules
from bitdiff_jax.parallel.mesh import AXES, batch_sharding, check_batch_size, replicated
from bitdiff_jax.training.optimizer import global_norm
from bitdiff_jax.training.state import TrainState
from bitdiff_jax.training_loss import Draws, RowLosses

Metrics = dict[str, jax.Array]
Batch = dict[str, jax.Array]
_NOTHING: Params = types.MappingProxyType({})
TrainStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


def make_train_step(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    ema_decay: float,
    ema_warmup: bool,
    mesh: Mesh,
    state_shardings: Any,
    accumulate: int = 1,
    frozen: Params | None = None,
) -> TrainStep:
    """Builds `train_step(state, batch, key) -> (state, metrics)`; the old state is donated.

    The step folds its number into `key`, so the same key is passed every time and a resumed run
    draws what the unbroken one would have. Metrics stay on the devices.

    Devices communicate once per step, not once per part: parameters that are split are gathered
    once, and gradients are summed over the devices once, each tensor arriving split like its
    parameter.

    Args:
        model: the model that is trained.
        tx: the optimizer.
        ema_decay: decay of the exponential moving average of the parameters, in [0, 1).
        ema_warmup: whether the average follows faster at first, with decay
            min(decay, (1 + n) / (10 + n)). The reference implementation does not do so, which suits
            300,000 steps but not 3,000.
        mesh: the mesh over which the batch is split.
        state_shardings: a tree of shardings with the structure of the state.
        accumulate: number of parts of equal size in which each device runs its rows, one after the
            other. The step takes the mean of their gradients, so that it is the same step with the
            memory for the activations of one part.
        frozen: parameters beside those of the state that the model needs and the step does not
            change, such as {'encoder': ...}, on every device of the mesh.

    Raises:
        InputError: the batch is no multiple of devices x accumulate; raised at the first call.
    """
    gradients = make_gradients(model, mesh, state_shardings.params, accumulate)

    def train_step(
        state: TrainState, batch: Batch, key: jax.Array, frozen: Params = _NOTHING
    ) -> tuple[TrainState, Metrics]:
        step_key = jax.random.fold_in(key, state.step)
        loss, aux, grads = gradients(state.params, batch, step_key, frozen)
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
        return new_state, {"loss": loss, "grad_norm": global_norm(grads), **aux}

    shardings = (state_shardings, batch_sharding(mesh), replicated(mesh), replicated(mesh))
    jitted = jax.jit(
        train_step,
        in_shardings=shardings if frozen else shardings[:3],
        out_shardings=(state_shardings, replicated(mesh)),
        donate_argnums=0,
    )
    return _WithFrozen(jitted, frozen) if frozen else jitted


@dataclasses.dataclass(frozen=True)
class _WithFrozen:
    """A compiled step that is given the frozen parameters as well: not constants in the program."""

    jitted: Any
    frozen: Params

    def __call__(
        self, state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        """The step."""
        stepped: tuple[TrainState, Metrics] = self.jitted(state, batch, key, self.frozen)
        return stepped

    def lower(self, state: Any, batch: Any, key: Any) -> jax.stages.Lowered:
        """The step's program, lowered for these shapes."""
        lowered: jax.stages.Lowered = self.jitted.lower(state, batch, key, self.frozen)
        return lowered


def step_from_config(
    config: ml_collections.ConfigDict,
    model: Model,
    tx: optax.GradientTransformation,
    mesh: Mesh,
    state_shardings: Any,
    frozen: Params | None = None,
) -> TrainStep:
    """Calls `make_train_step` with the settings of a config."""
    return make_train_step(
        model,
        tx,
        ema_decay=config.optimizer.ema_decay,
        ema_warmup=config.optimizer.ema_warmup,
        mesh=mesh,
        state_shardings=state_shardings,
        accumulate=config.train.accumulate,
        frozen=frozen,
    )


def make_gradients(
    model: Model, mesh: Mesh, param_shardings: Any, accumulate: int = 1
) -> Callable[..., tuple[jax.Array, Metrics, Params]]:
    """Builds `gradients(params, batch, key) -> (loss, aux, grads)`: `model.loss` and its gradient.

    A fourth argument holds parameters that the model needs and that get no gradient. Times, noise
    and image dropout are drawn for the global batch, before it is split.
    """
    rows, whole = PartitionSpec(AXES), PartitionSpec()
    specs = jax.tree.map(lambda sharding: sharding.spec, param_shardings)

    def gradients(
        params: Params, batch: Batch, key: jax.Array, frozen: Params = _NOTHING
    ) -> tuple[jax.Array, Metrics, Params]:
        shape = batch["labels"].shape
        check_batch_size(shape[0], mesh, accumulate)

        def on_device(
            params: Params, batch: Batch, draws: Draws, frozen: Params
        ) -> tuple[RowLosses, Params]:
            """Sums losses and gradients over this device's rows, then over all devices."""

            def total(params: Params, part: tuple[Batch, Draws]) -> tuple[jax.Array, RowLosses]:
                every = {**params, **frozen} if frozen else params
                totals = jax.tree.map(jnp.sum, model.row_losses(every, *part))
                return totals.loss / shape[0], totals

            grad = jax.grad(total, has_aux=True)
            if accumulate == 1:
                grads, totals = grad(params, (batch, draws))
            else:
                grads, totals = _sum_of_parts(grad, params, (batch, draws), accumulate)
            return jax.lax.psum(totals, AXES), jax.tree.map(_sum_over_devices, grads, specs)

        # Mapped by hand rather than left to the partitioner, which would sum the gradients over
        # the devices after each part, and may split the inside of the network.
        totals, grads = jax.shard_map(
            on_device,
            mesh=mesh,
            in_specs=(whole, rows, rows, whole),
            out_specs=(whole, specs),
            check_vma=False,  # otherwise gradients of whole parameters would be summed part by part
        )(params, batch, _split_rows(model.draw(key, shape), mesh), dict(frozen))
        loss, aux = model.summary(totals, shape[0])
        return loss, aux, grads

    return gradients


def _split_rows(draws: Draws, mesh: Mesh) -> Draws:
    return jax.lax.with_sharding_constraint(draws, NamedSharding(mesh, PartitionSpec(AXES)))


def _sum_of_parts(grad: Callable[..., Any], params: Params, rows: Any, count: int) -> Any:
    """Sums `grad` over `count` parts of the rows, in a loop."""

    def parts(x: jax.Array) -> jax.Array:
        # [B] -> [B / a, a] -> [a, B / a]: the split axis stays first in the reshape, so that no
        # row changes its device even where the partitioner does the reshape.
        return x.reshape(x.shape[0] // count, count, *x.shape[1:]).swapaxes(0, 1)

    def add(sums: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, grad(params, part)), None

    stacked = jax.tree.map(parts, rows)
    first = jax.tree.map(lambda x: x[0], stacked)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(grad, params, first))
    return jax.lax.scan(add, zeros, stacked)[0]


def _sum_over_devices(x: jax.Array, spec: PartitionSpec) -> jax.Array:
    """This device's part, by `spec`, of the sum over all devices."""
    split = [axis for entry in spec for axis in partition_rules.axes_of(entry)]
    if whole := tuple(axis for axis in AXES if axis not in split):
        x = jax.lax.psum(x, whole)
    for dimension, entry in enumerate(spec):
        if names := partition_rules.axes_of(entry):
            x = jax.lax.psum_scatter(x, names, scatter_dimension=dimension, tiled=True)
    return x
