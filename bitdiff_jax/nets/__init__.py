"""Networks that map a noisy code and a time to an estimate of the same shape.

`unet` is the definition of the attn-UNet, `fused` computes the same function in fewer passes over
memory, and `network` says what any other network has to be. This is the only package that imports
`flax.linen`.
"""

from bitdiff_jax.nets.embedding import sinusoid
from bitdiff_jax.nets.fused import FusedUNet
from bitdiff_jax.nets.network import Network
from bitdiff_jax.nets.unet import UNet

__all__ = ["FusedUNet", "Network", "UNet", "sinusoid"]
