"""Meshes, partition rules, and the transfer of data between hosts and devices."""

from bitdiff_jax.parallel.mesh import (
    AXES,
    batch_sharding,
    check_batch_size,
    make_mesh,
    replicated,
    to_global,
)
from bitdiff_jax.parallel.partition_rules import rules_from_config, shardings

__all__ = [
    "AXES",
    "batch_sharding",
    "check_batch_size",
    "make_mesh",
    "replicated",
    "rules_from_config",
    "shardings",
    "to_global",
]
