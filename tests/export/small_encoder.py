"""An encoder of all that MobileSAM's is made of, and small: windows, convolutions, one stride."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from bitdiff_jax.nets.encoders import pixels, tiny_vit


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (3, 3), strides=(2, 2), padding=(1, 1), name="patch_embed")(x)
        x = tiny_vit.MBConv(name="conv")(x)
        x = tiny_vit.PatchMerging(8, 2, name="merge")(x)
        x = tiny_vit.Block(num_heads=2, window=3, name="block")(x)  # 3 does not divide the grid
        return nn.LayerNorm(epsilon=1e-6, name="norm")(x)


@dataclasses.dataclass(frozen=True)
class SmallEncoder:
    image_size: int = 32
    stride: int = 4
    channels: int = 8
    name: str = "small"

    def init(self, key):
        return Net().init(key, jnp.zeros((1, 8, 8, 3)))["params"]

    def apply(self, params, image, size):
        return Net().apply({"params": params}, pixels.normalise(image, size))
