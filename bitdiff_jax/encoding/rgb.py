"""Codes as colours: five levels in each of three channels (UniGS, arXiv 2312.01985)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

MAX_CODES = 125


@dataclasses.dataclass(frozen=True)
class RGBEncoding:
    """A colour a code; see `encoding.interface.Encoding`.

    The digits of the code in base 5, most significant first, are the levels 0, 64, 128, 192, 255
    of red, green and blue, and a level goes to 2 level / 255 - 1 in [-1, 1]. As released the
    parentheses are elsewhere, (2 level - 1) / 255, which is from -0.004 to 1.996: after the
    sampler has clipped at 1, only 27 of the 125 colours are distinct.

    A channel has variance 0.5 over evenly drawn levels, 3 dB below that of an analog bit (as
    released 0.5 as well, about a mean of 1).

    `decode` takes the nearest colour, pixel by pixel. The released code forgets the codes instead
    and cuts the picture into regions of one colour: `encoding.dichotomy`.

    Attributes:
        num_codes: how many of the 125 colours are codes, the first ones. 121 fill a palette of
            11 x 11 cells.
        as_released: with the released scaling, and no activation.
    """

    num_codes: int = 121
    as_released: bool = False

    num_channels = 3
    clip_range = (-1.0, 1.0)
    pad_value = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.num_codes <= MAX_CODES:
            raise ValueError(f"num_codes of colours must be in [1, 125], got {self.num_codes}")

    @property
    def activation(self) -> str:
        """Of a network that predicts x0."""
        return "none" if self.as_released else "tanh"

    @property
    def levels(self) -> np.ndarray:
        """float32 [5], ascending: the values of a channel."""
        levels = np.minimum(64 * np.arange(5), 255)
        scaled = (2 * levels - 1) / 255 if self.as_released else 2 * levels / 255 - 1
        return scaled.astype(np.float32)

    @property
    def colours(self) -> np.ndarray:
        """float32 [num_codes, 3]: the colour of each code."""
        digits = np.stack(np.unravel_index(np.arange(self.num_codes), (5, 5, 5)), axis=-1)
        return self.levels[digits]

    def encode(self, codes: jax.Array) -> jax.Array:
        """int [...] in [0, num_codes) -> float32 [..., 3], 0 where it is negative."""
        codes = jnp.asarray(codes, jnp.int32)
        return jnp.where(codes[..., None] < 0, self.pad_value, jnp.asarray(self.colours)[codes])

    def decode(self, x0: jax.Array) -> jax.Array:
        """[..., 3] -> int32 [...], the code of the nearest colour, the smallest of equally near."""
        # Channel by channel: a contraction would not be exact on an accelerator.
        distance = sum(jnp.square(x0[..., i, None] - self.colours[:, i]) for i in range(3))
        return jnp.argmin(distance, axis=-1).astype(jnp.int32)

    def certainty(self, x0: jax.Array) -> jax.Array:
        """Probability of the decoded code: float32 [...] in [1/num_codes, 1].

        A channel between two levels is read as a mixture of these two, as an analog bit is of -1
        and +1, and channels as independent; that is the most certain reading there is. Values
        beyond the outer levels count as on them.
        """
        levels = self.levels
        x0 = jnp.clip(x0.astype(jnp.float32), levels[0], levels[-1])
        decoded = jnp.asarray(self.colours)[self.decode(x0)]
        shares = jnp.maximum(1 - jnp.abs(x0 - decoded) / (levels[1] - levels[0]), 0)
        return jnp.maximum(jnp.prod(shares, axis=-1), 1 / self.num_codes)
