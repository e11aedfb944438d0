"""An encoder of somebody else's, as the config can name it: `tests.own_encoder:Means`."""

import dataclasses

import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Means:
    """The mean colour of each cell, times a parameter, and where the cell is."""

    image_size: int = 32
    stride: int = 4
    name: str = "means"

    @property
    def channels(self):
        return 4

    def init(self, key):
        return {"gain": jnp.ones((3,), jnp.float32)}

    def apply(self, params, image, size):
        batch, side = image.shape[0], image.shape[1] // self.stride
        inside = jnp.arange(image.shape[1])
        mask = (inside[:, None] < size[:, 0, None, None]) & (inside < size[:, 1, None, None])
        pixels = jnp.where(mask[..., None], image.astype(jnp.float32) / 255 - 0.5, 0)
        cells = pixels.reshape(batch, side, self.stride, side, self.stride, 3).mean((2, 4))
        row = jnp.broadcast_to(jnp.linspace(-1, 1, side)[:, None, None], (batch, side, side, 1))
        return jnp.concatenate([cells * params["gain"], row], axis=-1)
