"""Checks that the attributes and inputs of a UNet are within their domain."""

import numbers
from typing import TYPE_CHECKING, Any

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.activations import ACTIVATIONS

if TYPE_CHECKING:
    from bitdiff_jax.nets.unet import UNet


def check(net: "UNet") -> None:
    """Checks the attributes that can be checked without an input.

    Raises:
        InputError: an attribute is outside its domain.
    """
    levels = len(net.channel_multipliers)
    for name in ("out_channels", "base_channels", "blocks_per_level", "num_heads", "patch_size"):
        if not _is_count(getattr(net, name)):
            raise InputError(f"{name} is {getattr(net, name)}; give a positive integer")
    if not _is_count(net.pixel_channels) and net.pixel_channels != 0:
        raise InputError(
            f"pixel_channels is {net.pixel_channels}; give a positive integer, or 0 for no head on "
            "single pixels"
        )
    if not levels or not all(map(_is_count, net.channel_multipliers)):
        raise InputError(
            f"channel_multipliers is {tuple(net.channel_multipliers)}; "
            "give one positive integer per level"
        )
    for name, choices in (
        ("time_conditioning", ("additive", "scale_shift")),
        ("final_activation", tuple(ACTIVATIONS)),
    ):
        if getattr(net, name) not in choices:
            raise InputError(f"{name} is {getattr(net, name)!r}; choose one of {choices}")
    if net.final_activation == "standardised_softmax" and net.out_channels < 2:
        raise InputError("final_activation is 'standardised_softmax'; give at least 2 out_channels")
    for level in net.attention_levels:
        if not isinstance(level, numbers.Integral):
            raise InputError(f"attention_levels has {level}; give whole numbers")
    check_fit(net)


def check_fit(net: Any) -> None:
    """Checks attributes against each other; each by itself is in its domain.

    Args:
        net: a UNet, or settings whose names are those of its attributes.

    Raises:
        InputError: two attributes do not fit.
    """
    levels = len(net.channel_multipliers)
    if net.base_channels % 2:
        raise InputError(f"base_channels is {net.base_channels}; give an even number")
    for level in net.attention_levels:
        if not -levels <= level < levels:
            raise InputError(
                f"attention_levels has {level}; the {levels} levels of channel_multipliers are "
                f"{-levels} to {levels - 1}"
            )
    for level in sorted({i % levels for i in net.attention_levels} | {levels - 1}):
        channels = net.base_channels * net.channel_multipliers[level]
        if channels % net.num_heads:
            raise InputError(
                f"num_heads is {net.num_heads}; give a divisor of the {channels} channels of "
                f"level {level}"
            )


def sides_multiple(net: Any) -> int:
    """The number of which the sides of the input must be multiples; `net` as for `check_fit`."""
    return net.patch_size * 2 ** (len(net.channel_multipliers) - 1)


def check_inputs(net: "UNet", x_shape: tuple[int, ...], time_shape: tuple[int, ...]) -> None:
    """Checks the shapes of what the network is applied to.

    Raises:
        InputError: a wrong number of axes, or sides that the levels cannot halve.
    """
    if len(x_shape) != 4 or tuple(time_shape) != (x_shape[0],):
        raise InputError(
            f"x is {tuple(x_shape)} and time is {tuple(time_shape)}; "
            "give x [B, H, W, C] and time [B]"
        )
    multiple = sides_multiple(net)
    if any(side % multiple or not side for side in x_shape[1:3]):
        raise InputError(
            f"x is {x_shape[1]} x {x_shape[2]} pixels; give sides that are multiples of {multiple} "
            f"(patch_size {net.patch_size} * 2**{len(net.channel_multipliers) - 1})"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, numbers.Integral) and value >= 1  # type: ignore[operator]
