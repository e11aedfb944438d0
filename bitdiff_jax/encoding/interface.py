"""What all encodings share, how one is made by name, and how an own one is checked."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.encoding.onehot import OneHotEncoding
from bitdiff_jax.encoding.rgb import RGBEncoding

NAMES = ("bits", "onehot", "onehot_as_released", "rgb", "rgb_as_released")


class Encoding(Protocol):
    """Codes, integers in [0, num_codes), to and from what diffuses; a value, equal by its fields.

    Its functions work inside jit and vmap, on arrays of any shape.
    """

    @property
    def num_codes(self) -> int:
        """Codes that can be told apart."""

    @property
    def num_channels(self) -> int:
        """C, channels of x0."""

    @property
    def clip_range(self) -> tuple[float, float]:
        """(low, high), what the sampler clips x0 to."""

    @property
    def pad_value(self) -> float:
        """x0, in every channel, of a pixel without a code."""

    @property
    def activation(self) -> str:
        """The last activation of a network that predicts x0; see `nets.unet.UNet`."""

    def encode(self, codes: jax.Array) -> jax.Array:
        """int [...] -> float32 [..., C], all `pad_value` where the code is negative."""

    def decode(self, x0: jax.Array) -> jax.Array:
        """[..., C] -> int32 [...], never negative."""

    def certainty(self, x0: jax.Array) -> jax.Array:
        """[..., C] -> float32 [...] in (0, 1], probability of the decoded code."""


def make(name: str, num_bits: int) -> Encoding:
    """An encoding by name.

    Args:
        name: 'bits'; 'onehot' (standardised) or 'onehot_as_released' (0 and 1); 'rgb' or
            'rgb_as_released' (with the slip in its scaling).
        num_bits: k: bits and one-hot have 2^k codes, up to 30 and 10 of them. Colours have 121
            codes, those of an 11 x 11 palette, whatever k is.

    Raises:
        ValueError: an unknown name, or a k outside its domain.
    """
    if name not in NAMES:
        raise ValueError(f"encoding must be one of {', '.join(NAMES)}, got {name!r}")
    kind, _, released = name.partition("_")
    if kind == "rgb":
        return RGBEncoding(as_released=bool(released))
    most = 30 if kind == "bits" else 10
    if not 1 <= num_bits <= most:
        raise ValueError(f"num_bits must be in [1, {most}] for {name!r}, got {num_bits}")
    if kind == "bits":
        return BitEncoding(num_bits)
    return OneHotEncoding(2**num_bits, as_released=bool(released))


def check(encoding: Any) -> Encoding:
    """Holds an own encoding against what `Encoding` promises.

    Args:
        encoding: the object; its first 64 codes are encoded and decoded.

    Returns:
        The same object.

    Raises:
        ValueError: it lacks a member, is not hashable, or its codes do not come back.
    """
    kind = type(encoding).__name__
    members = [name for name in vars(Encoding) if not name.startswith("_")]
    if missing := [name for name in members if not hasattr(encoding, name)]:
        raise ValueError(f"{kind} is no encoding: it has no {', '.join(missing)}")
    try:
        hash(encoding)
    except TypeError:
        raise ValueError(
            f"{kind} is not hashable; make it a frozen dataclass, so that programs compiled for it "
            "are found again"
        ) from None
    codes = jnp.arange(-1, min(encoding.num_codes, 64), dtype=jnp.int32)
    x0 = encoding.encode(codes)
    if x0.shape != (len(codes), encoding.num_channels) or x0.dtype != jnp.float32:
        raise ValueError(
            f"{kind}.encode gave {x0.dtype} {list(x0.shape)} for {len(codes)} codes; it must be "
            f"float32 [{len(codes)}, {encoding.num_channels}]"
        )
    if not (np.asarray(x0[0]) == encoding.pad_value).all():
        raise ValueError(f"{kind}.encode of a negative code must be pad_value in every channel")
    if not np.array_equal(encoding.decode(x0[1:]), codes[1:]):
        raise ValueError(f"{kind}.decode does not give back the codes that encode was given")
    checked: Encoding = encoding
    return checked
