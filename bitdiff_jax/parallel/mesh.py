"""The device mesh, and host batches on it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding

from bitdiff_jax.errors import InputError

AXES = ("data", "fsdp")


def make_mesh(data: int = -1, fsdp: int = 1, devices: list[jax.Device] | None = None) -> Mesh:
    """A mesh with axes ('data', 'fsdp'); the batch is split over both.

    Args:
        data: devices along 'data'; -1 takes what is left.
        fsdp: devices along 'fsdp', over which large parameters may be split; -1 likewise.
        devices: the devices to use, all of them by default.

    Raises:
        InputError: the product does not match the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [data, fsdp]
    if sizes.count(-1) > 1:
        raise InputError("config.mesh: only one of data and fsdp may be -1")
    if -1 in sizes:
        fixed = abs(int(np.prod(sizes)))
        sizes[sizes.index(-1)] = max(1, len(devices) // fixed)
    if int(np.prod(sizes)) != len(devices):
        raise InputError(
            f"config.mesh asks for data={data} x fsdp={fsdp}, but there are {len(devices)} "
            "devices; set one of the two to -1"
        )
    # Auto on purpose: the default is Explicit, where every operation would have to name shardings.
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(AxisType.Auto,) * 2, devices=devices)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Splits the first axis over all devices of the mesh."""
    return NamedSharding(mesh, jax.P(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on each device."""
    return NamedSharding(mesh, jax.P())


def to_global(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """This process's rows of a batch -> global arrays split over the mesh."""
    sharding = batch_sharding(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
