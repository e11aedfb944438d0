"""Networks around the U-Net, named by `config.model.net.implementation`.

Each function takes what an own network is given (`nets.network.Network`), with the U-Net's
attributes as options, and returns a network whose trunk is that U-Net.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.encoding import bits
from bitdiff_jax.image_condition import IMAGE_CHANNELS
from bitdiff_jax.nets import FusedUNet


def without_activation(
    out_channels: int, final_activation: str, dtype: DTypeLike, **options: Any
) -> FusedUNet:
    """The U-Net whose output is what its last convolution gives, whatever `final_activation` is."""
    del final_activation
    return FusedUNet(out_channels=out_channels, final_activation="none", dtype=dtype, **options)


def image_alone(
    out_channels: int, final_activation: str, dtype: DTypeLike, **options: Any
) -> "ImageAlone":
    """A network that sees the image, and neither x_t nor the time."""
    return ImageAlone(
        FusedUNet(
            out_channels=out_channels, final_activation=final_activation, dtype=dtype, **options
        )
    )


def expected_bits(
    out_channels: int, final_activation: str, dtype: DTypeLike, **options: Any
) -> "ExpectedBits":
    """pix2seq-D's network (arXiv 2210.06366): codes by a softmax, and the bits expected of them.

    It is for `pix2seq.BitsAndCodes`, whose channels are the k bits and then the 2^k codes.
    """
    num_bits = next(k for k in range(1, 11) if k + 2**k >= out_channels)
    trunk = FusedUNet(
        out_channels=2**num_bits, final_activation=final_activation, dtype=dtype, **options
    )
    return ExpectedBits(trunk, num_bits)


@dataclasses.dataclass(frozen=True)
class ImageAlone:
    """The trunk on the image alone, with the time at a constant.

    Attributes:
        trunk: the U-Net.
    """

    trunk: FusedUNet

    def init(self, key: jax.Array, x: jax.Array, time: jax.Array) -> Any:
        """Parameters of the trunk."""
        return self.trunk.init(key, x[..., -IMAGE_CHANNELS:], jnp.zeros_like(time))

    def apply(self, variables: Any, x: jax.Array, time: jax.Array) -> jax.Array:
        """The trunk's output, [B, S, S, C]."""
        output = self.trunk.apply(variables, x[..., -IMAGE_CHANNELS:], jnp.zeros_like(time))
        return jnp.asarray(output)


@dataclasses.dataclass(frozen=True)
class ExpectedBits:
    """The trunk on bits and image, its codes' probabilities, and the bits expected under them.

    Attributes:
        trunk: the U-Net, with an output channel for each of 2^k codes, after a softmax.
        num_bits: k.
    """

    trunk: FusedUNet
    num_bits: int

    def init(self, key: jax.Array, x: jax.Array, time: jax.Array) -> Any:
        """Parameters of the trunk."""
        return self.trunk.init(key, self._seen(x), time)

    def apply(self, variables: Any, x: jax.Array, time: jax.Array) -> jax.Array:
        """[B, S, S, k + 2^k]: the expected bits, in [-1, 1], and the probabilities."""
        probabilities = jnp.asarray(self.trunk.apply(variables, self._seen(x), time))
        values = bits.encode(jnp.arange(2**self.num_bits), self.num_bits)
        expected = jnp.einsum(
            "...c,ck->...k", probabilities, values, precision=jax.lax.Precision.HIGHEST
        )
        return jnp.concatenate([expected, probabilities], axis=-1)

    def _seen(self, x: jax.Array) -> jax.Array:
        """Bits and image; the noisy codes beside them would tell the network more than bits do."""
        return jnp.concatenate([x[..., : self.num_bits], x[..., -IMAGE_CHANNELS:]], axis=-1)
