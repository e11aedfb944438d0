"""A training that starts from the weights of another: what is kept of them, and what is new."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import load, named_params
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.model import Model
from bitdiff_jax.nets.fused import FusedUNet
from bitdiff_jax.nets.unet import UNet
from bitdiff_jax.training.state import TrainState

_SHOWN = 8  # layers named one by one
# What reads the input of a UNet, and whether it reads patches of it.
_INPUT_KERNELS = {"net/stem/kernel": True, "net/pixels/stem/kernel": False}


@dataclasses.dataclass(frozen=True)
class Kept:
    """The weights that a training starts from.

    Attributes:
        weights: as the caller named them.
        leaves: float32 arrays on the host by name, those that are kept.
        new: layers that stay as they were initialised, each with the reason.
        unused: layers of the weights that the model does not have.
        loaded: the model of the weights.
        num_kept: number of parameters that are kept.
        num_params: number of parameters that are trained.
    """

    weights: str
    leaves: Mapping[str, np.ndarray]
    new: Mapping[str, str]
    unused: tuple[str, ...]
    loaded: Loaded
    num_kept: int
    num_params: int

    def report(self) -> str:
        """What is kept and what is new, for a reader: a line, and one for each new layer."""
        share = f"{self.num_kept:,} of {self.num_params:,} parameters kept"
        lines = [f"started from {self.weights} (step {self.loaded.step:,}): {share}"]
        lines += [f"  new: {layer}, {why}" for layer, why in list(self.new.items())[:_SHOWN]]
        if len(self.new) > _SHOWN:
            lines.append(f"  new: {len(self.new) - _SHOWN} more layers")
        if self.unused:
            more = f" and {len(self.unused) - _SHOWN} more" if len(self.unused) > _SHOWN else ""
            lines.append(f"  not in this model: {', '.join(self.unused[:_SHOWN])}{more}")
        if notice := self.loaded.notice(self.weights):
            lines.append(notice)
        return "\n".join(lines)


def kept(weights: epath.PathLike, model: Model) -> Kept:
    """What a model takes over from trained weights.

    A layer is taken over whole, if all its tensors are there in the same shapes, or not at all: so
    the first convolution is new if it has other input channels, and the last one if there are
    other bits. What maps an encoder's features is new if the encoder is another one. A UNet that
    takes prompts, as that of the weights does not, has channels more in what reads its input; their
    weights are 0 at first, so that it begins as the same function.

    Args:
        weights: as for `inference.load`.
        model: the model that will be trained.

    Raises:
        InputError: the weights cannot be loaded, or not one layer of them fits.
    """
    loaded = load(weights)
    source = loaded.model
    if source.features is not None and model.features is not None and model.features.tuned:
        # To tune an encoder means to begin with the one that was frozen.
        source = dataclasses.replace(
            source, features=dataclasses.replace(source.features, tuned=True)
        )
    there = named_params.by_name(source, loaded.params)
    wanted = named_params.shapes(model)
    there = _with_prompt_channels(there, wanted, source, model)
    other_encoder = _encoder(loaded.model) != _encoder(model)
    new: dict[str, str] = {}
    for name, leaf in wanted.items():
        layer = _layer(name)
        if name not in there:
            new.setdefault(layer, "not among them")
        elif there[name].shape != leaf.shape:
            shapes = f"{list(leaf.shape)} here, {list(there[name].shape)} there"
            new[layer] = f"its {name.rpartition('/')[2]} is {shapes}"
        elif other_encoder and not name.startswith("net/"):
            new.setdefault(layer, f"trained there on features of {_encoder(loaded.model)}")
    leaves = {
        name: np.asarray(there[name], leaf.dtype)
        for name, leaf in wanted.items()
        if _layer(name) not in new
    }
    if not leaves:
        raise InputError(
            f"init is {os.fspath(weights)!r}, of which not one layer fits this model; use a config "
            "of its kind of network, or train without init"
        )
    return Kept(
        weights=os.fspath(weights),
        leaves=leaves,
        new=new,
        unused=tuple(dict.fromkeys(_layer(name) for name in there if name not in wanted)),
        loaded=loaded,
        num_kept=sum(each.size for each in leaves.values()),
        num_params=sum(each.size for each in wanted.values()),
    )


def _with_prompt_channels(
    there: Mapping[str, Any], wanted: Mapping[str, Any], source: Model, model: Model
) -> dict[str, Any]:
    """The weights with zeros for the channels of prompts that only `model` takes."""
    widened = dict(there)
    added, net = model.prompt_channels, model.net
    if not isinstance(net, UNet | FusedUNet) or not isinstance(source.net, UNet | FusedUNet):
        return widened
    # An earlier guess of x0 would come after the prompt.
    if source.prompts or not added or model.self_conditioned:
        return widened
    for name, patch in _INPUT_KERNELS.items():
        if name not in there or name not in wanted:
            continue
        groups = net.patch_size**2 if patch else 1
        kernel = np.asarray(there[name])
        *window, inputs, outputs = kernel.shape
        if wanted[name].shape != (*window, inputs + groups * added, outputs):
            continue
        # The channels of a patch are ordered [row][column][channel], and prompts are the last.
        pixels = kernel.reshape(*window, groups, inputs // groups, outputs)
        none = [(0, 0)] * len(window)
        padded = np.pad(pixels, [*none, (0, 0), (0, added), (0, 0)])
        widened[name] = padded.reshape(wanted[name].shape)
    return widened


def put_into(state: TrainState, model: Model, leaves: Mapping[str, np.ndarray]) -> TrainState:
    """A state whose parameters, and their average, are those of `leaves` where they have them."""

    def replaced(params: Any) -> Any:
        own = named_params.by_name(model, params)
        return named_params.as_tree(
            model, {name: _like(each, leaves.get(name)) for name, each in own.items()}
        )

    return dataclasses.replace(
        state, params=replaced(state.params), ema_params=replaced(state.ema_params)
    )


def _like(leaf: jax.Array, values: np.ndarray | None) -> jax.Array:
    """Values of the host where a leaf lies; the leaf itself if there are none."""
    if values is None:
        return leaf
    return jax.make_array_from_callback(leaf.shape, leaf.sharding, lambda index: values[index])


def _layer(name: str) -> str:
    return name.rpartition("/")[0]


def _encoder(model: Model) -> str:
    return "" if model.features is None else model.features.encoder.name
