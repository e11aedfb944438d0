"""Our training step and sampler, as `bitdiff` runs them: peers of `paired`."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from benchmarks.against_peers import problem
from benchmarks.against_peers.worker import Ready
from bitdiff_jax import model as model_lib
from bitdiff_jax import model_config
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.inference import placement, programs
from bitdiff_jax.parallel import compilation_cache, dispatch, partition_rules
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.training.optimizer import make_optimizer
from bitdiff_jax.training.state import TrainState
from bitdiff_jax.training.step import step_from_config


def start(
    name: str, batch_size: int, implementation: str = "auto"
) -> tuple[ml_collections.ConfigDict, model_lib.Model, Any]:
    """Config, model and a batch; the devices as `bitdiff train` makes them."""
    compilation_cache.enable()
    config = problem.config(name, implementation)
    dispatch.split_cpu(config.mesh.cpu_devices)
    model = model_config.from_config(config)
    side, image_scale = config.model.image_size, config.model.image_scale
    return config, model, problem.batch(batch_size, side, image_scale=image_scale)


def random_params(model: model_lib.Model) -> Any:
    """Random parameters, without a compile."""
    return problem.params(jax.eval_shape(model.init, jax.random.key(0)))


def build_train_step(config: str, batch_size: int, implementation: str = "auto") -> Ready:
    """The whole step: draws, palette and bits from the label maps, and all that follows."""
    settings, model, data = start(config, batch_size, implementation)
    mesh = mesh_lib.make_mesh(settings.mesh.data, settings.mesh.fsdp)
    tx = make_optimizer(settings)
    params = random_params(model)
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema_params=jax.tree.map(np.copy, params),
        opt_state=jax.tree.map(
            lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(tx.init, params)
        ),
    )
    rules = partition_rules.rules_from_config(settings.mesh)
    shardings = partition_rules.shardings(jax.eval_shape(lambda: state), rules, mesh)
    step = step_from_config(settings, model, tx, mesh, shardings)
    held = {"state": jax.device_put(state, shardings)}
    key = jax.device_put(jax.random.key(0), mesh_lib.replicated(mesh))
    # An encoder's features as a training on a CPU has them, from a cache.
    given = {**data._asdict(), **problem.cells(settings, batch_size)}
    rows = jax.device_put(given, mesh_lib.batch_sharding(mesh))

    def run() -> None:
        held["state"], metrics = step(held["state"], rows, key)
        jax.block_until_ready((held["state"], metrics))

    return Ready(run, f"palette included, {mesh.size} device(s)")


def build_sampler(
    config: str,
    batch_size: int,
    num_steps: int = 8,
    guidance_weight: float = 1.0,
    implementation: str = "auto",
) -> Ready:
    """The sampler of a Segmenter, from uint8 images, and features of them, to codes on the host."""
    settings, model, data = start(config, batch_size, implementation)
    sampler = sampler_lib.from_settings(settings.sampling).override(
        num_steps=num_steps, guidance_weight=guidance_weight
    )
    mesh = mesh_lib.make_mesh(devices=jax.local_devices()[:1])
    params = placement.on_mesh(random_params(model), mesh)
    program = programs.compiled(model, params, sampler, mesh, batch_size)
    batch = {
        "image": data.image,
        "size": data.size,
        "image_id": np.arange(batch_size, dtype=np.uint32),
        "sample": np.zeros(batch_size, np.uint32),
    }
    if (features := problem.features(settings, batch_size)) is not None:
        batch["features"] = features

    def run() -> None:
        jax.device_get(program(batch, 0))

    return Ready(run, "halves interleaved in one batch")
