"""Training from the first line to the last; read it top to bottom."""

import dataclasses
import functools
import json
import math
import sys
import time
from typing import Any

import jax
import ml_collections
import numpy as np
from absl import logging
from clu import parameter_overview
from etils import epath

from bitdiff_jax import model as model_lib
from bitdiff_jax.checkpoint import Checkpoints, describe
from bitdiff_jax.data import augment, pipeline, specs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import evaluate
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel import partition
from bitdiff_jax.training.optimizer import make_optimizer
from bitdiff_jax.training.state import TrainState, init_state
from bitdiff_jax.training.step import make_train_step
from bitdiff_jax.writers import RunWriter

_AUGMENTS = {
    "default": augment.Augmentation(),
    "none": None,
    "as_released": augment.as_released,
}


def train(config: ml_collections.ConfigDict, workdir: epath.PathLike) -> TrainState:
    """Trains, or resumes, until `config.train.num_steps`.

    Writes into `workdir`: checkpoints/, metrics/*.jsonl, samples/*.png, config.json. Stopped at any
    moment and started again with the same arguments, it goes on from the last checkpoint and
    yields the losses of an unbroken run.

    Args:
        config: see `bitdiff_jax.config`.
        workdir: the run's folder.

    Returns:
        The last state.

    Raises:
        InputError: a setting or picture that cannot be used, a workdir of another model, a loss
            that is no longer finite.
    """
    workdir = epath.Path(workdir)

    # --- Devices ---------------------------------------------------------------------------------
    mesh = mesh_lib.make_mesh(config.mesh.data, config.mesh.fsdp)
    is_main = jax.process_index() == 0
    if config.train.batch_size % mesh.size:
        raise InputError(
            f"config.train.batch_size={config.train.batch_size} is not a multiple of the "
            f"{mesh.size} devices"
        )

    # --- Model and optimizer, as shapes ----------------------------------------------------------
    model = model_lib.from_config(config)
    tx = make_optimizer(config)
    key_init, key_train = jax.random.split(jax.random.key(config.seed))
    init = functools.partial(init_state, model, tx)
    state_shapes = jax.eval_shape(init, key_init)
    state_shardings = partition.shardings(state_shapes, partition.REPLICATE, mesh)

    # --- Input -----------------------------------------------------------------------------------
    sources, weights = specs.open_sources(config.data.train, image_size=model.image_size)
    input_args: dict[str, Any] = dict(
        size=model.image_size,
        batch_size=config.train.batch_size,
        seed=config.seed,
        augment=_augment(config.data.augment),
        label_padding=config.data.label_padding,
        label_method=config.data.label_resize,
    )
    fingerprint = pipeline.fingerprint(sources, weights, **input_args)

    with Checkpoints(workdir, keep=config.train.keep_checkpoints) as checkpoints:
        # --- State: this run's last checkpoint, or scratch ---------------------------------------
        start = checkpoints.latest_step()
        if start is None:
            start = 0
            state = jax.jit(init, out_shardings=state_shardings)(key_init)
            if is_main:
                _write_config(workdir, config)
        else:
            _check_resumable(checkpoints.about(start), config, fingerprint, workdir)
            state = checkpoints.restore(
                start, jax.tree.map(_with_sharding, state_shapes, state_shardings)
            )
        if is_main:
            _print_start(model, state_shapes, sources, weights, config, mesh.size, start)

        # --- Compiled functions ------------------------------------------------------------------
        train_step = make_train_step(
            model,
            tx,
            ema_decay=config.optimizer.ema_decay,
            ema_warmup=config.optimizer.ema_warmup,
            mesh=mesh,
            state_shardings=state_shardings,
        )
        evaluator = _Evaluator(config, model, mesh) if config.eval.data else None
        batches = iter(
            pipeline.train_dataset(
                sources,
                weights,
                **input_args,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
                start_step=start,
                num_workers=config.data.num_workers,
                num_threads=config.data.num_threads,
            )
        )
        about = describe(config, fingerprint, config.data.trained_on or config.data.train)
        writer = RunWriter(workdir) if is_main else None
        progress = _Progress(config, start)

        # --- Loop --------------------------------------------------------------------------------
        total = config.train.num_steps
        try:
            for step in range(start + 1, total + 1):
                batch = mesh_lib.to_global(next(batches), mesh)
                state, metrics = train_step(state, batch, key_train)
                del batch
                logs = _due(step, config.train.log_every, total) or step == start + 1
                saves = _due(step, config.train.checkpoint_every, total)
                if logs or saves:
                    scalars = progress.update(step, jax.device_get(metrics), workdir)
                    if writer and logs:
                        writer.write_scalars(step, scalars)
                        progress.show(step, scalars)
                if saves:
                    checkpoints.save(step, state, about)
                if evaluator and _due(step, config.train.eval_every, total):
                    with progress.paused():
                        scores, sheet = evaluator(state)
                    progress.ari = scores["eval/ari"]
                    if writer:
                        writer.write_scalars(step, scores)
                        writer.write_image(step, sheet)
                        progress.show_scores(step, scores)
        finally:
            batches.close()
            if writer:
                writer.close()
    return state


class _Evaluator:
    """Scores the sampling weights on held-out pictures, and draws some."""

    def __init__(self, config: ml_collections.ConfigDict, model: model_lib.Model, mesh: Any):
        self._config = config
        self._model = model
        self._mesh = mesh
        self._source = specs.open_source(config.eval.data, image_size=model.image_size)

    def __call__(self, state: TrainState) -> tuple[dict[str, float], np.ndarray]:
        sampling, settings = self._config.sampling, self._config.eval
        evaluation = evaluate(
            self._model,
            state.ema_params if sampling.weights == "ema" else state.params,
            self._source,
            num_images=settings.num_images,
            batch_size=settings.batch_size,
            score_size=settings.score_size,
            num_steps=sampling.num_steps,
            guidance_weight=sampling.guidance_weight,
            mesh=self._mesh,
        )
        raise NotImplementedError(evaluation)


@dataclasses.dataclass
class _Progress:
    """The live line: loss, ARI of the last evaluation, images a second, time to go."""

    config: ml_collections.ConfigDict
    start: int
    ari: float | None = None

    def __post_init__(self) -> None:
        self._last_step, self._last_time = self.start, time.monotonic()
        self._rate = 0.0

    def update(self, step: int, metrics: dict[str, Any], workdir: epath.Path) -> dict[str, float]:
        """Metrics of one step, with the rate since the last call; stops at a loss like nan."""
        now = time.monotonic()
        if step > self.start + 1:  # the first interval is compilation
            done = (step - self._last_step) * self.config.train.batch_size
            self._rate = done / max(now - self._last_time, 1e-9)
        scalars = {name: float(value) for name, value in metrics.items()}
        if not math.isfinite(scalars["loss"]):
            raise InputError(
                f"the loss became {scalars['loss']} within steps {self._last_step + 1} to {step}; "
                f"lower config.optimizer.learning_rate and resume from the last checkpoint in "
                f"{workdir}"
            )
        self._last_step, self._last_time = step, now
        return {**scalars, "images_per_second": self._rate}
