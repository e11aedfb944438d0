"""Draws label maps of an image layer of napari."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.napari_plugin.maps_layers import layers

if TYPE_CHECKING:
    import napari

    from bitdiff_jax.inference import Segmenter


def draw(
    image: "napari.layers.Image",
    num_samples: int = 4,
    seed: int = 0,
    weights: str = "photos",
    min_area: str = "8 drawn",
) -> "list[napari.types.LayerDataTuple]":
    """Draws label maps of a layer, and their agreement.

    napari makes the widget from the arguments.

    Args:
        image: the layer: RGB, or one plane of grey, whose contrast limits become black and white.
        num_samples: label maps to draw.
        seed: of the randomness, together with the layer's name.
        weights: a model, see `Segmenter.from_pretrained`.
        min_area: smaller pieces are given to what surrounds them, see `inference.specks.threshold`.

    Returns:
        Layers as of `maps_layers.layers`, in the place of the image's.

    Raises:
        InputError: the layer has more axes than an image, or as of `Segmenter`.
    """
    pixels = _as_bytes(image)
    result = _segmenter(weights)(pixels, num_samples, seed=seed, name=image.name, min_area=min_area)
    placed = {"scale": tuple(image.scale), "translate": tuple(image.translate)}
    return layers(result.label_map(), result.label_maps, result.agreement, image.name, **placed)


def _as_bytes(image: Any) -> np.ndarray:
    """The layer's pixels as uint8, [h, w, 3], [h, w, 4] or [h, w]."""
    data = np.asarray(image.data)
    if data.ndim != (3 if image.rgb else 2):
        raise InputError(
            f"image: the layer {image.name!r} has the shape {data.shape}; choose one that is RGB "
            "or a single plane, such as a slice of a stack"
        )
    if data.dtype == np.uint8:
        return data
    # napari shows RGB of floats from 0 to 1, and of larger integers by their type's range.
    low, high = image.contrast_limits
    if image.rgb:
        low, high = 0, 1 if data.dtype.kind == "f" else np.iinfo(data.dtype).max
    scaled = (data.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.rint(np.clip(np.nan_to_num(scaled), 0, 1) * 255).astype(np.uint8)


@functools.lru_cache(maxsize=1)
def _segmenter(weights: str) -> "Segmenter":
    """The model, which stays compiled for the next image."""
    from bitdiff_jax.inference import Segmenter  # imports jax, and napari starts without

    return Segmenter.from_pretrained(weights)
