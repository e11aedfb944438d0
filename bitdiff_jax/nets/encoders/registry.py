"""Encoders by name."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from bitdiff_jax import extensions
from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.nets.encoders.dino import DinoV2, DinoV3
from bitdiff_jax.nets.encoders.efficientnet_lite import EfficientNetLite0
from bitdiff_jax.nets.encoders.interface import Encoder
from bitdiff_jax.nets.encoders.mobile_sam import MobileSam

_MAKERS: dict[str, Callable[..., Encoder]] = {
    "mobile_sam": MobileSam,
    "efficientnet_lite0": EfficientNetLite0,
    "dinov2_s": DinoV2,
    "dinov2_b": functools.partial(DinoV2, width=768, num_heads=12),
    "dinov3_s": DinoV3,
    "dinov3_b": functools.partial(DinoV3, width=768, num_heads=12),
}
NAMES = tuple(_MAKERS)


def make(
    name: str, *, image_size: int | None = None, options: Mapping[str, Any] | None = None
) -> Encoder:
    """The encoder of that name.

    Args:
        name: one of NAMES, or `package.module:Class` for one of another package.
        image_size: side in px of the square image that it sees; None for its own default.
        options: further keyword arguments of its constructor, lists as tuples.

    Raises:
        InputError: there is no such encoder, it cannot be imported or made, or `image_size` is no
            multiple of what it needs.
    """
    keywords = {key: extensions.as_tuples(value) for key, value in dict(options or {}).items()}
    if image_size is not None:
        if "image_size" in keywords:
            raise InputError(
                "encoder.options has 'image_size', which is a key of its own; leave it out"
            )
        keywords["image_size"] = image_size
    made: Any = _MAKERS.get(name)
    if made is None:
        if not extensions.is_reference(name):
            raise InputError(
                f"encoder is {name!r}; use one of {', '.join(NAMES)}, or package.module:Class"
                f"{did_you_mean(name, NAMES)}"
            )
        made = extensions.resolve(name, "encoder")
    _check_constructor(made, name, keywords)
    try:
        encoder = made(**keywords)
        hash(encoder)
    except InputError as error:
        raise InputError(f"encoder={name!r}: {error}") from None
    except Exception as error:
        raise InputError(f"encoder={name!r} failed: {extensions.failure(error)}") from error
    for attribute in ("name", "image_size", "stride", "channels", "init", "apply"):
        if not hasattr(encoder, attribute):
            raise InputError(
                f"encoder={name!r} makes a {type(encoder).__name__} without `{attribute}`; see "
                "bitdiff_jax.nets.encoders.interface.Encoder"
            )
    if encoder.image_size % encoder.stride:
        raise InputError(
            f"encoder={name!r}: image_size is {encoder.image_size}; give a multiple of its "
            f"stride, {encoder.stride}"
        )
    return encoder


def _check_constructor(made: Any, name: str, keywords: Mapping[str, Any]) -> None:
    """Raises InputError if the class cannot be called with these keywords."""
    if not callable(made):
        raise InputError(
            f"encoder={name!r} is not a class or function; see "
            "bitdiff_jax.nets.encoders.interface.Encoder"
        )
    try:
        inspect.signature(made).bind(**keywords)
    except TypeError as error:
        raise InputError(
            f"encoder={name!r} cannot be made with {', '.join(keywords)}: {error}; give keyword "
            "arguments of its constructor"
        ) from None
    except ValueError:  # a builtin has no signature; it raises when it is called
        return
