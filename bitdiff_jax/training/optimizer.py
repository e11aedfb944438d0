"""AdamW or Muon, with warm-up, a constant stretch and a cosine tail, behind a clip of the norm."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from optax import contrib

from bitdiff_jax.errors import InputError


def learning_rate(
    peak: float, total_steps: int, warmup_steps: int, decay_steps: int
) -> optax.Schedule:
    """peak * min(n / warmup, 1) * (1 + cos(pi * clip((n - (total - decay)) / decay, 0, 1))) / 2.

    n counts from 1: the first step (optax count 0) has peak / warmup, the last one has 0, as in the
    reference implementation. Beyond `total_steps` the rate stays 0.

    Args:
        peak: the constant rate between warm-up and decay.
        total_steps: number N >= 1 of steps of the training.
        warmup_steps: number of steps of the linear warm-up, from 0 to N.
        decay_steps: number of steps of the cosine decay at the end, from 0 to N.

    Returns:
        A function of the optax count (0 at the first step).
    """
    if not 0 <= warmup_steps + decay_steps <= total_steps:
        raise InputError(
            f"config.optimizer: warmup_steps={warmup_steps} and decay_steps={decay_steps} do not "
            f"fit into config.train.num_steps={total_steps}; shorten them"
        )
    pieces, ends = [], []
    if warmup_steps:
        pieces.append(optax.linear_schedule(0.0, peak, warmup_steps))
        ends.append(warmup_steps)
    pieces.append(optax.constant_schedule(peak))
    ends.append(total_steps - decay_steps)
    pieces.append(
        optax.cosine_decay_schedule(peak, decay_steps)
        if decay_steps
        else optax.constant_schedule(peak)
    )
    joined = optax.join_schedules(pieces, ends)
    return lambda count: joined(count + 1)


def make_optimizer(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """The optimizer that `config.optimizer.name` names, behind a clip of the global gradient norm.

    Args:
        config: the whole config; `optimizer`, `train.num_steps` and `model.encoder.tuned` are read.
    """
    c = config.optimizer
    encoder = config.model.encoder
    # A tuned encoder has a rate of its own: the others' times this.
    slower = c.encoder_learning_rate / c.learning_rate if encoder.tuned else 1.0
    rate = learning_rate(c.learning_rate, config.train.num_steps, c.warmup_steps, c.decay_steps)
    return optax.chain(
        _clip_by_global_norm(c.clip_norm),
        OPTIMIZERS[c.name](rate, c),
        *([_scaled_encoder(slower)] if encoder.tuned else []),
    )


def _adamw(rate: optax.Schedule, c: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """AdamW (arXiv 1711.05101) for all parameters."""
    return optax.adamw(rate, b1=c.b1, b2=c.b2, eps=c.eps, weight_decay=c.weight_decay)


def _muon(rate: optax.Schedule, c: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """Muon (arXiv 2502.16982) for kernels, and AdamW with Nesterov's momentum for the rest.

    A kernel is a matrix from all its inputs to its outputs, whose momentum is made orthogonal. The
    root mean square of its update is .2 of the rate, about that of AdamW (ibid., eq. 4), so that
    one learning rate serves both. `b1` is the decay of either momentum.
    """
    return contrib.muon(
        rate,
        beta=c.b1,
        weight_decay=c.weight_decay,
        adam_b1=c.b1,
        adam_b2=c.b2,
        eps=c.eps,
        adam_weight_decay=c.weight_decay,
        adam_learning_rate=rate,
        muon_weight_dimension_numbers=_matrices,
        consistent_rms=0.2,
    )


def _matrices(params: Any) -> Any:
    """Which axes of each kernel are inputs, all but the last; None where Muon is not used."""
    return jax.tree.map(
        lambda x: (
            contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), x.ndim - 1)
            if x.ndim > 1
            else None
        ),
        params,
    )


OPTIMIZERS: dict[
    str, Callable[[optax.Schedule, ml_collections.ConfigDict], optax.GradientTransformation]
] = {"adamw": _adamw, "muon": _muon}


def _scaled_encoder(factor: float) -> optax.GradientTransformation:
    """Multiplies the updates of the parameters under 'encoder'."""

    def update(updates: Any, params: Any) -> Any:
        del params
        return {
            name: jax.tree.map(lambda g: g * factor, tree) if name == "encoder" else tree
            for name, tree in updates.items()
        }

    return optax.stateless(update)


def global_norm(grads: Any) -> jax.Array:
    """The norm of `optax.tree.norm`, with one reduction for all vectors of the same length.

    A network has hundreds of biases and scales, and a TPU takes a microsecond for a reduction.
    """
    total: jax.Array | float = 0.0
    vectors: dict[tuple[int, ...], jax.Array] = {}
    for x in jax.tree.leaves(grads):
        if x.ndim == 1:
            vectors[x.shape] = vectors.get(x.shape, 0) + jnp.square(x)
        else:
            total += jnp.sum(jnp.square(x))
    return jnp.sqrt(total + sum(jnp.sum(squares) for squares in vectors.values()))


def _clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
    """Does the same as `optax.clip_by_global_norm`, with `global_norm` and one product."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        factor = jnp.minimum(1, max_norm / global_norm(updates))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
