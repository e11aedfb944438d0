"""What a network has to provide, and how the one that a config names is made."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from bitdiff_jax import extensions
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.fused import FusedUNet
from bitdiff_jax.nets.unet import UNet


class Network(Protocol):
    """The two functions that `bitdiff_jax.model.Model` needs; a `flax.linen.Module` has them.

    A network maps a noisy code concatenated with an image, and one scalar time for each image, to
    an estimate of the same height and width. It knows nothing of schedules, bits or sampling.

    It must be hashable, and equal to another only if it computes the same function: a model is a
    static argument of compiled functions. A `flax.linen.Module` and a frozen dataclass are.

    A class that the config names, `model.net.implementation = "package.module:Class"`, is
    constructed as

        Class(out_channels=C, final_activation=NAME, dtype=DTYPE, **options)

    C is the number of channels that it has to return, NAME a key of
    `bitdiff_jax.nets.activations.ACTIVATIONS`, to be applied last (it brings the output into the
    range of x0), DTYPE the `jnp.dtype` of `model.net.dtype`, to compute in, and options are the
    keys of `model.net.options`, lists as tuples. The other keys of `model.net` are those of the
    attn-UNet and do not reach it.
    """

    def init(self, key: jax.Array, x: jax.Array, time: jax.Array, /) -> Any:
        """Fresh parameters.

        Args:
            key: PRNG key.
            x: input of zeros, float32 [1, S, S, Cin], with the number Cin of channels that `apply`
                will be given.
            time: times of zeros, float32 [1].

        Returns:
            `{"params": tree}`, where `tree` is of nested dicts of float32 arrays by name. There is
            no other collection: a network has no state beside its parameters, such as batch
            statistics.
        """
        ...

    def apply(self, variables: Any, x: jax.Array, time: jax.Array, /) -> Any:
        """The network as a pure function, differentiable, under jit; it draws no random numbers.

        An image's output must not depend on the other images of its batch.

        Args:
            variables: the tree that `init` returned, or one of the same structure.
            x: input, float32 [B, S, S, Cin]: the noisy code, the image, and for a self-conditioned
                model an earlier guess, concatenated along the channels.
            time: one scalar per image, float32 [B].

        Returns:
            The raw output, floating-point [B, S, S, out_channels].
        """
        ...


# The implementations of the attn-UNet, by the name in `model.net.implementation`.
IMPLEMENTATIONS: dict[str, Callable[..., Network]] = {"plain": UNet, "fused": FusedUNet}
# The implementation that 'auto' stands for, and that older configs without the key have.
AUTO = "fused"
# Keys that only the fused implementation has, with the value that changes nothing.
_FUSED_ALONE = {"fold": False, "attention_chunk": 0}


def is_unet(implementation: str) -> bool:
    """Whether the implementation of that name computes the attn-UNet.

    All of these compute the same function of the same parameters: a checkpoint of one can be
    loaded, and trained further, by another.
    """
    return implementation == "auto" or implementation in IMPLEMENTATIONS


def from_settings(
    settings: Mapping[str, Any], *, out_channels: int, final_activation: str
) -> Network:
    """The network that `config.model.net` describes.

    Args:
        settings: the `model.net` part of a config.
        out_channels: number of channels that the network returns.
        final_activation: name of the final activation, a key of `activations.ACTIVATIONS`.

    Raises:
        InputError: a setting is outside its domain or is not one of the implementation's, or the
            class cannot be imported or constructed.
    """
    keys = dict(settings)
    name = keys.pop("implementation", "auto")
    options = {
        key: extensions.as_tuples(value) for key, value in dict(keys.pop("options", {})).items()
    }
    try:
        dtype = jnp.dtype(keys.pop("dtype"))
    except TypeError:
        dtype = None
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(
            f"config.model.net.dtype is {settings['dtype']!r}; use float32, bfloat16, float16 or "
            "float64"
        )
    given = {"out_channels": out_channels, "final_activation": final_activation, "dtype": dtype}
    chosen = AUTO if name == "auto" else name
    if chosen != "fused":
        for key, nothing in _FUSED_ALONE.items():
            if keys.pop(key, nothing) != nothing:
                raise InputError(
                    f"config.model.net.{key} is {settings[key]}, which implementation={name!r} "
                    "does not have; set config.model.net.implementation=fused, or "
                    f"config.model.net.{key}={nothing}"
                )
    if chosen in IMPLEMENTATIONS:
        if options:
            raise InputError(
                f"config.model.net.options has {next(iter(options))!r}, but options are for a "
                f"network of your own; implementation={name!r} has the keys of config.model.net"
            )
        try:
            return IMPLEMENTATIONS[chosen](
                **given, **{key: extensions.as_tuples(value) for key, value in keys.items()}
            )
        except InputError as error:  # its message begins with the attribute
            raise InputError(f"config.model.net.{error}") from None
    if not extensions.is_reference(name):
        raise InputError(
            f"config.model.net.implementation is {name!r}; use one of "
            f"{', '.join(('auto', *IMPLEMENTATIONS))}, or package.module:Class"
        )
    if keys.get("remat"):
        raise InputError(
            f"config.model.net.remat is True, which does not reach {name}; give it as a key of "
            "config.model.net.options, if the class has such an option"
        )
    made = extensions.resolve(name, "config.model.net.implementation")
    _check_constructor(made, name, given, options)
    try:
        net = made(**given, **options)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"config.model.net.implementation={name!r} failed: {extensions.failure(error)}"
        ) from error
    for method in ("init", "apply"):
        if not callable(getattr(net, method, None)):
            raise InputError(
                f"config.model.net.implementation={name!r} makes a {type(net).__name__} without "
                f"`{method}`; see bitdiff_jax.nets.network.Network"
            )
    return net


def _check_constructor(
    made: Any, name: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Raises InputError if the class cannot be called with these keywords."""
    if not callable(made):
        raise InputError(
            f"config.model.net.implementation={name!r} is not a class or function; see "
            "bitdiff_jax.nets.network.Network"
        )
    twice = sorted(given.keys() & options.keys())
    if twice:
        raise InputError(
            f"config.model.net.options has {twice[0]!r}, which every network is given anyway; "
            "leave it out"
        )
    try:
        signature = inspect.signature(made)
    except ValueError:  # a builtin has no signature; it raises when it is called
        return
    try:
        signature.bind(**given, **options)
    except TypeError as error:
        raise InputError(
            f"config.model.net.implementation={name!r} cannot be made with "
            f"{', '.join((*given, *options))}: {error}; the keys of config.model.net.options are "
            f"its keyword arguments beside {', '.join(given)}"
        ) from None
