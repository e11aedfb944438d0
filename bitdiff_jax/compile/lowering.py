"""The programs that training and inference run, lowered for devices that need not be there."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from jax.sharding import Mesh

from bitdiff_jax import model_config
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import programs
from bitdiff_jax.model import Model
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel import partition_rules
from bitdiff_jax.training.optimizer import make_optimizer
from bitdiff_jax.training.state import init_state
from bitdiff_jax.training.step import step_from_config

PROGRAMS = ("train", "sample")


def lower(
    program: str, config: ml_collections.ConfigDict, devices: list[jax.Device], batch_size: int
) -> jax.stages.Lowered:
    """Lowers a program of `PROGRAMS` for a global batch on `devices`.

    Raises:
        InputError: a setting that cannot be used, a batch that the devices cannot share.
    """
    mesh = mesh_lib.make_mesh(config.mesh.data, config.mesh.fsdp, devices)
    if batch_size % mesh.size:
        raise InputError(f"a batch of {batch_size} cannot be split over {mesh.size} devices")
    return {"train": lower_train_step, "sample": lower_sampler}[program](config, mesh, batch_size)


def lower_train_step(
    config: ml_collections.ConfigDict, mesh: Mesh, batch_size: int
) -> jax.stages.Lowered:
    """The step of `training.step`, as `bitdiff train` would compile it on the mesh."""
    model = model_config.from_config(config)
    tx = make_optimizer(config)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(functools.partial(init_state, model, tx), key)
    rules = partition_rules.rules_from_config(config.mesh)
    shardings = partition_rules.shardings(state, rules, mesh)
    step = step_from_config(config, model, tx, mesh, shardings, _frozen(model, key))
    side = model.image_size
    batch = {
        **_shown(model, batch_size),
        "labels": jax.ShapeDtypeStruct((batch_size, side, side), jnp.int32),
        "size": jax.ShapeDtypeStruct((batch_size, 2), jnp.int32),
        "image_id": jax.ShapeDtypeStruct((batch_size,), jnp.uint32),
    }
    lowered: jax.stages.Lowered = step.lower(state, batch, key)  # type: ignore[attr-defined]
    return lowered


def _frozen(model: Model, key: Any) -> dict[str, Any]:
    """The parameters of a frozen encoder, which an accelerator runs inside the step, as shapes."""
    if model.features is None or model.features.tuned:
        return {}
    return {"encoder": jax.eval_shape(model.features.encoder.init, key)}


def _shown(model: Model, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """What a batch on an accelerator shows of its images."""
    rows = programs.image_rows(model, batch_size)
    if model.features is None:
        return rows
    side = model.features.encoder.image_size
    return {
        "image": rows["image"],
        "encoder_image": jax.ShapeDtypeStruct((batch_size, side, side, 3), jnp.uint8),
        "encoder_size": jax.ShapeDtypeStruct((batch_size, 2), jnp.int32),
    }


def lower_sampler(
    config: ml_collections.ConfigDict, mesh: Mesh, batch_size: int
) -> jax.stages.Lowered:
    """The program of `inference.programs`, as a Segmenter compiles it on the mesh."""
    model = model_config.from_config(config)
    params = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)))
    sampler = sampler_lib.from_settings(config.sampling)
    return programs.lower(model, params, sampler, mesh, batch_size)
