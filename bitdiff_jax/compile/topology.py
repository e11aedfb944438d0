"""The devices of a machine that is not there, and the environment in which they can be had."""

from collections.abc import Mapping

import jax
from jax.experimental import topologies

from bitdiff_jax.compile.accelerators import TARGETS, Accelerator


def environment(accelerator: Accelerator, base: Mapping[str, str]) -> dict[str, str]:
    """Variables of a process that compiles for `accelerator`, on top of `base`.

    They have to be set before jax is loaded: a process of its own is the way.
    """
    variables = {
        **base,
        # The compiler is a plugin; programs of this process itself run on the CPU.
        "JAX_PLATFORMS": "cpu",
        # The programs are not for this machine, and the text of a program names what it was told.
        "XLA_FLAGS": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if accelerator.platform == "cuda":
        # There is no chip to time alternatives on.
        variables["XLA_FLAGS"] = "--xla_gpu_autotune_level=0"
        return variables
    return {
        **variables,
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": accelerator.machine,
        "TPU_WORKER_HOSTNAMES": "localhost",
        # libtpu lets one process of a machine load it, lest two share a chip; here is no chip.
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }


def devices(accelerator: Accelerator) -> list[jax.Device]:
    """The devices to compile for; they run nothing."""
    if accelerator.platform == "cuda":
        description = topologies.get_topology_desc(
            platform="cuda",
            topology_name="",
            target_config=(TARGETS / accelerator.target).read_text(),
            topology=accelerator.topology,
        )
    else:
        description = topologies.get_topology_desc(
            platform="tpu",
            topology_name=accelerator.topology,
            chips_per_host_bounds=accelerator.host_bounds,
        )
    return list(description.devices)
