"""What every encoder does with an image and its parameters first."""

from typing import Any

import jax
import jax.numpy as jnp

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.conventions import at_least_float32

# Of ImageNet's images, in steps of 8 bits.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def check_image_size(image_size: int, multiple: int) -> None:
    """Raises InputError unless a square of that side can be encoded.

    Args:
        image_size: side in px.
        multiple: what it has to be a multiple of.
    """
    if not isinstance(image_size, int) or image_size < multiple or image_size % multiple:
        raise InputError(f"image_size is {image_size}; give a positive multiple of {multiple}")


def normalise(
    image: jax.Array,
    size: jax.Array,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> jax.Array:
    """(image - mean) / std within the image's size, and 0 beyond it, as Segment Anything pads.

    Args:
        image: uint8 [B, N, N, 3].
        size: (height, width) of the image at the top left, int32 [B, 2].
        mean: of each channel, in the image's unit.
        std: of each channel, in the image's unit.

    Returns:
        float32 [B, N, N, 3].
    """
    rows = jnp.arange(image.shape[1]) < size[:, :1]
    columns = jnp.arange(image.shape[2]) < size[:, 1:]
    inside = rows[:, :, None, None] & columns[:, None, :, None]
    x = (image.astype(jnp.float32) - jnp.array(mean)) / jnp.array(std)
    return jnp.where(inside, x, 0.0)


def in_float32(params: Any) -> Any:
    """Parameters stored in fewer bits, as float32."""
    return jax.tree.map(lambda each: jnp.asarray(each, at_least_float32(each.dtype)), params)
