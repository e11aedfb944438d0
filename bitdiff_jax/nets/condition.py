"""The trained part between an encoder's features and the network."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from bitdiff_jax.feature_grids import StoredCells


class FeatureStem(nn.Module):
    """Features of an image's cells -> a few channels for each pixel of the label map.

    One matrix for all cells; a cell that covers several pixels gives the same channels to all of
    them. A linear map, so that it makes no difference whether a view of an image is read off its
    features or off these channels, of which there are fewer.

    Attributes:
        channels: number of channels that a cell is reduced to.
        image_size: side S, in pixels, of the label map.
        scale: factor of the features.
    """

    channels: int = 32
    image_size: int = 64
    scale: float = 1.0

    @nn.compact
    def __call__(self, features: jax.Array | StoredCells) -> jax.Array:
        """Features or cells of B images -> float32 [B, S, S, channels].

        Args:
            features: float [B, G, G, C], where G divides S; or stored cells whose views have G x G.
        """
        dense = nn.Dense(self.channels, name="cells")
        if isinstance(features, StoredCells):
            scale = (self.scale * features.scale)[:, None, None]
            h = dense(features.values.astype(jnp.float32) * scale)
            h = jnp.einsum("bgh,bhwc->bgwc", features.rows, h)
            h = jnp.einsum("bkw,bgwc->bgkc", features.columns, h)
        else:
            h = dense(self.scale * features.astype(jnp.float32))
        times = self.image_size // h.shape[1]
        return jnp.repeat(jnp.repeat(h, times, axis=1), times, axis=2)
