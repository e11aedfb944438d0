"""How far the host may run ahead of its devices, and CPU devices that cannot starve each other.

A CPU client of XLA has as many threads as cores, at least one a device. A program of N devices
takes N of them while it runs, and to hand over the next one takes N for a moment; but once 32
programs wait on a device, handing over blocks these threads until one of the 32 ends. On as many
cores as devices no thread is left to run it: a device that waits for another in a sum over all
devices waits in vain, and XLA ends the process (SIGABRT) after 40 seconds. So nothing here is ever
32 programs ahead, and where the number of devices is ours to choose there are threads for both.
"""

import collections
import os
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh

_T = TypeVar("_T")

# Read by XLA when it makes its CPU client: how many threads, in place of the number of cores.
_THREADS = "PJRT_NPROC"


class InFlight:
    """Keeps count of programs that were handed over and may not have ended.

    Args:
        limit: how many may be under way when `add` returns; 0 waits for each.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._pending: collections.deque[Any] = collections.deque()

    def add(self, result: _T) -> _T:
        """After a program was handed over: waits until `limit` at most are under way.

        Args:
            result: of the program, arrays that will not be donated; given back.
        """
        self._pending.append(result)
        while len(self._pending) > self._limit:
            jax.block_until_ready(self._pending.popleft())
        return result


def steps_ahead(mesh: Mesh) -> int:
    """How many steps may be under way while the host prepares the next.

    One on accelerators, so that they need not wait for the host. None on a CPU, where the host is
    the device: nothing is gained, and who stops a training would wait for the steps queued.
    """
    return 0 if mesh.devices.flat[0].platform == "cpu" else 1


def split_cpu(count: int) -> None:
    """Makes `count` devices of this process's CPU. Call it before anything touches a device.

    With 1 nothing is changed: XLA_FLAGS may ask for devices too.
    """
    if count > 1:
        jax.config.update("jax_num_cpu_devices", count)
        os.environ.setdefault(_THREADS, str(max(_cores(), 2 * count)))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
