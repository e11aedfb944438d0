"""How fast a training is and what it waits for: rates, memory, profiler and debugging switches."""

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
# Seconds to wait for the notice that a step has ended, when a later one has already been fetched.
_GRACE_SECONDS = 1.0
# Seconds to wait for the steps under way when a training ends; a device may never answer.
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
        batch_size: number of images per step, over all processes.
        num_devices: number of devices of all processes.
        step_flops: FLOPs of the model per step, over all devices, see `bitdiff_jax.flops`; None
            leaves the utilisation out.
        peak_flops: greatest FLOP/s of one device; None leaves the utilisation out.
        clock: function that returns the time in seconds and never goes back.
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
        """Context in which the loop waits for a batch."""
        asked = self._clock()
        yield
        self._arrivals.append((asked, self._clock(), self._ended))

    def dispatched(self, output: jax.Array) -> None:
        """Notes a dispatched step; `output` is a small array of its results that is not donated."""
        self._ended = self._watcher.when_ready(output)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Context whose time, such as that of an evaluation, does not count in the rates."""
        start = self._clock()
        try:
            yield
        finally:
            self._paused += self._clock() - start

    def read(self, step: int) -> dict[str, float]:
        """The rates since the last reading; call it after the step's metrics were fetched.

        The first reading starts the clock and is empty, because the time before is compilation.

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
        """The rates that `read` would return; it does not count as a reading."""
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
    """Rates of `steps` steps that took `seconds`, of which `waited` seconds were without data.

    Utilisation is the model's FLOP/s over the peak of all devices. Recomputation (remat), the
    optimizer and the input are not counted as work, so it says how much of the devices the model
    uses.
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
        arrivals: times in seconds of each batch: when it was asked for, when it was there, and when
            the step before ended. None stands for an end that is not known, as before the first
            step; the whole wait counts there.
    """
    return sum(
        max(0.0, there - (asked if ended is None else max(asked, ended)))
        for asked, there, ended in arrivals
    )


def device_memory(devices: Sequence[Any] | None = None) -> dict[str, float]:
    """Memory of the fullest of this process's devices, in GiB.

    Args:
        devices: the devices to look at; None takes all local ones.

    Returns:
        'memory_gib', 'memory_peak_gib' (since the process began) and 'memory_limit_gib', as far as
        the platform reports them; a CPU reports none.
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
        num_steps: number of steps to record.
        folder: folder of the recording; only process 0 should have one, others pass None.
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
        """Context of everything that belongs to a step, including the wait for its batch."""
        # A training that is resumed within the window records the rest of it.
        if not self._open and self._first and self._first <= step <= self._last:
            logging.info("profiling steps %d to %d into %s", step, self._last, self._folder)
            jax.profiler.start_trace(str(self._folder))
            self._open = True
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield
        if self._open and step >= self._last:
            self.close()

    def result(self, result: Any) -> None:
        """Sets the arrays to wait for before the recording ends; none of them may be donated."""
        self._result = result if self._open else None

    def close(self) -> None:
        """Ends the recording, if there is one: early where a training ends within the window."""
        if self._open:
            self._open = False
            try:
                # Devices run behind the host; without this their last steps would be missing.
                jax.block_until_ready(self._result)
            finally:
                self._result = None
                jax.profiler.stop_trace()


def apply_switches(settings: ml_collections.ConfigDict) -> None:
    """Applies `telemetry.debug_nans` to this process.

    Raises:
        InputError: `telemetry.transfer_guard` is not known.
    """
    if settings.transfer_guard not in _GUARDS:
        raise InputError(
            f"config.telemetry.transfer_guard is {settings.transfer_guard!r}; "
            f"it must be one of {', '.join(_GUARDS)}"
        )
    jax.config.update("jax_debug_nans", settings.debug_nans)


def transfer_guard(settings: ml_collections.ConfigDict) -> contextlib.AbstractContextManager[None]:
    """Context of a step that allows, logs or forbids implicit copies between host and devices."""
    return jax.transfer_guard(settings.transfer_guard)


def parameter_table(params: Any) -> str:
    """A table with name, shape, dtype and size of each tensor, and the sums below.

    Args:
        params: tree of arrays or of `jax.ShapeDtypeStruct`s.
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
            # If the thread were still waiting inside jax when Python ends, it could not come back,
            # and the process would abort.
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
    # The step has ended by the time the rates are read; the thread needs a moment to say so.
    done, _ = futures.wait([ended], timeout=_GRACE_SECONDS)
    # The end is not known, and counts as if the step had not ended.
    return ended.result() if done and ended.exception() is None else math.inf
