"""Conditions on several settings."""

import ml_collections

from bitdiff_jax import extensions
from bitdiff_jax.encoding import interface as encodings
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import attributes
from bitdiff_jax.parallel import partition_rules
from bitdiff_jax.target import Palette


def check(config: ml_collections.ConfigDict) -> None:
    """Refuses settings that do not fit each other; each by itself is in its domain.

    Raises:
        InputError: settings do not fit; the message has their names, their values and a remedy.
    """
    # A network of the user's has bounds of its own, which its module checks.
    if not extensions.is_reference(config.model.net.implementation):
        _check_net(config.model)
    _check_codes(config.model)
    _check_features(config.model)
    _check_schedule(config.model.schedule)
    _check_steps(config)
    _check_batch(config.train)
    if config.mesh.data == config.mesh.fsdp == -1:
        raise InputError(
            "config.mesh.data and config.mesh.fsdp are both -1; only one can take what is left"
        )
    partition_rules.rules_from_config(config.mesh)


def _check_net(model: ml_collections.ConfigDict) -> None:
    net, size = model.net, model.image_size
    levels = len(net.channel_multipliers)
    multiple = attributes.sides_multiple(net)
    if size % multiple:
        below = size // multiple * multiple
        near = f"{below} or {below + multiple}" if below else f"{multiple}"
        raise InputError(
            f"config.model.image_size={size} is not a multiple of {multiple}, which "
            f"config.model.net.patch_size={net.patch_size} and {levels} levels of "
            f"config.model.net.channel_multipliers need; use {near}"
        )
    if net.fold and size // net.patch_size % 2:
        raise InputError(
            f"config.model.net.fold=True needs an even number of patches a row; {size} pixels are "
            f"{size // net.patch_size} of config.model.net.patch_size={net.patch_size}; use "
            "config.model.net.fold=False"
        )
    try:
        attributes.check_fit(net)
    except InputError as error:  # its message begins with the attribute
        raise InputError(f"config.model.net.{error}") from None


def _check_codes(model: ml_collections.ConfigDict) -> None:
    """Checks the encoding's number of codes, and that the palette can lay them out."""
    if extensions.is_reference(model.encoding):
        return
    try:
        encoding = encodings.make(model.encoding, model.num_bits)
        Palette(**model.palette).check(encoding.num_codes)
    except ValueError as error:
        raise InputError(f"config.model.num_bits={model.num_bits}: {error}") from error


def _check_features(model: ml_collections.ConfigDict) -> None:
    dropout = model.objective.feature_dropout
    if dropout and model.encoder.name == "none":
        raise InputError(
            f"config.model.objective.feature_dropout={dropout} has no features to leave out; set "
            "config.model.encoder.name, or 0"
        )


def _check_schedule(schedule: ml_collections.ConfigDict) -> None:
    if schedule.logsnr_min >= schedule.logsnr_max:
        raise InputError(
            f"config.model.schedule.logsnr_min={schedule.logsnr_min} is not below "
            f"config.model.schedule.logsnr_max={schedule.logsnr_max}; lower it"
        )


def _check_steps(config: ml_collections.ConfigDict) -> None:
    steps, warmup, decay = (
        config.train.num_steps, config.optimizer.warmup_steps, config.optimizer.decay_steps,
    )  # fmt: skip
    if warmup + decay > steps:
        shorter = warmup * steps // (warmup + decay), decay * steps // (warmup + decay)
        raise InputError(
            f"config.optimizer.warmup_steps={warmup} and config.optimizer.decay_steps={decay} do "
            f"not fit into config.train.num_steps={steps}; shorten them, as by "
            f"--config.optimizer.warmup_steps={shorter[0]} "
            f"--config.optimizer.decay_steps={shorter[1]}"
        )


def _check_batch(train: ml_collections.ConfigDict) -> None:
    if train.batch_size % train.accumulate:
        raise InputError(
            f"config.train.batch_size={train.batch_size} is not a multiple of "
            f"config.train.accumulate={train.accumulate}; use "
            f"{max(1, train.batch_size // train.accumulate) * train.accumulate}"
        )
