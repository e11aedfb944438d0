"""Training from the first line to the last; read it top to bottom."""

import contextlib
from collections.abc import Mapping

import jax
import ml_collections
from clu import parameter_overview
from etils import epath

from bitdiff_jax import flops
from bitdiff_jax.checkpoint import Checkpoints
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.errors import Interrupted
from bitdiff_jax.model import Model
from bitdiff_jax.parallel import hosts
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel.dispatch import InFlight, steps_ahead
from bitdiff_jax.training import expectation, image_features, resume, telemetry, trouble
from bitdiff_jax.training.batches import batches
from bitdiff_jax.training.interruption import GivenUp, Interruption
from bitdiff_jax.training.progress import Progress
from bitdiff_jax.training.resume import Point
from bitdiff_jax.training.setup import Setup, prepare
from bitdiff_jax.training.state import TrainState
from bitdiff_jax.training.trouble import NonFinite, Watch
from bitdiff_jax.writers import RunWriter


def train(
    config: ml_collections.ConfigDict,
    workdir: epath.PathLike,
    *,
    model: Model | None = None,
    sources: Source | Mapping[str, Source] | None = None,
    init: epath.PathLike | None = None,
) -> TrainState:
    """Trains, or resumes, until `config.train.num_steps`.

    Writes into `workdir`: checkpoints/, metrics/*.jsonl, samples/*.png, config.json; trouble/ and
    quarantine/ if something went wrong. Stopped at any moment and started again with the same
    arguments, it goes on from the last good checkpoint and yields the losses of an unbroken run.

    Args:
        config: a config, see `bitdiff_jax.config`.
        workdir: the run's folder.
        model: the model to train, instead of the one that `config.model` describes.
        sources: what to train on, instead of `config.data.train`: one source, or several by name.
        init: trained weights to start from, such as 'photos'; see `inference.load`. Layers of the
            same name and shape are kept, the others are new, and both are printed. The config stays
            as it is. A run that is resumed goes on from its own checkpoint.

    Returns:
        The last state.

    Raises:
        InputError: a setting, image or `init` cannot be used, the workdir is of another model, a
            loss is no longer finite, or a checkpoint could not be written.
        Interrupted: a signal came, see `interruption`. The last step is saved.
    """
    workdir = epath.Path(workdir)
    telemetry.apply_switches(config.telemetry)
    setup = prepare(config, model=model, sources=sources)
    with (
        hosts.aborts_told(),
        Interruption(setup.mesh) as interruption,
        Checkpoints(
            workdir,
            keep=config.train.keep_checkpoints,
            keep_every=config.train.keep_every,
            keep_best=config.train.keep_best,
            best_by=config.train.best_by,
        ) as checkpoints,
        contextlib.ExitStack() as stack,
        hosts.left_alone(),
    ):
        if jax.process_index() == 0:
            expectation.tell(setup, checkpoints.latest_step() or 0)
        point = resume.last_point(setup, checkpoints, init=init)
        writer = None
        if jax.process_index() == 0:
            writer = stack.enter_context(
                contextlib.closing(
                    RunWriter(
                        workdir,
                        start_step=point.step,
                        tensorboard=config.telemetry.tensorboard,
                    )
                )
            )
            writer.write_text("config.json", setup.config.to_json_best_effort(indent=2))
            params = setup.abstract_state.params
            writer.write_text("parameters.txt", telemetry.parameter_table(params))
            _print_start(setup, point.step)
        while True:
            try:
                with contextlib.ExitStack() as watching:
                    meter, profiler = _watching(setup, workdir, watching)
                    return _run(setup, point, checkpoints, interruption, writer, meter, profiler)
            except NonFinite as error:
                found = error.with_traceback(None)  # the traceback holds the state in memory
            point = resume.point_before(found, setup, checkpoints, point.skipped, init)
            if writer:
                writer.rewind(point.step)


def _run(
    setup: Setup,
    point: Point,
    checkpoints: Checkpoints,
    interruption: Interruption,
    writer: RunWriter | None,
    meter: telemetry.Meter,
    profiler: telemetry.ProfilerWindow,
) -> TrainState:
    """The steps from `point` to the last.

    Raises:
        NonFinite: a loss was not finite; nothing after the last good step was saved.
        Interrupted: a signal came; the last step was saved.
    """
    config, start, state = setup.config.train, point.step, point.state
    about = {**setup.about, "skipped": point.skipped, **point.origin}
    progress = Progress(setup.config)
    watch = Watch()
    pace = expectation.Pace(start, config.num_steps, setup.mesh.devices.flat[0].platform == "cpu")
    under_way = InFlight(steps_ahead(setup.mesh))

    def due(step: int, every: int) -> bool:
        """Whether a step is a multiple of `every` or the last one; never if `every` is 0."""
        return every > 0 and (step % every == 0 or step == config.num_steps)

    def evaluate(step: int, saved: bool) -> bool:
        """Scores the state and keeps the scores with the checkpoint; False if a signal came."""
        assert setup.evaluator
        try:
            with meter.paused():
                scores, sheet = setup.evaluator(state, interruption.stop_waiting)
        except GivenUp:
            return False
        except Exception:
            # Save, so that no step is lost. Among several processes one cannot save alone.
            if not saved and jax.process_count() == 1:
                checkpoints.save(step, state, about)
            raise
        if saved:
            checkpoints.add_scores(step, scores)
        if writer:
            writer.write_scalars(step, scores)
            writer.write_image(step, sheet)
            progress.show_scores(step, scores)
        return True

    if setup.evaluator and start and due(start, config.eval_every) and not point.scored:
        evaluate(start, saved=True)  # it was not done before the training was stopped

    workers = setup.config.data.num_workers > 0
    with contextlib.closing(batches(setup.open_batches, start, point.skipped, workers)) as stream:
        for step in range(start + 1, config.num_steps + 1):
            with profiler.step(step), telemetry.transfer_guard(setup.config.telemetry):
                with meter.waiting():
                    rows = next(stream)
                batch = mesh_lib.to_global(rows, setup.mesh)
                state, metrics = setup.train_step(state, batch, setup.key)
                del batch
                meter.dispatched(metrics["loss"])
                profiler.result(metrics)
                under_way.add(metrics["loss"])
            watch.note(step, metrics)
            if writer:
                pace.note(step, metrics["loss"])

            stops = interruption.reached(step) and step < config.num_steps
            logs = due(step, config.log_every) or (config.log_every > 0 and step == start + 1)
            evaluates = bool(setup.evaluator) and due(step, config.eval_every)
            saves = due(step, config.checkpoint_every)
            saves |= evaluates and config.keep_best > 0 and config.checkpoint_every > 0
            looks = due(step, config.log_every or trouble.LOOK_EVERY)

            if looks or logs or saves or stops:
                watch.check()
            if writer and logs:
                scalars = _fetch(metrics) | meter.read(step) | telemetry.device_memory()
                writer.write_scalars(step, scalars)
                progress.show(step, scalars)
            elif writer and progress.is_late():
                # On the terminal alone, because files must not depend on the clock.
                progress.show(step, _fetch(metrics) | meter.peek(step))
            # Before the evaluation, so that this step is not lost if that fails.
            if saves or stops:
                checkpoints.save(step, state, about)
            if evaluates and not stops and not evaluate(step, saves):
                stops = True
                if not saves:
                    checkpoints.save(step, state, about)
            if stops:
                raise Interrupted(step, interruption.reason)
    return state


def _fetch(metrics: dict[str, jax.Array]) -> dict[str, float]:
    return {name: float(value) for name, value in jax.device_get(metrics).items()}


def _watching(
    setup: Setup, workdir: epath.Path, stack: contextlib.ExitStack
) -> tuple[telemetry.Meter, telemetry.ProfilerWindow]:
    """The parts that measure speed; they are closed with `stack`."""
    settings, batch_size = setup.config.telemetry, setup.config.train.batch_size
    is_main, peak = jax.process_index() == 0, settings.peak_flops
    encoder = image_features.in_step(setup.config, setup.model.features)
    meter = telemetry.Meter(
        batch_size=batch_size,
        num_devices=setup.mesh.size,
        step_flops=flops.train_step_flops(setup.model, batch_size, encoder) if peak else None,
        peak_flops=peak,
    )
    profiler = telemetry.ProfilerWindow(
        settings.profile_start, settings.profile_steps, workdir / "profile" if is_main else None
    )
    return (
        stack.enter_context(contextlib.closing(meter)),
        stack.enter_context(contextlib.closing(profiler)),
    )


def _print_start(setup: Setup, start: int) -> None:
    config, size, count = setup.config, setup.model.image_size, setup.mesh.size
    parameters = parameter_overview.count_parameters(setup.abstract_state.params)
    print(
        f"{'resuming at' if start else 'starting from'} step {start} of {config.train.num_steps}: "
        f"{parameters:,} parameters, {size} x {size} pixels, batches of {config.train.batch_size} "
        f"on {count} {jax.devices()[0].platform} device{'s' if count > 1 else ''}\n"
        f"images: {'; '.join(setup.sources)}",
    )
    if not config.train.checkpoint_every:
        print("checkpoints: none, unless a signal stops it (config.train.checkpoint_every=0)")
    print("compiling the training step ...", flush=True)
