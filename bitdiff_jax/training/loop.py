"""Training from the first line to the last; read it top to bottom."""

import contextlib
import dataclasses
import datetime
import functools
import json
import math
import sys
import time
from collections.abc import Iterator
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
from bitdiff_jax.evaluation.drawing import sampling_settings
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel import partition
from bitdiff_jax.training.optimizer import make_optimizer
from bitdiff_jax.training.state import TrainState, init_state
from bitdiff_jax.training.step import make_train_step
from bitdiff_jax.writers import RunWriter

_NUM_SHOWN = 8  # pictures on the sheet of each evaluation

_AUGMENTS: dict[str, pipeline.Augment | None] = {
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
    sources, weights = specs.open_sources(
        config.data.train, image_size=model.image_size, keep_scale=config.data.keep_scale
    )
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
            _print_start(model, state_shapes, config, mesh.size, start)

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
                    if writer:
                        writer.write_scalars(step, scores)
                        writer.write_image(step, sheet)
                        progress.show_scores(step, scores)
        finally:
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
        """Means by name, 'eval/ari' among them, and a contact sheet."""
        settings = self._config.eval
        evaluation = evaluate(
            self._model,
            state.ema_params if self._config.sampling.weights == "ema" else state.params,
            self._source,
            num_images=settings.num_images,
            batch_size=settings.batch_size,
            score_size=settings.score_size,
            num_shown=_NUM_SHOWN,
            mesh=self._mesh,
            **sampling_settings(self._config),
        )
        return {f"eval/{k}": v for k, v in evaluation.means().items()}, evaluation.sheet()


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

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Takes what happens inside out of the rate."""
        start = time.monotonic()
        yield
        self._last_time += time.monotonic() - start

    def show(self, step: int, scalars: dict[str, float]) -> None:
        """Prints the line; on a terminal it overwrites itself."""
        total = self.config.train.num_steps
        rate = scalars["images_per_second"]
        left = (total - step) * self.config.train.batch_size / rate if rate else 0
        eta = datetime.timedelta(seconds=round(left))
        ari = "" if self.ari is None else f"  ARI {self.ari:.3f}"
        speed = f"  {rate:.1f} images/s  ETA {eta}" if rate else ""
        line = f"step {step}/{total}  loss {scalars['loss']:.4g}{ari}{speed}"
        live = sys.stdout.isatty() and step < total
        _print_line(line, end="" if live else "\n")

    def show_scores(self, step: int, scores: dict[str, float]) -> None:
        """Prints an evaluation on a line of its own."""
        self.ari = scores["eval/ari"]
        _print_line(f"evaluation at step {step}: ARI {self.ari:.3f}  IoU {scores['eval/iou']:.3f}")


def _print_line(line: str, end: str = "\n") -> None:
    """On a terminal, over the line that is there."""
    print(f"\r{line:<78}" if sys.stdout.isatty() else line, end=end, flush=True)


def _due(step: int, every: int, total: int) -> bool:
    return step % every == 0 or step == total


def _augment(name: str) -> pipeline.Augment | None:
    if name not in _AUGMENTS:
        raise InputError(
            f"config.data.augment is {name!r}; it must be one of {', '.join(_AUGMENTS)}"
        )
    return _AUGMENTS[name]


def _with_sharding(leaf: jax.ShapeDtypeStruct, sharding: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _write_config(workdir: epath.Path, config: ml_collections.ConfigDict) -> None:
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(config.to_json_best_effort(indent=2) + "\n")


def _check_resumable(
    about: dict[str, Any],
    config: ml_collections.ConfigDict,
    fingerprint: str,
    workdir: epath.Path,
) -> None:
    """A run may go on for longer or with other pictures; not with another model."""
    now = json.loads(config.to_json_best_effort())["model"]
    changed = [k for k, v in about["config"]["model"].items() if now.get(k) != v]
    if changed:
        key = changed[0]
        raise InputError(
            f"--workdir {workdir} holds a training with model.{key}="
            f"{about['config']['model'][key]}, the config says {now.get(key)}; "
            "use that config, or another --workdir"
        )
    if about["fingerprint"] != fingerprint:
        logging.warning("The input is not the one that %s was trained on so far.", workdir)


def _print_start(
    model: model_lib.Model,
    state_shapes: TrainState,
    config: ml_collections.ConfigDict,
    num_devices: int,
    start: int,
) -> None:
    size = model.image_size
    count = parameter_overview.count_parameters(state_shapes.params)
    batch, total = config.train.batch_size, config.train.num_steps
    print(
        f"{'resuming at' if start else 'starting from'} step {start} of {total}: "
        f"{count:,} parameters, {size} x {size} pixels, batches of {batch} on {num_devices} "
        f"{jax.devices()[0].platform} device{'s' if num_devices > 1 else ''}\n"
        f"pictures: {config.data.train}\ncompiling the training step ...",
        flush=True,
    )
