"""Rates and waiting times against hand-made clocks, the profiler's window, the switches."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.training import telemetry
from bitdiff_jax.training.telemetry import Meter, ProfilerWindow, device_memory, idle_seconds, rates


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Output:
    """Stands for an array that is ready when told."""

    def __init__(self):
        self._ready, self.error = threading.Event(), None

    def block_until_ready(self):
        assert self._ready.wait(10)
        if self.error:
            raise self.error
        return self

    def end(self, error=None):
        self.error = error
        self._ready.set()


def settings(**changes):
    config = config_lib.load("base:smoke").telemetry
    config.update(changes)
    return config


# --- Pure parts ------------------------------------------------------------------------------


def test_rates_by_hand():
    metrics = rates(
        steps=10,
        seconds=4.0,
        waited=1.0,
        batch_size=16,
        num_devices=8,
        step_flops=2e12,
        peak_flops=1e12,
    )
    assert metrics == {
        "steps_per_second": 2.5,
        "images_per_second": 40.0,
        "images_per_second_per_chip": 5.0,
        "waiting_for_data": 0.25,
        "model_flop_utilization": pytest.approx(2.5 * 2e12 / 8e12),
    }


@pytest.mark.parametrize("known", [{}, {"step_flops": 1e9}, {"peak_flops": 1e9}])
def test_no_utilisation_without_both_metrics(known):
    metrics = rates(steps=1, seconds=1.0, waited=0.0, batch_size=1, num_devices=1, **known)
    assert "model_flop_utilization" not in metrics


def test_rates_of_no_time_are_finite():
    metrics = rates(steps=1, seconds=0.0, waited=0.0, batch_size=1, num_devices=1)
    assert all(np.isfinite(v) for v in metrics.values())
    assert metrics["waiting_for_data"] == 0.0


@pytest.mark.parametrize(
    ("asked", "there", "ended", "idle"),
    [
        (0.0, 5.0, None, 5.0),  # nothing ran before
        (2.0, 7.0, 1.0, 5.0),  # the devices were idle all the time
        (2.0, 7.0, 4.0, 3.0),  # they went idle in between
        (2.0, 7.0, 7.0, 0.0),
        (2.0, 7.0, 9.0, 0.0),  # they never were
        (2.0, 7.0, float("inf"), 0.0),
    ],
)
def test_idle_seconds(asked, there, ended, idle):
    assert idle_seconds([(asked, there, ended)]) == idle
    assert idle_seconds([(asked, there, ended)] * 3) == 3 * idle


def test_device_memory_takes_the_fullest_device():
    class Device:
        def __init__(self, stats):
            self.memory_stats = lambda: stats

    gib = 2**30
    full = {"bytes_in_use": 2 * gib, "peak_bytes_in_use": 3 * gib, "bytes_limit": 16 * gib}
    other = {"bytes_in_use": gib, "peak_bytes_in_use": 5 * gib, "bytes_limit": 16 * gib}
    assert device_memory([Device(full), Device(other), Device(None)]) == {
        "memory_gib": 2.0,
        "memory_peak_gib": 5.0,
        "memory_limit_gib": 16.0,
    }
    assert device_memory([Device({"bytes_in_use": gib})]) == {"memory_gib": 1.0}
    assert device_memory([Device(None)]) == {}


def test_device_memory_of_this_machine():
    assert all(value >= 0 for value in device_memory().values())


# --- Meter -----------------------------------------------------------------------------------


def test_the_meter_leaves_out_compilation_and_pauses():
    clock = Clock()
    meter = Meter(batch_size=8, num_devices=2, clock=clock)
    clock.now = 100.0  # the compiler
    assert meter.read(1) == {}
    clock.now = 103.0
    with meter.paused():
        clock.now = 203.0
    clock.now = 205.0
    metrics = meter.read(11)
    assert metrics["steps_per_second"] == pytest.approx(10 / 5)
    assert metrics["images_per_second_per_chip"] == pytest.approx(10 / 5 * 8 / 2)
    clock.now = 206.0
    assert meter.read(12)["steps_per_second"] == pytest.approx(1.0)  # the pause is not kept
    meter.close()


def test_a_pause_that_fails_is_a_pause():
    clock = Clock()
    meter = Meter(batch_size=1, num_devices=1, clock=clock)
    meter.read(0)
    with pytest.raises(RuntimeError), meter.paused():
        clock.now = 50.0
        raise RuntimeError
    clock.now = 51.0
    assert meter.read(1)["steps_per_second"] == pytest.approx(1.0)


def test_a_roll_back_starts_the_clock_anew():
    clock = Clock()
    meter = Meter(batch_size=1, num_devices=1, clock=clock)
    meter.read(30)
    clock.now = 5.0
    assert meter.read(20) == {}
    clock.now = 7.0
    assert meter.read(24)["steps_per_second"] == pytest.approx(2.0)


def one_step(meter, clock, *, asked, there, ended_before=None):
    """Waits for a batch; the step before, if still running, ends at `ended_before`."""
    output = Output()
    clock.now = asked
    with meter.waiting():
        if ended_before is not None:
            before, when = ended_before
            clock.now = when
            before.end()
            deadline = time.monotonic() + 10
            while not meter._ended.done() and time.monotonic() < deadline:
                time.sleep(0.001)
        clock.now = there
    meter.dispatched(output)
    return output


def test_only_the_time_that_devices_had_nothing_to_do_is_waiting():
    clock = Clock()
    meter = Meter(batch_size=1, num_devices=1, clock=clock)
    first = one_step(meter, clock, asked=0.0, there=1.0)
    meter.read(0)
    # The loop asks at once, the step ends at 4, the batch comes at 5: one second of five.
    second = one_step(meter, clock, asked=1.0, there=5.0, ended_before=(first, 4.0))
    clock.now = 6.0
    second.end()
    assert meter.read(1)["waiting_for_data"] == pytest.approx(1 / 5)
    meter.close()


def test_waiting_beside_a_busy_device_is_none():
    clock = Clock()
    meter = Meter(batch_size=1, num_devices=1, clock=clock)
    running = one_step(meter, clock, asked=0.0, there=0.0)
    meter.read(0)
    then = one_step(meter, clock, asked=0.0, there=8.0)  # the first step still runs
    clock.now = 10.0
    running.end()
    then.end()
    assert meter.read(1)["waiting_for_data"] == 0.0
    meter.close()


def test_a_step_that_failed_or_never_ends_does_not_hang_the_meter(monkeypatch):
    monkeypatch.setattr(telemetry, "_GRACE_SECONDS", 0.05)
    monkeypatch.setattr(telemetry, "_END_SECONDS", 0.05)
    clock = Clock()
    meter = Meter(batch_size=1, num_devices=1, clock=clock)
    failed = one_step(meter, clock, asked=0.0, there=0.0)
    meter.read(0)
    failed.end(error=FloatingPointError("nan"))
    hung = one_step(meter, clock, asked=1.0, there=2.0)
    one_step(meter, clock, asked=2.0, there=3.0)
    clock.now = 4.0
    assert meter.read(2)["waiting_for_data"] == 0.0
    start = time.monotonic()
    meter.close()
    assert time.monotonic() - start < 5
    hung.end()


def test_the_meter_sees_the_end_of_real_steps():
    """The device had nothing from the end of one step, at 1 s, until the next batch, at 4 s."""
    clock = Clock()
    step = jax.jit(lambda x: jnp.tanh(x @ x).mean())
    meter = Meter(batch_size=1, num_devices=1, clock=clock)
    meter.dispatched(step(jnp.eye(8)))
    meter.read(0)
    clock.now = 1.0
    meter.dispatched(step(jnp.ones((8, 8))))
    assert meter._ended.result(timeout=60) == 1.0
    clock.now = 2.0
    with meter.waiting():
        clock.now = 4.0
    meter.dispatched(step(jnp.eye(8)))
    assert meter._ended.result(timeout=60) == 4.0
    metrics = meter.read(2)
    meter.close()
    assert metrics["waiting_for_data"] == pytest.approx(2 / 4)


# --- Profiler --------------------------------------------------------------------------------


@pytest.fixture
def traces(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: calls.append(folder))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: calls.append("stop"))
    return calls


def run(window, traces, first, last):
    for number in range(first, last + 1):
        with window.step(number):
            traces.append(number)
            window.result(jnp.zeros(()))
    window.close()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (1, 8, [1, 2, "there", 3, 4, 5, "stop", 6, 7, 8]),
        (5, 7, ["there", 5, "stop", 6, 7]),  # resumed within the window
        (6, 7, [6, 7]),  # resumed after it
        (1, 4, [1, 2, "there", 3, 4, "stop"]),  # ended within it
        (1, 2, [1, 2]),
    ],
)
def test_the_window_records_its_steps_and_no_others(traces, first, last, expected):
    run(ProfilerWindow(3, 3, "there"), traces, first, last)
    assert traces == expected


@pytest.mark.parametrize("window", [(0, 5, "there"), (3, 3, None)])
def test_no_window(traces, window):
    run(ProfilerWindow(*window), traces, 1, 6)
    assert traces == [1, 2, 3, 4, 5, 6]


def test_an_error_within_the_window_ends_the_recording(traces):
    window = ProfilerWindow(1, 3, "there")
    with pytest.raises(KeyError), window.step(1):
        raise KeyError
    window.close()
    window.close()
    assert traces == ["there", "stop"]


@pytest.mark.parametrize("window", [(-1, 5), (1, 0)])
def test_a_window_that_cannot_be(window):
    with pytest.raises(InputError, match=r"config\.telemetry: profile_start="):
        ProfilerWindow(*window, "there")


def test_a_real_recording_names_its_steps(tmp_path):
    window = ProfilerWindow(2, 2, tmp_path / "profile")
    step = jax.jit(lambda x: jnp.tanh(x @ x).sum())
    for number in range(1, 5):
        with window.step(number):
            window.result(step(jnp.ones((32, 32))))
    window.close()
    (recording,) = (tmp_path / "profile").rglob("*.xplane.pb")
    data = recording.read_bytes()
    assert b"train" in data and b"step_num" in data


# --- Switches --------------------------------------------------------------------------------


def test_the_transfer_guard_sees_a_copy_that_nobody_asked_for():
    double = jax.jit(lambda x: 2 * x)
    with telemetry.transfer_guard(settings()):
        double(np.ones(3))
    with (
        pytest.raises(Exception, match=r"[Dd]isallowed"),
        telemetry.transfer_guard(settings(transfer_guard="disallow")),
    ):
        double(np.ones(3))
    there = jax.device_put(np.ones(3))
    with telemetry.transfer_guard(settings(transfer_guard="disallow")):
        double(there)


def test_debug_nans_names_the_operation():
    @jax.jit
    def divide(x):
        return x / x

    zero = jnp.zeros(())
    try:
        telemetry.apply_switches(settings(debug_nans=True))
        with pytest.raises(FloatingPointError, match="div"):
            divide(zero)
    finally:
        telemetry.apply_switches(settings())
    assert np.isnan(divide(zero))


def test_an_unknown_guard_is_named():
    with pytest.raises(InputError, match=r"transfer_guard is 'never'; it must be one of allow"):
        telemetry.apply_switches(settings(transfer_guard="never"))


def test_the_parameter_table_counts_shapes():
    shapes = {"net": {"kernel": jax.ShapeDtypeStruct((3, 5), jnp.float32)}}
    table = telemetry.parameter_table(shapes)
    assert "net/kernel" in table and "(3, 5)" in table and "15" in table and "60 bytes" in table
