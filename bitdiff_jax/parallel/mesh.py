"""The device mesh, and the transfer of host batches to it."""

import collections
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding

from bitdiff_jax.errors import InputError

AXES = ("data", "fsdp")
# Auto on purpose: the default is Explicit, where every operation would have to name shardings.
_AUTO = (AxisType.Auto,) * 2


def make_mesh(data: int = -1, fsdp: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with axes ('data', 'fsdp'); the batch is split over both.

    Devices of several slices (TPU slices joined by the data-centre network, or GPUs without a
    common fast one) are laid out so that 'fsdp' stays within a slice.

    Args:
        data: number of devices along 'data'; -1 takes all that are left.
        fsdp: number of devices along 'fsdp', over which large parameters may be split; -1 takes all
            that are left.
        devices: the devices to use; None takes all of them.

    Raises:
        InputError: the product does not match the number of devices, slices have unequal numbers
            of devices, or 'fsdp' does not fit into a slice.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [data, fsdp]
    if sizes.count(-1) > 1:
        raise InputError("config.mesh: only one of data and fsdp may be -1")
    if any(size < 1 and size != -1 for size in sizes):
        raise InputError(f"config.mesh: data={data}, fsdp={fsdp}; use 1 or more, or one -1")
    if -1 in sizes:
        fixed = abs(math.prod(sizes))
        sizes[sizes.index(-1)] = max(1, len(devices) // fixed)
    if math.prod(sizes) != len(devices):
        raise InputError(
            f"config.mesh asks for data={data} x fsdp={fsdp}, but the number of devices is "
            f"{len(devices)}; use {'a divisor of it' if -1 in (data, fsdp) else 'one -1'}"
        )
    slices = collections.Counter(map(_slice, devices))
    if len(slices) == 1:
        return _in_blocks(jax.make_mesh(tuple(sizes), AXES, _AUTO, devices=devices).devices)
    per_slice = len(devices) // len(slices)
    if len(set(slices.values())) > 1:
        raise InputError(
            f"the {len(slices)} slices have {', '.join(map(str, sorted(slices.values())))} "
            "devices; use slices of one size"
        )
    if sizes[0] % len(slices):
        raise InputError(
            f"config.mesh.fsdp={sizes[1]} does not fit into one of the {len(slices)} slices of "
            f"{per_slice} devices each; use a divisor of {per_slice}"
        )
    within, between = (sizes[0] // len(slices), sizes[1]), (len(slices), 1)
    return _in_blocks(mesh_utils.create_hybrid_device_mesh(within, between, devices))


def _in_blocks(grid: np.ndarray) -> Mesh:
    """A mesh in which the devices of each process are consecutive.

    So each process holds one block of rows of a batch, the one that it loads, and row i gets the
    i-th time and noise on any mesh. Topology-aware orders of several TPU hosts often interleave
    them; the order here then goes by host, so that groups along 'fsdp' are of one host or of
    neighbours.
    """
    processes = [device.process_index for device in grid.flat]
    changes = sum(a != b for a, b in itertools.pairwise(processes))
    if changes >= len(set(processes)):
        order = sorted(grid.flat, key=lambda d: (_slice(d), d.process_index, d.id))
        grid = np.asarray(order, object).reshape(grid.shape)
    return Mesh(grid, AXES, axis_types=_AUTO)


def _slice(device: jax.Device) -> int:
    return getattr(device, "slice_index", 0) or 0


def check_batch_size(batch_size: int, mesh: Mesh, accumulate: int = 1) -> None:
    """Checks that every device gets the same number of rows, in each part of a step.

    Raises:
        InputError: the batch size is no multiple of devices x accumulate.
    """
    if accumulate < 1:
        raise InputError(f"config.train.accumulate={accumulate}; use 1 or more")
    parts = mesh.size * accumulate
    if batch_size < 1 or batch_size % parts:
        times = f" x config.train.accumulate={accumulate}" if accumulate > 1 else ""
        raise InputError(
            f"config.train.batch_size={batch_size} is not a multiple of the {mesh.size} "
            f"devices{times}; use {max(1, batch_size // parts) * parts}"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding that splits the first axis over all devices of the mesh."""
    return NamedSharding(mesh, jax.P(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding with a whole copy on each device."""
    return NamedSharding(mesh, jax.P())


def process_block(mesh: Mesh) -> tuple[int, int]:
    """(i, n): this process loads the i-th of n blocks of rows of each batch.

    A mesh may hold the processes in another order than their numbers, but row i of a batch is the
    same image, with the same noise, on every mesh of `make_mesh`.
    """
    order = list(dict.fromkeys(device.process_index for device in mesh.devices.flat))
    return order.index(jax.process_index()), len(order)


def local_mesh(mesh: Mesh) -> Mesh:
    """A mesh of this process's devices, along 'data': for work that needs no other process."""
    devices = [d for d in mesh.devices.flat if d.process_index == jax.process_index()]
    if len(devices) == mesh.size:
        return mesh
    return Mesh(np.asarray(devices)[:, None], AXES, axis_types=_AUTO)


def to_global(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """Makes arrays split over the mesh from this process's rows of a batch (`process_block`)."""
    sharding = batch_sharding(mesh)
    # Asked for, though with several processes jax does not see it as such.
    with jax.transfer_guard_host_to_device("allow"):
        return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
