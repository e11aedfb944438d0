"""A trained model from wherever it is: the one way to it for whoever uses a model."""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from etils import epath
from jax.sharding import Mesh

from bitdiff_jax import config as config_lib
from bitdiff_jax import files, model_config
from bitdiff_jax import model as model_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import model_files, named_params, weights_names
from bitdiff_jax.nets import encoders
from bitdiff_jax.nets.encoders import Encoder, pretrained
from bitdiff_jax.parallel.mesh import replicated

# What a checkpoint calls them.
_PARAM_SETS = dict(zip(model_files.PARAM_SETS, ("ema_params", "params"), strict=True))


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A trained model, and what is known of it.

    Attributes:
        config: the whole training config.
        model: built from it.
        params: parameters, float32 and on the devices.
        step: training steps taken.
        trained_on: the kind of pictures, in words; '' if the training did not say.
        param_set: 'ema' or 'raw', which parameters these are.
        licence: terms of use that come from the training data; '' if none are known.
        data_sets: the data sets of the training; '' if nobody said.
        own_model: whether the model was given in Python, so that the config does not describe it.
    """

    config: ml_collections.ConfigDict
    model: model_lib.Model
    params: model_lib.Params
    step: int
    trained_on: str
    param_set: str
    licence: str = ""
    data_sets: str = ""
    own_model: bool = False

    def notice(self, weights: epath.PathLike) -> str:
        """One line about the terms of use of these `weights`; '' if none are known."""
        return f"{os.fspath(weights)}: terms of use: {self.licence}" if self.licence else ""


def load(
    weights: epath.PathLike,
    param_set: str | None = None,
    *,
    mesh: Mesh | None = None,
    model: model_lib.Model | None = None,
) -> Loaded:
    """Loads a trained model.

    Args:
        weights: the name of a model that comes with the package, the folder of a training or of
            `bitdiff pack`, a file of it, or a Hugging Face repository 'OWNER/NAME[@REVISION]'; see
            `weights_names.locate`.
        param_set: 'ema' for the averaged parameters, 'raw' for the last ones; None for what the
            config says in `sampling.weights`. A file has only one of them.
        mesh: every device of it gets a copy of the parameters; None is the first local device.
        model: the model that was trained, if it was given in Python rather than by a config.

    Raises:
        InputError: the weights are not there, or are damaged; the training had a model of its own
            and none is given; the config is from a version with other settings, the parameters are
            not those of the model, or its encoder has other weights than it was trained with.
    """
    place = weights_names.locate(weights)
    if place.is_checkpoint:
        return load_checkpoint(place.path, param_set, mesh=mesh, model=model)
    return _load_file(place.path, param_set, mesh=mesh, model=model)


def load_checkpoint(
    workdir: epath.PathLike,
    param_set: str | None = None,
    *,
    mesh: Mesh | None = None,
    model: model_lib.Model | None = None,
) -> Loaded:
    """Loads the last checkpoint of a training.

    Only the parameters asked for are read, not the optimizer's state.

    Args:
        workdir: the --workdir of the training.
        param_set: see `load`.
        mesh: see `load`.
        model: see `load`.

    Raises:
        InputError: the training had a model of its own and none is given, there is no complete
            checkpoint, it cannot be read, its config is from a version with other settings, or its
            parameters are not those of the model.
    """
    from bitdiff_jax import checkpoint  # orbax takes half a second, and files do not need it

    _check_param_set(param_set)
    checkpoints, step = checkpoint.open_for_reading(workdir)
    with checkpoints:
        about = checkpoints.about(step)
        config = _restore_config(about["config"], f"checkpoint {checkpoints.directory / str(step)}")
        param_set = param_set or config.sampling.weights
        if param_set not in _PARAM_SETS:
            raise InputError(
                f"config.sampling.weights is {param_set!r} in {checkpoints.directory}; "
                f"say which of {', '.join(_PARAM_SETS)} to load"
            )
        own_model = bool(about.get("own_model"))
        model = _model(config, model, own_model, f"checkpoint {checkpoints.directory}")
        sharding = _sharding(mesh)
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(model.init, jax.random.key(0)),
        )
        params = checkpoints.restore_part(step, _PARAM_SETS[param_set], abstract)
    params = with_encoder(model, params, config.model.encoder.weights, sharding)
    return Loaded(
        config=config,
        model=model,
        params=params,
        step=step,
        trained_on=str(about.get("trained_on") or ""),
        param_set=param_set,
        licence=str(about.get("licence") or ""),
        own_model=own_model,
    )


def _load_file(
    path: epath.PathLike, param_set: str | None, *, mesh: Mesh | None, model: model_lib.Model | None
) -> Loaded:
    """Loads a model's file, see `load`."""
    _check_param_set(param_set)
    tensors, about = model_files.read(path)
    if param_set not in (None, about.param_set):
        raise InputError(
            f"weights {path}: holds the {about.param_set!r} parameters alone, not {param_set!r}; "
            "give the --workdir of its training"
        )
    config = _restore_config(about.config, f"weights {path}")
    model = _model(config, model, about.own_model, f"weights {path}")
    wanted = named_params.shapes(model)
    for name in [*wanted, *tensors]:
        there = list(tensors[name].shape) if name in tensors else "none"
        needed = list(wanted[name].shape) if name in wanted else "none"
        if there != needed:
            raise InputError(
                f"weights {path} is of another model: {name} has shape {there} there and {needed} "
                "in the model; use the model and the version of bitdiff_jax that it was made with"
            )
        if not jnp.issubdtype(tensors[name].dtype, jnp.floating):
            raise InputError(
                f"weights {path}: {name} is {tensors[name].dtype}, not floating-point; give a file "
                "that `bitdiff pack` wrote"
            )
    if model.features is not None and not model.features.tuned:
        config.model.encoder.weights = _encoder_file(
            path, model.features.encoder, about, config.model.encoder.weights
        )
    sharding = _sharding(mesh)
    leaves = {
        name: jax.device_put(np.asarray(tensors[name], each.dtype), sharding)
        for name, each in wanted.items()
    }
    params = with_encoder(
        model, named_params.as_tree(model, leaves), config.model.encoder.weights, sharding
    )
    return Loaded(
        config=config,
        model=model,
        params=params,
        step=about.step,
        trained_on=about.trained_on,
        param_set=about.param_set,
        licence=about.licence,
        data_sets=about.data_sets,
        own_model=about.own_model,
    )


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


def _encoder_file(
    path: epath.PathLike, encoder: Encoder, about: model_files.About, configured: str
) -> str:
    """The file of the weights that a frozen encoder had in training, '' for those of the package.

    Args:
        path: the model's file, for messages.
        encoder: the model's encoder.
        about: what the model's file says, the hash of the encoder's weights among it.
        configured: where the encoder's weights were in training; '' for those of the package.

    Raises:
        InputError: the weights of the encoder that are here are not those.
    """
    if encoder.name != about.encoder:
        raise InputError(
            f"weights {path}: was trained with the encoder {about.encoder!r}, and the model has "
            f"{encoder.name!r}; give the model that was trained"
        )
    found = {}
    if configured and epath.Path(configured).expanduser().exists():
        found[configured] = pretrained.digest(encoder, configured)
    if encoders.bundled(encoder.name) is not None:
        found[""] = pretrained.digest(encoder)
    for place, digest in found.items():
        if digest == about.encoder_hash:
            return place
    here = [f"{place or 'the package'} has {digest[:12]}" for place, digest in found.items()]
    remedy = "install the version of bitdiff_jax that it was packed with, whose weights it had"
    if configured:
        where = configured if "://" in configured else os.path.abspath(files.at_home(configured))
        remedy = (
            f"copy the file that it was trained with to {where}, where config.model.encoder.weights"
            " has it"
        )
    raise InputError(
        f"weights {path}: was trained with the encoder {about.encoder} of hash "
        f"{about.encoder_hash[:12]}, and {', '.join(here) or 'there is none here'}; {remedy}"
    )


def _model(
    config: ml_collections.ConfigDict, given: model_lib.Model | None, own_model: bool, place: str
) -> model_lib.Model:
    """The model of a config, unless one is given."""
    if given is None and own_model:
        raise InputError(
            f"{place} is of a model that was given in Python, not by its config: load it there "
            "with model=..."
        )
    return model_config.from_config(config) if given is None else given


def _check_param_set(param_set: str | None) -> None:
    if param_set is not None and param_set not in _PARAM_SETS:
        raise InputError(f"param_set is {param_set!r}; it must be one of {', '.join(_PARAM_SETS)}")


def _sharding(mesh: Mesh | None) -> Any:
    first = jax.local_devices()[0]
    return jax.sharding.SingleDeviceSharding(first) if mesh is None else replicated(mesh)


def _restore_config(saved: dict[str, Any], place: str) -> ml_collections.ConfigDict:
    """The saved config. Settings that did not exist when it was saved get their defaults."""
    config = config_lib.default()
    try:
        config.update(saved)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).strip("'\"").splitlines()[0][:120]
        raise InputError(
            f"{place}: its config does not fit this version of bitdiff_jax ({reason}); "
            "use the version that it was trained with"
        ) from None
    return config
