"""A trained model from its checkpoint: the one way to it for whoever uses a model."""

import dataclasses
from typing import Any

import jax
import ml_collections
from etils import epath
from jax.sharding import Mesh

from bitdiff_jax import checkpoint
from bitdiff_jax import config as config_lib
from bitdiff_jax import model as model_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders import pretrained
from bitdiff_jax.parallel.mesh import replicated

_PARTS = {"ema": "ema_params", "raw": "params"}


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What a checkpoint holds for its users.

    Attributes:
        config: the whole training config.
        model: built from it.
        params: parameters, on the devices.
        step: training steps taken.
        trained_on: the kind of pictures, in words; '' if the training did not say.
        weights: 'ema' or 'raw', which parameters these are.
    """

    config: ml_collections.ConfigDict
    model: model_lib.Model
    params: model_lib.Params
    step: int
    trained_on: str
    weights: str


def load(
    workdir: epath.PathLike,
    weights: str | None = None,
    *,
    mesh: Mesh | None = None,
    model: model_lib.Model | None = None,
) -> Loaded:
    """Loads the last checkpoint of a training.

    Only the parameters asked for are read, not the optimizer's state.

    Args:
        workdir: the --workdir of the training.
        weights: 'ema' for the averaged parameters, 'raw' for the last ones; None for what the
            config says in `sampling.weights`.
        mesh: every device of it gets a copy of the parameters; None is the first local device.
        model: the model that was trained, if it was given in Python rather than by a config.

    Raises:
        InputError: the training had a model of its own and none is given, there is no complete
            checkpoint, it cannot be read, its config is from a version with other settings, or its
            parameters are not those of the model.
    """
    if weights is not None and weights not in _PARTS:
        raise InputError(f"weights is {weights!r}; it must be one of {', '.join(_PARTS)}")
    checkpoints, step = checkpoint.open_for_reading(workdir)
    with checkpoints:
        about = checkpoints.about(step)
        config = _restore_config(about, checkpoints.directory / str(step))
        weights = weights or config.sampling.weights
        if weights not in _PARTS:
            raise InputError(
                f"config.sampling.weights is {weights!r} in {checkpoints.directory}; "
                f"say which of {', '.join(_PARTS)} to load"
            )
        if model is None:
            if about.get("own_model"):
                raise InputError(
                    f"checkpoint {checkpoints.directory} is of a model that was given in Python, "
                    "not by its config: load it there with model=..."
                )
            model = model_lib.from_config(config)
        sharding = (
            jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            if mesh is None
            else replicated(mesh)
        )
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(model.init, jax.random.key(0)),
        )
        params = checkpoints.restore_part(step, _PARTS[weights], abstract)
    params = with_encoder(model, params, config.model.encoder.weights, sharding)
    return Loaded(config, model, params, step, str(about.get("trained_on") or ""), weights)


def with_encoder(model: model_lib.Model, params: Any, weights: str, sharding: Any) -> Any:
    """The parameters with those of the model's frozen encoder beside them, if it has one.

    Args:
        model: the model.
        params: what was trained.
        weights: file of the encoder's parameters; '' for those that the package carries.
        sharding: where they go.

    Raises:
        InputError: there is no such file, or it is of another encoder.
    """
    if model.features is None or model.features.tuned:
        return params
    encoder = pretrained.load(model.features.encoder, weights)
    return {**params, "encoder": jax.device_put(encoder, sharding)}


def _restore_config(about: dict, path: epath.Path) -> ml_collections.ConfigDict:
    """The saved config. Settings that did not exist when it was saved get their defaults."""
    config = config_lib.default()
    try:
        config.update(about["config"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).strip("'\"").splitlines()[0][:120]
        raise InputError(
            f"checkpoint {path}: its config does not fit this version of bitdiff_jax ({reason}); "
            "use the version that it was trained with"
        ) from None
    return config
