"""The condition: what the network sees of an image and of a pretrained encoder's features."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from bitdiff_jax import feature_grids
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.condition import FeatureStem
from bitdiff_jax.nets.encoders.interface import Encoder
from bitdiff_jax.nets.patches import space_to_depth

Condition = Any  # a tree of float32 arrays [B, S, S, channels]
Features = jax.Array | feature_grids.StoredCells  # see `nets.condition.FeatureStem`
IMAGE_CHANNELS = 3


def normalised(
    image: jax.Array, mean: tuple[float, ...], std: tuple[float, ...], image_scale: int
) -> jax.Array:
    """An image as the network sees it.

    Args:
        image: images, uint8 [B, M, M, 3], where M = image_scale * S.
        mean: mean of each channel, in [0, 1].
        std: standard deviation of each channel, in [0, 1].
        image_scale: side of the block of pixels that become the channels of one pixel.

    Returns:
        float32 [B, S, S, 3 * image_scale**2].
    """
    means, stds = jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
    return space_to_depth((image.astype(jnp.float32) / 255 - means) / stds, image_scale)


@dataclasses.dataclass(frozen=True)
class ImageFeatures:
    """How a pretrained encoder's features reach the network.

    Attributes:
        encoder: the image encoder: any object that satisfies `nets.encoders.interface.Encoder`.
        grid: number G of cells along the square that the network sees; it divides S.
        channels: number of channels, for each pixel, that a cell's features are reduced to.
        scale: factor of the features that brings them to the order of 1.
        tuned: whether the encoder is trained too. A frozen one is no part of what `Model.init`
            returns; whoever encodes images puts its parameters beside the others, as 'encoder'.
    """

    encoder: Encoder
    grid: int = 64
    channels: int = 32
    scale: float = 1.0
    tuned: bool = False

    def init(self, key: jax.Array, image_size: int) -> dict[str, Any]:
        """Fresh parameters: 'features', the feature stem's, and 'encoder' if it is tuned.

        Args:
            key: typed PRNG key.
            image_size: side S, in pixels, of the label map.
        """
        cells = jnp.zeros((1, self.grid, self.grid, self.encoder.channels), jnp.float32)
        stem = self._stem(image_size).init(jax.random.fold_in(key, 1), cells)["params"]
        if not self.tuned:
            return {"features": stem}
        return {"features": stem, "encoder": self.encoder.init(jax.random.fold_in(key, 2))}

    def encode(
        self,
        params: Any,
        encoder_image: jax.Array,
        encoder_size: jax.Array,
        size: jax.Array,
        image_size: int,
    ) -> jax.Array:
        """The encoder's features of images, see `Model.encode`; S is `image_size`."""
        if "encoder" not in params:
            raise InputError(
                "params has no 'encoder': put the encoder's parameters there, see "
                "`bitdiff_jax.inference.load`, or give the features"
            )
        cells = self.encoder.apply(params["encoder"], encoder_image, encoder_size)
        extents = encoder_size.astype(jnp.float32) / self.encoder.stride

        def on_grid(cells: jax.Array, extent: jax.Array, size: jax.Array) -> jax.Array:
            return feature_grids.resample(
                jnp, cells, (extent[0], extent[1]), feature_grids.WHOLE, (size[0], size[1]),
                image_size, self.grid,
            )  # fmt: skip

        return jax.vmap(on_grid)(cells, extents, size)

    def of_batch(self, params: Any, batch: dict[str, jax.Array], image_size: int) -> Features:
        """The features that came with a training batch, or those of its images.

        Args:
            params: parameters; without features in the batch, the encoder's are used.
            batch: see `Model.loss`.
            image_size: side S, in pixels, of the label map.
        """
        if "features" in batch:
            return batch["features"]
        if "cell_values" in batch:
            fields = feature_grids.StoredCells._fields
            return feature_grids.StoredCells(*(batch[f"cell_{name}"] for name in fields))
        if not self.tuned:  # nothing flows back into a frozen encoder
            params = jax.lax.stop_gradient(params)
        return self.encode(
            params, batch["encoder_image"], batch["encoder_size"], batch["size"], image_size
        )

    def reduced(self, params: Any, features: Features, image_size: int) -> jax.Array:
        """Features -> a few channels for each pixel, float32 [B, S, S, channels].

        Args:
            params: parameters, the feature stem's among them.
            features: float [B, G, G, C], or stored cells.
            image_size: side S, in pixels, of the label map.
        """
        stem = self._stem(image_size).apply({"params": params["features"]}, features)
        assert isinstance(stem, jax.Array)  # and no state
        return stem

    def _stem(self, image_size: int) -> FeatureStem:
        return FeatureStem(self.channels, image_size, self.scale)
