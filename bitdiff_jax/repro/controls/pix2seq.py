"""pix2seq-D (arXiv 2210.06366) in the parts of this package.

Its network sees noisy analog bits and returns a softmax over the codes, trained by cross entropy;
what the sampler steps with are the bits that are expected under it. Its sampler steps further than
it says: from t to s - td (t - s), while the network is told s next (asymmetric time differences,
arXiv 2208.04202).
"""

import dataclasses

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.encoding.onehot import OneHotEncoding
from bitdiff_jax.repro.controls.one_call import mean_log


@dataclasses.dataclass(frozen=True)
class BitsAndCodes:
    """x0 of k bits and beside them the one-hot code, in {0, 1}, which is for the loss alone.

    Attributes:
        num_bits: k in [1, 10].
    """

    num_bits: int = 6

    clip_range = (-1.0, 1.0)
    pad_value = 0.0
    activation = "softmax"

    @property
    def num_codes(self) -> int:
        """Codes that can be told apart."""
        return 1 << self.num_bits

    @property
    def num_channels(self) -> int:
        """k + 2^k."""
        return self.num_bits + self.num_codes

    def encode(self, codes: jax.Array) -> jax.Array:
        """int [...] -> float32 [..., k + 2^k], 0 where the code is negative."""
        hot = OneHotEncoding(self.num_codes, as_released=True).encode(codes)
        return jnp.concatenate([BitEncoding(self.num_bits).encode(codes), hot], axis=-1)

    def decode(self, x0: jax.Array) -> jax.Array:
        """[..., k + 2^k] -> int32 [...], by the signs of the bits."""
        return BitEncoding(self.num_bits).decode(x0[..., : self.num_bits])

    def certainty(self, x0: jax.Array) -> jax.Array:
        """Probability of the decoded code, by its bits: float32 [...] in [2^-k, 1]."""
        return BitEncoding(self.num_bits).certainty(x0[..., : self.num_bits])


def cross_entropy(pred: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """-log of the true code's probability, a mean over the masked pixels.

    Args:
        pred: [B, H, W, k + 2^k], what `networks.ExpectedBits` returns.
        target: [B, H, W, k + 2^k] of `BitsAndCodes`.
        mask: [B, H, W], true or 1 where a pixel counts; or the weight of each pixel.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    num_bits = next(k for k in range(1, 11) if k + 2**k >= pred.shape[-1])
    return mean_log(pred[..., num_bits:], jnp.argmax(target[..., num_bits:], axis=-1), mask)


@dataclasses.dataclass(frozen=True)
class Asymmetric:
    """DDIM whose steps reach further than the time that the network is told next.

    Attributes:
        time_difference: td >= 0, in steps; 0 is DDIM.
    """

    time_difference: float = 1.0

    draws_noise = False

    def step(
        self,
        x_t: jax.Array,
        x0: jax.Array,
        eps: jax.Array,
        t: jax.Array,
        s: jax.Array,
        schedule: Schedule,
        noise: jax.Array,
    ) -> jax.Array:
        """From x_t to the time s - td (t - s), or to 0; see `diffusion.step_methods.StepMethod`."""
        further = jnp.maximum(s - self.time_difference * (t - s), 0)
        return Ddim().step(x_t, x0, eps, t, further, schedule, noise)


ONE = Asymmetric(1.0)
TWO = Asymmetric(2.0)
