"""Analog bits (arXiv 2208.04202): a code of k bits as k real numbers in {-1, +1}.

The bits are the last axis, least significant first, as in the reference implementation.
"""

import dataclasses

import jax
import jax.numpy as jnp


def encode(codes: jax.Array, num_bits: int) -> jax.Array:
    """Integer codes -> analog bits.

    Args:
        codes: int [...], in [0, 2^num_bits); negative means "no code".
        num_bits: k in [1, 30].

    Returns:
        float32 [..., k], -1 and +1; all 0 where the code is negative. Bits beyond k are dropped.
    """
    if not 1 <= num_bits <= 30:
        raise ValueError(f"num_bits must be in [1, 30], got {num_bits}")
    codes = jnp.asarray(codes, jnp.int32)[..., None]
    bits = (codes >> jnp.arange(num_bits, dtype=jnp.int32)) & 1
    return jnp.where(codes < 0, 0, 2 * bits - 1).astype(jnp.float32)


def decode(bits: jax.Array) -> jax.Array:
    """Analog bits -> integer codes: a bit is set where its value is > 0 (0 and -0 are not).

    Args:
        bits: real [..., k].

    Returns:
        int32 [...] in [0, 2^k).
    """
    powers = jnp.left_shift(1, jnp.arange(bits.shape[-1], dtype=jnp.int32))
    return jnp.sum(jnp.where(bits > 0, powers, 0), axis=-1, dtype=jnp.int32)


def probabilities(bits: jax.Array) -> jax.Array:
    """Probability of every code, reading each bit as an independent probability (1 + x) / 2.

    Args:
        bits: real [..., k], k <= 10; in [-1, 1] for the result to be a distribution.

    Returns:
        [..., 2^k], of the dtype of `bits`; sums to 1 over the last axis.
    """
    num_bits = bits.shape[-1]
    if num_bits > 10:
        raise ValueError(
            f"probabilities of {num_bits} bits would hold 2^{num_bits} values a pixel; use "
            "probability_of(bits, codes) for single codes"
        )
    result = jnp.ones((*bits.shape[:-1], 1), bits.dtype)
    for k in range(num_bits):
        # Bit k is more significant than those so far: its 0 half comes first.
        share = ((1 + bits[..., k]) / 2)[..., None]
        result = jnp.concatenate([result * (1 - share), result * share], axis=-1)
    return result


def probability_of(bits: jax.Array, codes: jax.Array) -> jax.Array:
    """Probability of one code a pixel, prod_k (1 - |target_k - bits_k| / 2).

    Args:
        bits: real [..., k] in [-1, 1].
        codes: int [...]; where negative the result is 2^-k times a factor of no meaning.

    Returns:
        [...] of the dtype of `bits`.
    """
    target = encode(codes, bits.shape[-1]).astype(bits.dtype)
    return jnp.prod(1 - jnp.abs(target - bits) / 2, axis=-1)


@dataclasses.dataclass(frozen=True)
class BitEncoding:
    """Analog bits; see `encoding.interface.Encoding`.

    Attributes:
        num_bits: k in [1, 30]; there are 2^k codes.
    """

    num_bits: int = 6

    clip_range = (-1.0, 1.0)
    pad_value = 0.0  # neither bit: what `encode` gives a pixel without a code
    activation = "tanh"  # of a network that predicts x0

    @property
    def num_codes(self) -> int:
        """Codes that can be told apart."""
        return 1 << self.num_bits

    @property
    def num_channels(self) -> int:
        """Channels of x0."""
        return self.num_bits

    def encode(self, codes: jax.Array) -> jax.Array:
        """int [...] -> float32 [..., num_channels]."""
        return encode(codes, self.num_bits)

    def decode(self, x0: jax.Array) -> jax.Array:
        """[..., num_channels] -> int32 [...]."""
        return decode(x0)

    def certainty(self, x0: jax.Array) -> jax.Array:
        """Probability of the decoded code, [..., num_channels] -> float32 [...] in [2^-k, 1].

        Values beyond -1 and 1 count as on them.
        """
        x0 = jnp.clip(x0.astype(jnp.float32), *self.clip_range)
        return probability_of(x0, decode(x0))
