"""Decisions that all processes of a run take together, so that none is left waiting."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from bitdiff_jax.parallel.mesh import batch_sharding, replicated


def worst(value: int) -> int:
    """The largest of the values of all processes. It is a barrier: all of them have to call it."""
    if jax.process_count() == 1:
        return value
    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


def from_first(values: list[int]) -> list[int]:
    """The list of process 0, on every process; the lists of the others may have other lengths."""
    if jax.process_count() == 1:
        return values
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(values))))
    padded = np.zeros(length, np.int32)
    padded[: min(length, len(values))] = values[:length]
    return [int(v) for v in multihost_utils.broadcast_one_to_all(padded)]


class Vote:
    """Tells every process, at the same call, that one of them has raised a flag.

    The flags of a call are gathered on the devices, behind the step that is under way, and read two
    calls later, so that no process waits and the host may still run ahead of the devices by two
    steps. All processes must call it equally often. A single process gets its own flag at once.
    """

    _DELAY = 2  # calls

    def __init__(self, mesh: Mesh):
        self._alone = jax.process_count() == 1
        self._rows = batch_sharding(mesh)
        self._count = len(mesh.local_devices)
        self._any = jax.jit(jnp.max, out_shardings=replicated(mesh))
        self._pending: collections.deque[jax.Array] = collections.deque()

    def __call__(self, raised: bool) -> bool:
        """Whether a flag was raised, by this process or another."""
        if self._alone:
            return raised
        hands = np.full(self._count, raised, np.int32)
        self._pending.append(self._any(jax.make_array_from_process_local_data(self._rows, hands)))
        return len(self._pending) > self._DELAY and bool(self._pending.popleft())
