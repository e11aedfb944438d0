"""Where a training's image features come from: a cache beside the records, or the step itself."""

import dataclasses
from typing import Any

import jax
import ml_collections

from bitdiff_jax.data.image_inputs import ImageInputs
from bitdiff_jax.data.records import feature_cache
from bitdiff_jax.data.records.feature_cache import Key
from bitdiff_jax.errors import InputError
from bitdiff_jax.image_condition import ImageFeatures
from bitdiff_jax.model import Model
from bitdiff_jax.nets.encoders import pretrained
from bitdiff_jax.training.state import TrainState


def in_step(config: ml_collections.ConfigDict, features: ImageFeatures | None) -> bool:
    """Whether the encoder runs inside the training step.

    Raises:
        InputError: `data.features` asks a tuned encoder for a cache.
    """
    if features is None:
        return False
    where = config.data.features
    if features.tuned and where == "cache":
        raise InputError(
            "config.data.features=cache holds the features of a frozen encoder, and "
            "config.model.encoder.tuned=True trains it; say --config.data.features=step"
        )
    if where == "auto":
        return features.tuned or jax.default_backend() != "cpu"
    return bool(where == "step")


def cache_key(config: ml_collections.ConfigDict, features: ImageFeatures | None) -> Key | None:
    """The key of the features that were computed beforehand; None if the training uses none."""
    if features is None or in_step(config, features):
        return None
    return feature_cache.key_of(features.encoder, config.model.encoder.weights)


def inputs(config: ml_collections.ConfigDict, model: Model) -> ImageInputs:
    """What the examples of a training hold for the model's condition."""
    if model.features is None:
        return ImageInputs(model.image_scale)
    if in_step(config, model.features):
        return ImageInputs(model.image_scale, encoder_size=model.features.encoder.image_size)
    encoder = model.features.encoder
    most_cells = encoder.image_size // encoder.stride
    return ImageInputs(model.image_scale, grid=model.features.grid, most_cells=most_cells)


def pretrained_state(
    config: ml_collections.ConfigDict, model: Model, state: TrainState
) -> TrainState:
    """The state before the first step, in which a tuned encoder has its pretrained parameters."""
    if model.features is None or not model.features.tuned:
        return state
    encoder = pretrained.load(model.features.encoder, config.model.encoder.weights)

    def placed(params: dict[str, Any]) -> dict[str, Any]:
        copies = jax.tree.map(
            lambda new, old: jax.device_put(new, old.sharding), encoder, params["encoder"]
        )
        return {**params, "encoder": copies}

    return dataclasses.replace(
        state, params=placed(state.params), ema_params=placed(state.ema_params)
    )


def frozen_params(config: ml_collections.ConfigDict, model: Model) -> dict[str, Any]:
    """The parameters that the step needs and does not train: {'encoder': ...}, or none."""
    if model.features is None or model.features.tuned or not in_step(config, model.features):
        return {}
    return {"encoder": pretrained.load(model.features.encoder, config.model.encoder.weights)}
