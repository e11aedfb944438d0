"""How probable a model takes a label map that somebody gives, and which of its regions look wrong.

`Segmenter.log_prob` and `Segmenter.surprise` are these functions for a model that it holds.
"""

from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.data import transforms
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import drawing, image_input, likelihood
from bitdiff_jax.inference import surprise as surprise_lib
from bitdiff_jax.inference.likelihood import LogProb
from bitdiff_jax.inference.request import Request, check_integer
from bitdiff_jax.inference.surprise import Surprise
from bitdiff_jax.model import Model, Params


def log_prob(
    model: Model,
    params: Params,
    image: Any,
    label_map: ArrayLike,
    num_times: int,
    seed: int,
    *,
    logsnr_max: float | None,
    name: str | None,
) -> LogProb:
    """A lower bound on the log2 of a map's probability, see `Segmenter.log_prob`.

    Args:
        model: the model.
        params: its parameters, see `placement.placed`.
        image: see `Segmenter.__call__`.
        label_map: integers [h, w] of the image's shape, negative = ignore.
        num_times: evaluations of the network, at least 2.
        seed: in [0, 2^32).
        logsnr_max: see `bound.variational_bound`.
        name: of the image, from which, with the seed, the noise is drawn; None for its own.

    Raises:
        InputError: see `Segmenter.log_prob`.
    """
    check_integer("num_times", num_times, 2)
    key, item = key_of(image, seed, name), drawing.Item("", image_input.as_rgb(image))
    return likelihood.log_prob(
        model, params, item, checked(label_map, item.image), num_times=num_times,
        logsnr_max=logsnr_max, key=key,
    )  # fmt: skip


def surprise(
    model: Model,
    params: Params,
    image: Any,
    label_map: ArrayLike,
    num_times: int,
    seed: int,
    *,
    name: str | None,
    sampler: Sampler,
    num_samples: int = 0,
) -> Surprise:
    """Which regions of a map the image does not bear out, see `Segmenter.surprise`.

    Args:
        model: as in `log_prob`.
        params: as in `log_prob`.
        image: as in `log_prob`.
        label_map: as in `log_prob`.
        num_times: evaluations of the network with the image, and as many without; at least 2.
        seed: as in `log_prob`.
        name: as in `log_prob`.
        sampler: by which samples are drawn, but without guidance and at temperature 1.
        num_samples: maps drawn, 0 or at least 2.

    Raises:
        InputError: see `Segmenter.surprise`.
    """
    check_integer("num_times", num_times, 2)
    check_integer("num_samples", num_samples, 0)
    if num_samples == 1:
        raise InputError("num_samples is 1, which nothing is compared with; give 0 or at least 2")
    key = key_of(image, seed, name)
    item = drawing.Item(
        image_input.name_of(image) if name is None else name, image_input.as_rgb(image)
    )
    found = checked(label_map, item.image)
    bits = likelihood.coarse_bits(model, params, item, found, num_times=num_times, key=key)
    if not num_samples:
        return surprise_lib.of_bits(bits, found)
    plain = sampler.override(guidance_weight=0.0, temperature=1.0).without_idle_half()
    request = Request(num_samples, seed, batch_size=num_samples, min_area=0)
    drawn = next(drawing.draw(model, params, [item], plain, request))
    return surprise_lib.of_bits(bits, found, drawn.codes)


def key_of(image: Any, seed: int, name: str | None) -> jax.Array:
    """The key of an image, from which the keys of its samples are made too.

    Raises:
        InputError: the seed is out of its range.
    """
    Request(seed=seed)  # checks it
    name = image_input.name_of(image) if name is None else name
    return jax.random.fold_in(jax.random.key(seed), transforms.image_id(name))


def checked(label_map: ArrayLike, image: np.ndarray) -> np.ndarray:
    """The map as an array.

    Raises:
        InputError: it is no map of this image, or ignores all of it.
    """
    found = np.asarray(label_map)
    shape = image.shape[:2]
    if found.shape != shape or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            f"label_map is {found.dtype} of shape {found.shape}; give integers of the image's "
            f"shape, {shape}"
        )
    if not (found >= 0).any():
        raise InputError("label_map: all pixels are ignored (negative); label some")
    return found
