"""How far the host may run ahead of its devices, and CPU devices that cannot starve each other.

A CPU client of XLA has as many threads as cores, and at least one per device. A program of N
devices takes N of them while it runs, and dispatching the next one takes N for a moment. But once
32 programs wait on a device, dispatching blocks these threads until one of the 32 ends. On as many
cores as devices no thread is left to run it: a device waits in vain for another one in a sum over
all devices, and XLA ends the process (SIGABRT) after 40 seconds. So nothing here is ever 32
programs ahead, and where this package chooses the number of devices there are threads for both.
"""

import collections
import os
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh

_T = TypeVar("_T")

# XLA reads this variable when it makes its CPU client: the number of threads, instead of cores.
_THREADS = "PJRT_NPROC"


class InFlight:
    """Bounds the number of programs that were dispatched and may not have ended.

    Args:
        limit: greatest number of programs that are under way when `add` returns; 0 waits for each.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._pending: collections.deque[Any] = collections.deque()

    def add(self, result: _T) -> _T:
        """Notes a dispatched program, and waits until at most `limit` programs are under way.

        Args:
            result: results of the program, arrays that will not be donated. They are returned.
        """
        self._pending.append(result)
        while len(self._pending) > self._limit:
            jax.block_until_ready(self._pending.popleft())
        return result


def steps_ahead(mesh: Mesh) -> int:
    """How many steps may be under way while the host prepares the next.

    It is 1 on accelerators, so that they need not wait for the host. It is 0 on a CPU, where the
    host is the device: nothing would be gained, and a training that is stopped would have to wait
    for the queued steps.
    """
    return 0 if mesh.devices.flat[0].platform == "cpu" else 1


def split_cpu(count: int) -> None:
    """Splits this process's CPU into `count` devices. Call it before anything uses a device.

    A count of 1 changes nothing, because XLA_FLAGS may ask for devices too.
    """
    if count > 1:
        jax.config.update("jax_num_cpu_devices", count)
        os.environ.setdefault(_THREADS, str(max(_cores(), 2 * count)))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
