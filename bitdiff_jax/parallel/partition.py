"""Partition rules: where each tensor of a state lives, as data outside the network."""

import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Rules = Sequence[tuple[str, PartitionSpec]]

REPLICATE: Rules = ((".*", PartitionSpec()),)


def shardings(tree: Any, rules: Rules, mesh: Mesh) -> Any:
    """A sharding for each leaf: the first rule whose pattern matches the whole path of the leaf.

    Parameters, their average and Adam's moments end in the same path, so a pattern that starts
    with `.*` treats them alike. A spec with more axes than the leaf replicates it.

    Args:
        tree: arrays or `jax.ShapeDtypeStruct`s.
        rules: (regular expression, PartitionSpec) in order of precedence.
        mesh: the mesh.

    Returns:
        A tree of `NamedSharding`s of the same structure.

    Raises:
        ValueError: no rule matches a leaf.
    """

    def of(path: jax.tree_util.KeyPath, leaf: Any) -> NamedSharding:
        name = path_name(path)
        for pattern, spec in rules:
            if re.fullmatch(pattern, name):
                return NamedSharding(mesh, spec if len(spec) <= leaf.ndim else PartitionSpec())
        raise ValueError(f"no partition rule matches {name!r}; end the rules with ('.*', P())")

    return jax.tree_util.tree_map_with_path(of, tree)


def path_name(path: jax.tree_util.KeyPath) -> str:
    """'params/down_0_res_0/conv_0/kernel' for a key path."""
    parts = [getattr(k, "key", getattr(k, "name", getattr(k, "idx", k))) for k in path]
    return "/".join(str(p) for p in parts)
