"""The training loss: what is minimised, what a step draws for it, and the loss of each row."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bitdiff_jax import own_parts
from bitdiff_jax.diffusion import losses, parameterization, prng_keys, times, weighting
from bitdiff_jax.diffusion.sampling import DenoiseFn
from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.image_condition import Condition
from bitdiff_jax.target import Target, region_areas


@dataclasses.dataclass(frozen=True)
class Objective:
    """What training minimises.

    Attributes:
        weight: weight of the error at time t: a key of `weighting.WEIGHTS` or your own function
            `(schedule, t) -> weights`; 'sigmoid' is the paper's.
        bias: bias of the sigmoid weight: the logsnr at which it has fallen to a half. The other
            weights have none.
        decoupled: whether the weight is multiplied by -dlogsnr/dt.
        loss: error of the prediction: a key of `losses.LOSSES`, or your own, see `losses.make`;
            'mse' is the paper's.
        times: how training times are drawn: a key of `times.TIMES`.
        image_keep: probability, in [0, 1], with which an example keeps its image; the others see
            the empty one, which is what guidance needs.
        self_condition: probability, in [0, 1], with which an example sees the network's own first
            guess of x0 (arXiv 2208.04202); above 0 the network has input channels for it.
        feature_dropout: probability, in [0, 1), with which an example does not see a channel of
            those that an encoder's features are reduced to, each by itself; the others are scaled
            up. It is for small sets of images, which a network would learn by heart.
        region_balance: exponent b, in [0, 1]: a pixel has the weight area^-b of its region in the
            mean over an image's pixels. 0, the paper's, counts pixels alike, so that large regions
            decide; 1 counts regions alike. More of it draws more and smaller regions.
        padding: what happens on padding. 'exclude' keeps it out of loss and palette, with x0 = 0
            there in training and in sampling; 'as_released' trains on it like on the image and sets
            x0 = -1 there in sampling.
        ignored: what x0 is where pixels have no label. 'nearest' fills them with the nearest
            region's code, so that x_t does not tell where they are; 'as_released' leaves x0 = 0
            there. Either way they are out of the loss.
    """

    weight: str | weighting.Weight = "sigmoid"
    bias: float = -4.0
    decoupled: bool = True
    loss: str | losses.Error | losses.Loss = "mse"
    times: str = "stratified"
    image_keep: float = 0.95
    self_condition: float = 0.0
    feature_dropout: float = 0.0
    region_balance: float = 0.0
    padding: str = "exclude"
    ignored: str = "nearest"


class Draws(NamedTuple):
    """What a training step draws, row by row."""

    t: jax.Array  # float32 [B], times
    eps: jax.Array  # float32 [B, S, S, C], noise
    keep: jax.Array  # bool [B], whether the row sees its image
    guess: jax.Array | None  # bool [B], whether it sees a first guess of x0; None: not an input
    channels: jax.Array | None  # bool [B, F], which channels of features it sees; None: all
    codes: jax.Array  # [B] PRNG keys of the codes that palette layout 'none' draws
    prompts: jax.Array  # [B] PRNG keys of the prompts, see `prompts.draw`


class RowLosses(NamedTuple):
    """Losses of each row of a batch, float32 [B]; or their sums over the rows, float32 []."""

    loss: jax.Array  # what is minimised
    error: jax.Array  # the loss without its weight
    excess_pixels: jax.Array  # number of pixels of regions beyond the number of codes
    dropped_pixels: jax.Array  # number of pixels of regions beyond max_regions
    valid_pixels: jax.Array


def draw(
    key: jax.Array,
    shape: tuple[int, ...],
    objective: Objective,
    num_channels: int,
    feature_channels: int = 0,
) -> Draws:
    """The randomness of one training step.

    Args:
        key: PRNG key of the step.
        shape: shape (B, S, S) of the batch's labels.
        objective: what training minimises.
        num_channels: number of channels of x0.
        feature_channels: number of channels that features are reduced to; 0 without an encoder.
    """
    key = prng_keys.typed(key)
    key_time, key_noise, key_drop = jax.random.split(key, 3)
    batch_size, guess, channels = shape[0], None, None
    if objective.self_condition > 0:
        share = jnp.float32(objective.self_condition)
        guess = jax.random.bernoulli(jax.random.fold_in(key, 2), share, (batch_size,))
    if objective.feature_dropout > 0 and feature_channels:
        share = jnp.float32(1 - objective.feature_dropout)
        shown = (batch_size, feature_channels)
        channels = jax.random.bernoulli(jax.random.fold_in(key, 3), share, shown)
    return Draws(
        t=times.TIMES[objective.times](key_time, batch_size),
        eps=jax.random.normal(key_noise, (*shape, num_channels), jnp.float32),
        keep=jax.random.bernoulli(key_drop, jnp.float32(objective.image_keep), (batch_size,)),
        guess=guess,
        channels=channels,
        codes=jax.random.split(jax.random.fold_in(key, 1), batch_size),
        prompts=jax.random.split(jax.random.fold_in(key, 4), batch_size),
    )


def row_losses(
    denoise_fn: DenoiseFn,
    target: Target,
    valid_mask: jax.Array,
    cond: Condition,
    draws: Draws,
    objective: Objective,
    *,
    num_codes: int,
    schedule: Schedule,
    prediction: parameterization.Prediction,
) -> RowLosses:
    """The loss of each row and what is logged beside it; no row depends on another.

    Args:
        denoise_fn: `(x_t [B, S, S, C], t [B], cond) -> raw network output`, with an earlier guess
            of x0 as a fourth argument where `draws` has one; see `diffusion.sampling.sample`.
        target: the x0 of the rows, and the mask of the pixels that count.
        valid_mask: bool [B, S, S], false on padding.
        cond: the condition, a tree of [B, ...] arrays.
        draws: what `draw` drew for these rows.
        objective: what training minimises.
        num_codes: number of codes of the encoding.
        schedule: the noise schedule.
        prediction: what the network's output stands for, see `diffusion.parameterization`.
    """
    t, eps = draws.t, draws.eps
    alpha = parameterization.expand(schedule.alpha(t), eps)
    sigma = parameterization.expand(schedule.sigma(t), eps)
    x_t = parameterization.diffuse(target.x0, eps, alpha, sigma)
    if draws.channels is not None:
        shown = draws.channels / jnp.float32(1 - objective.feature_dropout)
        cond = cond | {"features": cond["features"] * shown[:, None, None]}
    # Image and features are dropped as one.
    cond = jax.tree.map(lambda x: jnp.where(parameterization.expand(draws.keep, x) > 0, x, 0), cond)

    def to_x0(output: jax.Array) -> jax.Array:
        return parameterization.to_x0(output, x_t, alpha, sigma, prediction)

    previous: tuple[jax.Array, ...] = ()
    if draws.guess is not None:
        output = denoise_fn(x_t, t, cond, jnp.zeros_like(x_t))
        guess = jax.lax.stop_gradient(to_x0(output))
        previous = (jnp.where(parameterization.expand(draws.guess, guess) > 0, guess, 0),)
    output = denoise_fn(x_t, t, cond, *previous)
    loss = losses.make(objective.loss, prediction)
    pred = output if loss.of_output else to_x0(output)
    mask = pixel_weights(target, objective.region_balance, num_codes)
    error = own_parts.of_rows(loss.error(pred, target.x0, mask), t, "loss")
    weight = weighting.make(objective.weight, objective.bias, objective.decoupled)
    return RowLosses(
        loss=own_parts.of_rows(weight(schedule, t), t, "weight") * error,
        error=error,
        excess_pixels=target.excess_pixels.astype(jnp.float32),
        dropped_pixels=target.dropped_pixels.astype(jnp.float32),
        valid_pixels=jnp.sum(valid_mask, (1, 2), dtype=jnp.float32),
    )


def pixel_weights(target: Target, region_balance: float, num_codes: int) -> jax.Array:
    """How much each pixel counts in the loss of its image.

    Args:
        target: the target of a batch.
        region_balance: see `Objective`.
        num_codes: number of codes of the encoding.

    Returns:
        [B, S, S]: the loss mask, bool, where region_balance is 0; otherwise float32, area^-b of the
        pixel's region, and 0 outside of the loss mask.
    """
    if region_balance == 0:
        return target.loss_mask
    areas = jnp.maximum(region_areas(target.codes, num_codes), 1).astype(jnp.float32)
    return jnp.where(target.loss_mask, areas**-region_balance, 0.0)


def summary(
    totals: RowLosses, batch_size: int, num_channels: int, error_name: str
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Sums over the rows of a batch -> the mean loss and a dict of scalars worth logging.

    Args:
        totals: the sums, float32 [].
        batch_size: number of rows.
        num_channels: number of channels of x0, over which the error is a sum.
        error_name: name under which the mean error of a channel is logged.
    """
    pixels = jnp.maximum(totals.valid_pixels, 1)
    return totals.loss / batch_size, {
        error_name: totals.error / (batch_size * num_channels),
        "excess_share": totals.excess_pixels / pixels,
        "dropped_share": totals.dropped_pixels / pixels,
    }
