"""A checkpoint of the paper's released code as a model of this package."""

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from etils import epath

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config, weights_files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import named_params
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.nets import reference_names
from bitdiff_jax.nets.unet import UNet

# The sizes for which the released code has these levels, see SPEC 11 there.
_IMAGE_SIZES = {(1, 1, 2, 2, 4, 4): 256, (1, 2, 2, 4, 4): 128, (1, 2, 3, 4): 64, (1, 2, 2, 2): 32,
                (1, 2, 2): 16}  # fmt: skip
_IMAGE_CHANNELS = 3
_WRAPPED = "module."  # what PyTorch's data parallelism puts before names


def settings_of(tensors: Mapping[str, np.ndarray]) -> ml_collections.ConfigDict:
    """The config of `paper`, with what the shapes of the network's parameters tell.

    Args:
        tensors: a state dict of the released network.

    Returns:
        A config to change where the network was trained otherwise: what it predicts and encodes,
        the number of heads and the image size leave no trace in the shapes, save that levels are
        those of a size.

    Raises:
        InputError: it is another network.
    """
    found = reference_names.settings(tensors)
    config = config_lib.load("paper")
    bits = found["out_channels"]
    net = config.model.net
    for name in ("base_channels", "channel_multipliers", "blocks_per_level", "attention_levels"):
        net[name] = found[name]
    config.model.num_bits = bits
    config.model.image_size = _IMAGE_SIZES.get(found["channel_multipliers"], 128)
    if found["in_channels"] == 2 * bits + _IMAGE_CHANNELS:
        config.model.objective.self_condition = 0.5
    return config


def read(path: epath.PathLike) -> dict[str, np.ndarray]:
    """The state dict of a released checkpoint, in float32; nothing of the file is executed.

    Args:
        path: the file: PyTorch's, with a state dict or with one under 'state_dict' or 'model', or
            its tensors as safetensors.

    Raises:
        InputError: the file cannot be read, holds more than tensors and plain values, or another
            network's.
    """
    found = weights_files.read(path).tensors
    if all(name.startswith(_WRAPPED) for name in found):
        found = {name.removeprefix(_WRAPPED): each for name, each in found.items()}
    return {name: np.asarray(each, np.float32) for name, each in found.items()}


def loaded(
    tensors: Mapping[str, np.ndarray], config: ml_collections.ConfigDict, path: epath.PathLike
) -> Loaded:
    """The model that a state dict and a config make.

    Args:
        tensors: as `read` gives them.
        config: as `settings_of` gives it, changed where need be.
        path: of the file, for messages.

    Raises:
        InputError: the config is not that of the network, or a parameter is missing, of another
            shape or not the network's.
    """
    name = os.fspath(path)
    model = model_config.from_config(config)
    attributes: dict[str, Any] = {
        key: tuple(value) if isinstance(value, tuple | list) else value
        for key, value in config.model.net.items()
        if key in ("channel_multipliers", "blocks_per_level", "attention_levels")
    }
    try:
        params = reference_names.parameters(UNet(**attributes), tensors)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    wanted = named_params.shapes(model)
    there = named_params.by_name(model, params)
    if missing := sorted(wanted.keys() - there.keys()):
        raise InputError(
            f"{name}: lacks {missing[0]}{_more(missing)}, which the network has; give the whole "
            "checkpoint, or the --config.model settings that it was trained with"
        )
    if strange := sorted(there.keys() - wanted.keys()):
        raise InputError(
            f"{name}: has {strange[0]}{_more(strange)}, which the network has not; give the "
            "--config.model settings that it was trained with"
        )
    for key, leaf in wanted.items():
        if there[key].shape != leaf.shape:
            raise InputError(
                f"{name}: {key} has shape {there[key].shape}, and the network's is {leaf.shape}; "
                "give the --config.model settings that it was trained with"
            )
    params = jax.tree.map(jnp.asarray, params)
    return Loaded(config, model, params, step=0, trained_on="", param_set="raw")


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
