"""How fast a training is, what it waits for, and how to look closer: the parts the loop calls."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any

import jax
import ml_collections
from absl import logging
from clu import parameter_overview
from etils import epath

from bitdiff_jax.errors import InputError

_GUARDS = ("allow", "log", "disallow")
_GIB = 2**30
# How long to wait for the word that a step has ended, when a later one has already been fetched.
_GRACE_SECONDS = 1.0
# And for the steps under way when a training ends; no longer, for a device may never answer.
_END_SECONDS = 60.0


class Meter:
    """Rates of a training, and the share of time that its devices wait for data.

    The loop runs ahead of the devices, so how long *it* waits for a batch says little: while it
    waits, the devices may still be busy with the step before. A thread notes when each step has
    ended, and only the time from then to the arrival of the next batch counts as waiting.

        with meter.waiting():
            batch = next(batches)
        state, metrics = train_step(state, batch, key)
        meter.dispatched(metrics["loss"])

    Args:
        batch_size: images a step, over all processes.
        num_devices: devices of all processes.
        step_flops: the model's floating-point operations a step over all devices, see
            `bitdiff_jax.flops`; None leaves the utilisation out.
        peak_flops: what one device can do a second; None likewise.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        num_devices: int,
        step_flops: float | None = None,
        peak_flops: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._batch_size, self._num_devices = batch_size, num_devices
        self._step_flops, self._peak_flops = step_flops, peak_flops
        self._clock = clock
        self._watcher = _Watcher(clock)
        self._last: tuple[int, float] | None = None  # step and time of the last reading
        self._paused = 0.0
        self._arrivals: list[tuple[float, float, futures.Future[float] | None]] = []
        self._ended: futures.Future[float] | None = None  # when the step before will have ended

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Around the getting of a batch."""
        asked = self._clock()
        yield
        self._arrivals.append((asked, self._clock(), self._ended))

    def dispatched(self, output: jax.Array) -> None:
        """After a step: `output` is a small array of its results, never one that is donated."""
        self._ended = self._watcher.when_ready(output)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Takes what happens inside, an evaluation, out of the rates."""
        start = self._clock()
        try:
            yield
        finally:
            self._paused += self._clock() - start

    def read(self, step: int) -> dict[str, float]:
        """The figures of the time since the last reading; call it with the step's metrics fetched.

        The first reading starts the clock and is empty: what came before is compilation.

        Returns:
            'steps_per_second', 'images_per_second', 'images_per_second_per_chip',
            'waiting_for_data' (a share, 0 to 1) and, where the peak of the device is known,
            'model_flop_utilization'.
        """
        now = self._clock()
        figures = self._rates(step, now)
        self._last, self._paused, self._arrivals = (step, now), 0.0, []
        return figures

    def peek(self, step: int) -> dict[str, float]:
        """What `read` would return; the time goes on being counted from the last reading."""
        return self._rates(step, self._clock())

    def _rates(self, step: int, now: float) -> dict[str, float]:
        last = self._last
        if last is None or step <= last[0]:
            return {}
        arrivals = [(asked, there, _when(ended)) for asked, there, ended in self._arrivals]
        return rates(
            steps=step - last[0],
            seconds=now - last[1] - self._paused,
            waited=idle_seconds(arrivals),
            batch_size=self._batch_size,
            num_devices=self._num_devices,
            step_flops=self._step_flops,
            peak_flops=self._peak_flops,
        )

    def close(self) -> None:
        """Ends the thread, after the steps under way."""
        self._watcher.close()


def rates(
    *,
    steps: int,
    seconds: float,
    waited: float,
    batch_size: int,
    num_devices: int,
    step_flops: float | None = None,
    peak_flops: float | None = None,
) -> dict[str, float]:
    """Figures of `steps` steps that took `seconds`, `waited` of them without data.

    Utilisation is model FLOPs a second over what all devices could do. Recomputation (remat), the
    optimizer and the input are not counted as work, so it is what the model gets out of the chips.
    """
    seconds = max(seconds, 1e-9)
    images = steps * batch_size / seconds
    metrics = {
        "steps_per_second": steps / seconds,
        "images_per_second": images,
        "images_per_second_per_chip": images / num_devices,
        "waiting_for_data": min(waited / seconds, 1.0),
    }
    if step_flops and peak_flops:
        metrics["model_flop_utilization"] = (
            steps * step_flops / seconds / (num_devices * peak_flops)
        )
    return metrics


def idle_seconds(arrivals: Iterable[tuple[float, float, float | None]]) -> float:
    """Sum of the times in which devices had nothing to do because a batch was not there.

    Args:
        arrivals: (batch asked for, batch there, end of the step before) each; no end is known
            before the first step, where the whole wait counts.
    """
    return sum(
        max(0.0, there - (asked if ended is None else max(asked, ended)))
        for asked, there, ended in arrivals
    )


def device_memory(devices: Sequence[Any] | None = None) -> dict[str, float]:
    """Memory of the fullest of this process's devices, in GiB.

    Args:
        devices: all local ones by default.

    Returns:
        'memory_gib', 'memory_peak_gib' (since the process began) and 'memory_limit_gib', as far as
        the platform tells; a CPU tells nothing.
    """
    devices = jax.local_devices() if devices is None else devices
    stats = [device.memory_stats() or {} for device in devices]
    names = {
        "memory_gib": "bytes_in_use",
        "memory_peak_gib": "peak_bytes_in_use",
        "memory_limit_gib": "bytes_limit",
    }
    return {
        name: max(s[key] for s in stats if key in s) / _GIB
        for name, key in names.items()
        if any(key in s for s in stats)
    }


class ProfilerWindow:
    """Records some steps for the profiler's viewers (XProf, Perfetto) into `folder`.

        with window.step(step):
            state, metrics = train_step(state, batch, key)
            window.result(metrics)

    Args:
        start: the first step to record, counted as in the checkpoints; 0 records nothing.
        num_steps: how many.
        folder: where to; process 0 alone should have one, others pass None.
    """

    def __init__(self, start: int, num_steps: int, folder: epath.PathLike | None):
        if start < 0 or num_steps < 1:
            raise InputError(
                f"config.telemetry: profile_start={start} must be 0 or more, "
                f"profile_steps={num_steps} 1 or more"
            )
        self._first = start if folder is not None else 0
        self._last = start + num_steps - 1
        self._folder = folder
        self._result: Any = None
        self._open = False

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Around everything that belongs to a step, the wait for its batch included."""
        # A training resumed within the window records what is left of it.
        if not self._open and self._first and self._first <= step <= self._last:
            logging.info("profiling steps %d to %d into %s", step, self._last, self._folder)
            jax.profiler.start_trace(str(self._folder))
            self._open = True
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield
        if self._open and step >= self._last:
            self.close()

    def result(self, result: Any) -> None:
        """Says what to wait for before the recording ends; donated arrays must not be in it."""
        self._result = result if self._open else None

    def close(self) -> None:
        """Ends the recording, if there is one: early where a training ends within the window."""
        if self._open:
            self._open = False
            try:
                # Devices run behind; without this their last steps would be missing.
                jax.block_until_ready(self._result)
            finally:
                self._result = None
                jax.profiler.stop_trace()


def apply_switches(settings: ml_collections.ConfigDict) -> None:
    """Sets what JAX looks out for in this process: `config.telemetry.debug_nans`.

    Raises:
        InputError: a transfer guard that there is not.
    """
    if settings.transfer_guard not in _GUARDS:
        raise InputError(
            f"config.telemetry.transfer_guard is {settings.transfer_guard!r}; "
            f"it must be one of {', '.join(_GUARDS)}"
        )
    jax.config.update("jax_debug_nans", settings.debug_nans)


def transfer_guard(settings: ml_collections.ConfigDict) -> contextlib.AbstractContextManager[None]:
    """Around a step: what happens to implicit copies between host and devices inside."""
    return jax.transfer_guard(settings.transfer_guard)


def parameter_table(params: Any) -> str:
    """A line per tensor: name, shape, dtype, size; the sums below.

    Args:
        params: arrays or `jax.ShapeDtypeStruct`s.
    """
    return parameter_overview.get_parameter_overview(params, include_stats=False)


class _Watcher:
    """Notes when arrays are ready, without holding up the caller."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[jax.Array, futures.Future[float]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    def when_ready(self, array: jax.Array) -> futures.Future[float]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bitdiff-meter", daemon=True)
            self._thread.start()
        future: futures.Future[float] = futures.Future()
        self._queue.put((array, future))
        return future

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            # Were it still waiting inside of jax when Python ends, it could not come back, and the
            # process would abort.
            self._thread.join(timeout=_END_SECONDS)
            self._thread = None

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            array, future = item
            try:
                jax.block_until_ready(array)
                future.set_result(self._clock())
            except Exception as error:  # the loop meets the same error when it fetches the array
                future.set_exception(error)
            del array, item


def _when(ended: futures.Future[float] | None) -> float | None:
    if ended is None:
        return None
    # It has ended by the time the figures are read; the thread needs a moment to say so.
    done, _ = futures.wait([ended], timeout=_GRACE_SECONDS)
    # Not known: counted as if the step had not ended.
    return ended.result() if done and ended.exception() is None else math.inf
