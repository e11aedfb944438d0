"""The model that a config describes."""

from typing import Any

import ml_collections

from bitdiff_jax import config_checks, extensions, own_parts
from bitdiff_jax.diffusion import losses, parameterization, schedules, weighting
from bitdiff_jax.encoding import interface as encodings
from bitdiff_jax.encoding.interface import Encoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.image_condition import ImageFeatures
from bitdiff_jax.model import Model
from bitdiff_jax.nets import network
from bitdiff_jax.nets.encoders import registry as encoders
from bitdiff_jax.prompts import Prompts
from bitdiff_jax.target import Palette
from bitdiff_jax.training_loss import Objective

_OF_BITS = ("p", "p_logits", "ce1", "ce2")  # predictions and losses for the encoding 'bits' alone


def from_config(config: ml_collections.ConfigDict) -> Model:
    """Builds the model that `config.model` describes.

    Args:
        config: a training config, of which only the `model` part is read.

    Raises:
        InputError: a setting is outside its domain.
    """
    c = config.model
    # Those of network and encoder are looked at where these are made.
    settings = {name: c[name] for name in c if name not in ("net", "encoder")}
    config_checks.check_values(config_checks.settings(settings, "model."))
    if c.encoding != "bits" and not extensions.is_reference(c.encoding):
        for name, value in (("prediction", c.prediction), ("objective.loss", c.objective.loss)):
            if value in _OF_BITS:
                raise InputError(
                    f"config.model.{name}={value!r} reads x0 as probabilities of bits; "
                    f"encoding {c.encoding!r} has none: use 'bits', or another {name}"
                )
    weight = _resolved(c.objective.weight, "objective.weight")
    loss = _resolved(c.objective.loss, "objective.loss")
    try:
        encoding = _encoding(c)
        palette = Palette(**c.palette)
        palette.check(encoding.num_codes)
        schedule = schedules.make(**c.schedule)
        out_channels = parameterization.output_channels(c.prediction, encoding.num_channels)
        own_parts.try_weight(weighting.make(weight), schedule)
        own_parts.try_loss(losses.make(loss, c.prediction), encoding.num_channels, out_channels)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"config.model: {error}") from error
    return Model(
        net=network.from_settings(
            c.net,
            out_channels=out_channels,
            final_activation={"x": encoding.activation, "p": "sigmoid"}.get(c.prediction, "none"),
        ),
        image_size=c.image_size,
        schedule=schedule,
        encoding=encoding,
        palette=palette,
        objective=Objective(**{**c.objective, "weight": weight, "loss": loss}),
        prediction=c.prediction,
        time_input=c.time_input,
        image_scale=c.image_scale,
        features=image_features(config),
        prompts=Prompts(**c.prompts),
    )


def image_features(config: ml_collections.ConfigDict) -> ImageFeatures | None:
    """How features reach the network that `config.model` describes; None without an encoder.

    Raises:
        InputError: a setting of `config.model.encoder` is outside its domain.
    """
    c, e = config.model, config.model.encoder
    if e.name == "none":
        return None
    if e.grid < 1 or c.image_size % e.grid:
        raise InputError(
            f"config.model.encoder.grid={e.grid} does not divide config.model.image_size="
            f"{c.image_size}; use {c.image_size} or a part of it"
        )
    encoder = encoders.make(e.name, image_size=e.image_size or None, options=e.options)
    return ImageFeatures(encoder, e.grid, e.channels, e.scale, e.tuned)


def _encoding(c: ml_collections.ConfigDict) -> Encoding:
    """The encoding of `config.model`; an own one is held against what an encoding has to be."""
    if not extensions.is_reference(c.encoding):
        return encodings.make(c.encoding, c.num_bits)
    made = _resolved(c.encoding, "encoding")
    return encodings.check(own_parts.called(made, f"encoding={c.encoding!r}", c.num_bits))


def _resolved(value: str, name: str) -> Any:
    """What `package.module:name` names, for a key of `config.model`; any other value as it is."""
    is_own = extensions.is_reference(value)
    return extensions.resolve(value, f"config.model.{name}") if is_own else value
