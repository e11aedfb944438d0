"""Losses in data space: `(pred, target, mask) -> [B]`.

All are means over the masked pixels, weighted by the mask's values, and sums over channels; an
example without a counted pixel has loss 0. They are computed and returned in at least float32,
whatever they are given.

The cross entropies read x0 in [-1, 1] as a certainty: a channel whose target is +-1 has
probability p = 1 - |pred - target| / 2. For predictions beyond [-1, 1] that has no meaning, and a
prediction of -1 for a target of 1 has p = 0 and an infinite loss; a saturated tanh comes there in
float32. Where p falls below the smallest normal number (1e-38 in float32) it is held there, so
that the loss is at most 87 per logarithm and every gradient is finite: zero where it is held.

A loss of your own is such a function, or a `Loss` if it reads the network's raw output.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.diffusion.precision import widened

Error = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Loss:
    """An error function, together with what it reads.

    Attributes:
        error: function `(pred, target, mask) -> [B]`, like those of this module.
        name: the name under which its mean is logged.
        of_output: whether `pred` is the network's raw output rather than the x0 that follows from
            it.
    """

    error: Error
    name: str
    of_output: bool = False


def masked_mse(pred: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """Squared error of each example: mean over the masked pixels, *sum* over channels.

    Args:
        pred: [B, H, W, C] predicted x0, unclipped.
        target: [B, H, W, C] x0.
        mask: [B, H, W], true or 1 where a pixel counts; or the weight of each pixel.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    error = jnp.square(widened(pred) - widened(target))
    return _masked_mean(jnp.sum(error, axis=-1), mask)


def cross_entropy_product(pred: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """-log of the whole code's probability, `-log prod_k p_k` (the released `ce1`).

    It equals `cross_entropy_channels`, except that it gives no gradient where so many channels of a
    pixel are wrong that the product is too small a number.

    Args:
        pred: [B, H, W, C] predicted x0, in [-1, 1].
        target: [B, H, W, C] x0, -1 or 1 in every counted pixel.
        mask: [B, H, W], true or 1 where a pixel counts; or the weight of each pixel.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    # Clipped at 0: the product of two negative probabilities, of wrong channels beyond [-1, 1],
    # would be that of right ones.
    product = jnp.prod(jnp.maximum(_probability(pred, target), 0), axis=-1)
    return _masked_mean(-_log(product), mask)


def cross_entropy_channels(pred: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """Sum of the channels' cross entropies, `-sum_k log p_k` (the released `ce2`).

    Args:
        pred: [B, H, W, C] predicted x0, in [-1, 1].
        target: [B, H, W, C] x0, -1 or 1 in every counted pixel.
        mask: [B, H, W], true or 1 where a pixel counts; or the weight of each pixel.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    return _masked_mean(-jnp.sum(_log(_probability(pred, target)), axis=-1), mask)


def cross_entropy_logits(logits: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """`cross_entropy_channels` of `2 sigmoid(logits) - 1`, with a gradient however wrong it is.

    It is for prediction 'p_logits'. The released code computes it too, but divides by H W C once
    more.

    Args:
        logits: [B, H, W, C] network output, the logits of the probability that a channel is 1.
        target: [B, H, W, C] x0, -1 or 1 in every counted pixel.
        mask: [B, H, W], true or 1 where a pixel counts; or the weight of each pixel.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    error = jax.nn.softplus(-widened(target) * widened(logits))
    return _masked_mean(jnp.sum(error, axis=-1), mask)


LOSSES: dict[str, Error] = {
    "mse": masked_mse,
    "ce1": cross_entropy_product,
    "ce2": cross_entropy_channels,
}


def make(loss: str | Error | Loss, prediction: str = "x") -> Loss:
    """The `Loss` of a name, or of a function of your own.

    Args:
        loss: a key of `LOSSES`, a function `(pred, target, mask) -> [B]` of predicted x0, or a
            `Loss`.
        prediction: what the network's output stands for. With 'p_logits' the name 'ce2' is
            `cross_entropy_logits` of the output itself: a saturated sigmoid has no gradient left.

    Raises:
        ValueError: an unknown name, or an object that cannot be called.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if loss == "ce2" and prediction == "p_logits":
            return Loss(cross_entropy_logits, loss, of_output=True)
        return Loss(LOSSES[loss], loss)
    if not callable(loss):
        raise ValueError(f"loss must be a name, a function or a Loss, got {loss!r}")
    return Loss(loss, getattr(loss, "__name__", type(loss).__name__))


def _masked_mean(per_pixel: jax.Array, mask: jax.Array) -> jax.Array:
    """[B, H, W] -> [B], the mean over the masked pixels."""
    mask = mask.astype(per_pixel.dtype)
    # 1e-14 as in the reference: an empty mask gives a loss of 0 rather than 0 / 0.
    return jnp.sum(per_pixel * mask, axis=(1, 2)) / (jnp.sum(mask, axis=(1, 2)) + 1e-14)


def _probability(pred: jax.Array, target: jax.Array) -> jax.Array:
    return 1 - jnp.abs(widened(pred) - widened(target)) / 2


def _log(probability: jax.Array) -> jax.Array:
    return jnp.log(jnp.maximum(probability, float(np.finfo(probability.dtype).tiny)))
