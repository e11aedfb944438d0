"""How probable a model takes a given label map of an image to be.

A map is brought to the network's size, its regions get the codes of the palette, and the bits of
these are the x0 whose variational bound is estimated (`diffusion.bound`). The palette gives a map
one x0; the model may draw the same partition under other codes as well, so that the partition is at
least as probable as its x0, and the bound holds for it too.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.diffusion import bound
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import drawing
from bitdiff_jax.inference.drawing import Item
from bitdiff_jax.model import Model, Params
from bitdiff_jax.target import make_target, valid_mask

# From where a few thousand pixels that share a bit show it to where three of them do: coarse
# structure. What comes after is about single pixels of boundaries, and of no error of labels.
COARSE = (-8.0, -1.0)


class CoarseBits(NamedTuple):
    """What the coarse structure of a map costs, with the same noise.

    Attributes:
        given: float32 [h, w] at the network's size, bits with the image; NaN where a pixel has no
            code of its own.
        alone: the same without the image.
    """

    given: np.ndarray
    alone: np.ndarray


class LogProb(NamedTuple):
    """A lower bound on the log2 of a map's probability.

    Attributes:
        value: the bound, in bits, <= 0 but for the noise of its estimate.
        standard_error: of the estimate.
        bits: float32 [h, w] at the network's size, what each pixel adds to -value.
        num_filled: pixels at the network's size without a code of their own, ignored ones and those
            of regions beyond the number of codes; they are given the nearest region's.
    """

    value: float
    standard_error: float
    bits: np.ndarray
    num_filled: int


def log_prob(
    model: Model,
    params: Params,
    item: Item,
    label_map: np.ndarray,
    *,
    num_times: int,
    logsnr_max: float | None,
    key: jax.Array,
) -> LogProb:
    """The bound of one map, see `Segmenter.log_prob`.

    Args:
        model: the model.
        params: its parameters, see `placement.placed`.
        item: the image, and its features, if they have been computed before.
        label_map: integers [h, w] of the image's shape, negative = ignore.
        num_times: see `bound.variational_bound`.
        logsnr_max: see `bound.variational_bound`.
        key: typed PRNG key.

    Raises:
        InputError: the model is not one of bits, or its parameters are not finite.
    """
    rest, rows, (height, width) = _rows(model, params, item, label_map)
    found, filled = _log_prob(
        rest, rows, key, model=model, num_times=num_times, logsnr_max=logsnr_max
    )
    bits, error, filled = jax.device_get((found.bits[0], found.standard_error[0], filled[0]))
    _check_finite(bits)
    bits = bits[:height, :width]
    return LogProb(-float(bits.sum()), float(error), bits, int(filled[:height, :width].sum()))


def coarse_bits(
    model: Model,
    params: Params,
    item: Item,
    label_map: np.ndarray,
    *,
    num_times: int,
    key: jax.Array,
) -> CoarseBits:
    """The cost of a map's coarse structure, with the image and without, see `Segmenter.surprise`.

    Args:
        model: as in `log_prob`.
        params: as in `log_prob`.
        item: as in `log_prob`.
        label_map: as in `log_prob`.
        num_times: evaluations of the network with the image, and as many without.
        key: typed PRNG key.

    Raises:
        InputError: as in `log_prob`.
    """
    rest, rows, (height, width) = _rows(model, params, item, label_map)
    found, filled = _coarse_bits(rest, rows, key, model=model, num_times=num_times)
    bits, filled = jax.device_get((found.bits, filled[0]))
    _check_finite(bits)
    given, alone = np.where(filled, np.float32(np.nan), bits)[:, :height, :width]
    return CoarseBits(given, alone)


def _rows(
    model: Model, params: Params, item: Item, label_map: np.ndarray
) -> tuple[Params, dict[str, Any], tuple[int, int]]:
    """Parameters without the encoder's, the arrays of the one row, and its valid rectangle."""
    if not isinstance(model.encoding, BitEncoding):
        raise InputError(
            f"encoding: {type(model.encoding).__name__} has no bound; it takes a model of bits"
        )
    rest, encode = drawing.split_encoder(model, params)
    arrays, _, size = drawing.prepare(item, model, encode)
    ids = labelmaps.renumber(label_map)[1].astype(np.int32)
    if model.palette.background and (label_map == 0).any():
        ids = np.where(label_map < 0, -1, ids - ids[label_map == 0][0])
    small = labelmaps.resize_labels(ids, size)
    square = transforms.pad_to_square(
        labelmaps.compact_objects(small, has_background=True)
        if model.palette.background
        else labelmaps.compact(small)[0],
        model.image_size,
        labelmaps.IGNORE,
    )
    rows = {**arrays, "labels": square, "size": np.array(size, np.int32)}
    return rest, {name: each[None] for name, each in rows.items()}, size


@functools.partial(jax.jit, static_argnames=("model", "num_times", "logsnr_max"))
def _log_prob(
    params: Params, rows: dict[str, jax.Array], key: jax.Array, *, model: Model, num_times: int,
    logsnr_max: float | None,
) -> tuple[bound.Estimate, jax.Array]:  # fmt: skip
    x0, filled, cond, given = _given(params, rows, key, model)
    found = bound.variational_bound(
        functools.partial(model.apply, params), x0, cond, key[None], num_times=num_times,
        logsnr_max=logsnr_max, **given,
    )  # fmt: skip
    return found, filled


@functools.partial(jax.jit, static_argnames=("model", "num_times"))
def _coarse_bits(
    params: Params, rows: dict[str, jax.Array], key: jax.Array, *, model: Model, num_times: int
) -> tuple[bound.Estimate, jax.Array]:
    x0, filled, cond, given = _given(params, rows, key, model)
    both = jax.tree.map(lambda each: jnp.concatenate([each, jnp.zeros_like(each)]), cond)
    twice = jax.tree.map(lambda each: jnp.concatenate([each, each]), (x0, given.pop("valid_mask")))
    found = bound.bits_of_range(
        functools.partial(model.apply, params), twice[0], both, jnp.stack([key, key]), COARSE,
        num_times=num_times, valid_mask=twice[1], **given,
    )  # fmt: skip
    return found, filled


def _given(
    params: Params, rows: dict[str, jax.Array], key: jax.Array, model: Model
) -> tuple[jax.Array, jax.Array, Any, dict[str, Any]]:
    """x0, the pixels that were filled, the condition, and what else `bound` takes of the model."""
    valid = valid_mask(rows["size"], rows["labels"].shape[1:])
    target = make_target(
        rows["labels"], valid, model.palette, model.encoding, fill_ignored=True,
        key=jax.random.fold_in(key, 1 << 31),
    )  # fmt: skip
    cond = model.encode_image(params, rows["image"], valid, rows.get("features"))
    as_released = model.objective.padding == "as_released"
    given = {
        "schedule": model.schedule,
        "prediction": model.prediction,
        "valid_mask": valid,
        "pad_value": -1.0 if as_released else model.encoding.pad_value,  # as in sampling
        "self_condition": model.self_conditioned,
    }
    return target.x0, valid & (target.codes < 0), cond, given


def _check_finite(bits: np.ndarray) -> None:
    if not np.isfinite(bits).all():
        raise InputError(
            "the model's parameters are not finite, so it has no probabilities; use an earlier "
            "checkpoint"
        )
