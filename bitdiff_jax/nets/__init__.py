"""Networks that map a noisy code and a time to an estimate of the same shape.

The only package that imports `flax.linen`. A network takes one scalar `time` per image and knows
nothing of diffusion, so any function of the same signature can stand in for it.
"""

from bitdiff_jax.nets.embedding import sinusoid
from bitdiff_jax.nets.unet import UNet

__all__ = ["UNet", "sinusoid"]
