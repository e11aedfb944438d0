"""The time and memory that a training will take, printed before it compiles and after some steps.

The first estimate is arithmetic: the network's FLOPs over the rate of this CPU in a matrix product,
and the size of what the backward pass keeps. The second is measured on the first steps.
"""

import math
import os
import pathlib
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bitdiff_jax import flops
from bitdiff_jax.training import image_features, label_warnings
from bitdiff_jax.training.setup import Setup

_GIB = 2**30
_DAY = 86_400.0
# FLOP/s of a float32 training step, as a share of a CPU's in a matrix product: .3 for `small` and
# `quickstart`, twice as much for `base`. The lower one, so that the estimate is rather too long.
_EFFICIENCY = 0.3
# Memory of a step beside the state, as a multiple of the outputs of convolutions and products.
_MAPS = {"cpu": 12}
_MAPS_ELSEWHERE = 1.5
# Bytes that Python, jax and the compiled programs take.
_PROCESS = _GIB // 2


_ADVICE = (
    "warning: on a CPU this takes days; use --config small (64 x 64 pixels, made for a laptop), "
    "fewer --config.train.num_steps, or an accelerator (launch/README.md)"
)


class Expectation(NamedTuple):
    """The size, memory and time that are expected of a training.

    Attributes:
        parameters: number of parameters of the network.
        step_flops: FLOPs of a step, see `flops.train_step_flops`.
        memory: bytes that the fullest device needs; on a CPU, whose devices share one memory, that
            all of them need.
        limit: bytes that are available; None if that is not known.
        step_seconds: seconds of a step; None where it is not known, as on an accelerator.
    """

    parameters: int
    step_flops: int
    memory: int
    limit: int | None
    step_seconds: float | None


def tell(setup: Setup, start: int) -> None:
    """Prints, before the first step, what to expect of a training and its kind of images.

    Args:
        setup: the parts of the training.
        start: number of steps that were taken before.
    """
    num_steps = setup.config.train.num_steps
    if start >= num_steps:
        print(
            f"the run is at step {start:,} already, and config.train.num_steps={num_steps}: raise "
            "it to train on",
            flush=True,
        )
        return
    told = lines(expect(setup), num_steps - start)
    told += label_warnings.lines(setup)
    print("\n".join(told), flush=True)


def expect(setup: Setup) -> Expectation:
    """Estimates a training by arithmetic and the time of a matrix product, without compiling it."""
    step_flops = flops.train_step_flops(
        setup.model,
        setup.config.train.batch_size,
        image_features.in_step(setup.config, setup.model.features),
    )
    device = setup.mesh.local_devices[0]
    on_cpu = device.platform == "cpu"
    return Expectation(
        parameters=sum(math.prod(x.shape) for x in jax.tree.leaves(setup.abstract_state.params)),
        step_flops=step_flops,
        memory=_memory(setup, device.platform),
        limit=_machine_memory() if on_cpu else _device_memory(device),
        step_seconds=step_flops / (_EFFICIENCY * matrix_flops()) if on_cpu else None,
    )


def lines(expected: Expectation, num_steps: int) -> list[str]:
    """The expectation in words: one line, and one more for a long time and for much memory.

    Args:
        expected: the estimate of `expect`.
        num_steps: number of steps still to take.
    """
    said = (
        f"expected: {expected.parameters:,} parameters, {_flops(expected.step_flops)} a step, up "
        f"to about {_gib(expected.memory)} of memory"
    )
    found = []
    if expected.step_seconds is not None:
        seconds = expected.step_seconds
        said += (
            f"; on this CPU very roughly {duration(seconds)} a step, "
            f"{duration(seconds * num_steps)} for {num_steps:,} steps"
        )
        if seconds * num_steps > _DAY:
            found.append(_ADVICE)
    if expected.limit is not None and expected.memory > expected.limit:
        found.append(
            f"warning: that is more memory than the {_gib(expected.limit)} there are; lower "
            "--config.train.batch_size, raise --config.train.accumulate, or use a smaller network "
            "(--config small)"
        )
    return [said, *found]


def duration(seconds: float) -> str:
    """A duration in words, such as '0.12 seconds', '12 minutes' or '3.5 hours'."""
    for unit, size in (("days", _DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            count = seconds / size
            return f"{count:.1f} {unit}" if count < 10 else f"{count:,.0f} {unit}"
    return f"{seconds:.2g} seconds" if seconds < 10 else f"{seconds:.0f} seconds"


class Pace:
    """Prints once, after the first steps, what a step takes and when the training ends."""

    # The first step compiles, which may slow the second, too.
    _FROM, _TO = 2, 5

    def __init__(self, start: int, num_steps: int, on_cpu: bool):
        """Waits for step `start` + 2.

        Args:
            start: number of steps that were taken before this start.
            num_steps: number of steps of the whole training.
            on_cpu: whether it runs on a CPU, where a training of days gets a warning.
        """
        self._start, self._num_steps, self._on_cpu = start, num_steps, on_cpu
        self._began = 0.0

    def note(self, step: int, result: Any) -> None:
        """Takes the time; call it after each step is dispatched. It waits twice, and prints once.

        Args:
            step: number of the step.
            result: an array among the step's results.
        """
        taken = step - self._start
        if taken not in (self._FROM, self._TO):
            return
        jax.block_until_ready(result)
        now = time.monotonic()
        if taken == self._FROM:
            self._began = now
            return
        seconds = (now - self._began) / (self._TO - self._FROM)
        left = seconds * (self._num_steps - step)
        line = (
            f"a step takes {duration(seconds)}: {duration(left)} to the end of "
            f"{self._num_steps:,} steps, without evaluations"
        )
        print(f"{line}\n{_ADVICE}" if self._on_cpu and left > _DAY else line, flush=True)


def matrix_flops(side: int = 512, times: int = 10) -> float:
    """Measures FLOP/s of a float32 matrix product on the first device, the best of some tries."""
    x = jnp.ones((side, side))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(x, x))
    best = math.inf
    for _ in range(times):
        start = time.perf_counter()
        jax.block_until_ready(product(x, x))
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def _memory(setup: Setup, platform: str) -> int:
    """Bytes that the fullest device needs, or all together on a CPU, whose devices share memory."""
    train, mesh = setup.config.train, setup.mesh

    def share(leaf: jax.ShapeDtypeStruct) -> int:
        assert leaf.sharding is not None
        return math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize

    state = sum(map(share, jax.tree.leaves(setup.abstract_state)))
    gradients = sum(map(share, jax.tree.leaves(setup.abstract_state.params)))
    images = train.batch_size / (mesh.size * train.accumulate)
    kept = _MAPS.get(platform, _MAPS_ELSEWHERE) * flops.map_bytes(flops.forward_jaxpr(setup.model))
    device = state + gradients + images * kept
    if platform != "cpu":
        return round(device)
    return round(len(mesh.local_devices) * device) + _PROCESS


def _machine_memory() -> int | None:
    """Bytes that this process may use: the machine's, or its container's if that is less."""
    limits = []
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        limits.append(int(pathlib.Path("/sys/fs/cgroup/memory.max").read_text()))
    except (AttributeError, OSError, ValueError):  # another system, or 'max'
        pass
    return min(limits, default=None)


def _device_memory(device: jax.Device) -> int | None:
    """Bytes that programs may use on an accelerator; None if it does not report them."""
    statistics = device.memory_stats() or {}
    return statistics.get("bytes_limit")


def _gib(count: int) -> str:
    return f"{count / _GIB:.2g} GiB" if count < 10 * _GIB else f"{count / _GIB:.0f} GiB"


def _flops(count: int) -> str:
    return f"{count / 1e12:.3g} TFLOP" if count >= 1e12 else f"{count / 1e9:.3g} GFLOP"
