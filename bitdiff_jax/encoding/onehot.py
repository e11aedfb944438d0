"""One-hot codes: a code among n as n real numbers, one of which stands out."""

import dataclasses
import math

import jax
import jax.numpy as jnp


def standardise(probabilities: jax.Array) -> jax.Array:
    """Probabilities of n codes -> their standardised channels, (n p - 1) / sqrt(n - 1).

    A channel of a one-hot code that is drawn evenly among n has mean 1/n and variance
    (n - 1)/n^2, which this takes to 0 and 1.

    Args:
        probabilities: float [..., n], n >= 2.

    Returns:
        [..., n], of the same dtype: sqrt(n - 1) for 1, -1/sqrt(n - 1) for 0, and 0 for 1/n.
    """
    n = probabilities.shape[-1]
    return (n * probabilities - 1) / math.sqrt(n - 1)


@dataclasses.dataclass(frozen=True)
class OneHotEncoding:
    """One channel a code; see `encoding.interface.Encoding`.

    Standardised, each channel has mean 0 and variance 1 over evenly drawn codes, like an analog
    bit, so that at the same input scale and time its signal-to-noise ratio is that of a bit. With
    two codes it is {-1, +1}. The pixel as a whole has the variance n, where k bits for as many
    codes have k = log2(n): it is n / k times as easy to tell two codes apart (mean squared
    distance 2 n^2 / (n - 1) instead of 2 k n / (n - 1)). An input scale times sqrt(k / n), 0.031
    instead of 0.1 at 64 codes, makes that equal too. The loss sums over channels, so a network
    that knows nothing starts from n instead of k.

    As released, channels are 0 and 1: their variance is (n - 1) / n^2, at 64 codes 18 dB below
    that of a bit, and the sampler clips at -1, where no channel ever is.

    The mean of the possible codes, which is what predicting x0 aims at, is one-hot coded their
    probabilities; that is how `certainty` reads it, and why the last activation is a softmax.

    Attributes:
        num_codes: n >= 2.
        as_released: leave the channels at 0 and 1.
    """

    num_codes: int = 64
    as_released: bool = False

    pad_value = 0.0  # standardised, that is all codes alike

    def __post_init__(self) -> None:
        if self.num_codes < 2:
            raise ValueError(f"num_codes of a one-hot code must be >= 2, got {self.num_codes}")

    @property
    def num_channels(self) -> int:
        """Channels of x0."""
        return self.num_codes

    @property
    def clip_range(self) -> tuple[float, float]:
        """What the sampler clips x0 to: the values there are or, as released, those of bits."""
        if self.as_released:
            return -1.0, 1.0
        return -1 / math.sqrt(self.num_codes - 1), math.sqrt(self.num_codes - 1)

    @property
    def activation(self) -> str:
        """Of a network that predicts x0; the released settings have none."""
        return "none" if self.as_released else "standardised_softmax"

    def encode(self, codes: jax.Array) -> jax.Array:
        """int [...] in [0, num_codes) -> float32 [..., num_channels], 0 where it is negative."""
        codes = jnp.asarray(codes, jnp.int32)[..., None]
        hot = (codes == jnp.arange(self.num_codes)).astype(jnp.float32)
        return jnp.where(codes < 0, self.pad_value, hot if self.as_released else standardise(hot))

    def decode(self, x0: jax.Array) -> jax.Array:
        """[..., num_channels] -> int32 [...], the first of the largest channels."""
        return jnp.argmax(x0, axis=-1).astype(jnp.int32)

    def certainty(self, x0: jax.Array) -> jax.Array:
        """Probability of the decoded code: float32 [...] in [1/n, 1].

        Channels are read as probabilities: negative ones count 0, and the rest is scaled to sum
        to 1. If none is positive, all codes are alike.
        """
        x0 = x0.astype(jnp.float32)
        if not self.as_released:
            x0 = (1 + math.sqrt(self.num_codes - 1) * x0) / self.num_codes
        probabilities = jnp.maximum(x0, 0)
        total = jnp.sum(probabilities, axis=-1)
        largest = jnp.max(probabilities, axis=-1)
        return jnp.where(total > 0, largest / jnp.where(total > 0, total, 1), 1 / self.num_codes)
