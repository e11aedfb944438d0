"""The trained part between a frozen encoder's features and the network."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class FeatureStem(nn.Module):
    """Features of an image's cells -> a few channels for each pixel of the label map.

    Each cell is standardised and mapped by one matrix; a cell that covers several pixels gives the
    same channels to all of them.

    Attributes:
        channels: number of channels that a cell is reduced to.
        image_size: side S, in pixels, of the label map.
    """

    channels: int = 32
    image_size: int = 64

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Float [B, G, G, C], where G divides S -> float32 [B, S, S, channels]."""
        h = features.astype(jnp.float32)
        h = nn.LayerNorm(use_bias=False, use_scale=False, name="norm")(h)
        h = nn.Dense(self.channels, name="cells")(h)
        times = self.image_size // features.shape[1]
        return jnp.repeat(jnp.repeat(h, times, axis=1), times, axis=2)
