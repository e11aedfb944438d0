"""Partition rules: where each tensor of a state lives, as data outside the network."""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from bitdiff_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class SplitLargest:
    """Splits a tensor's largest dimension that the mesh axis divides; the last among equals.

    Attributes:
        axis: name of the mesh axis to split over.
        min_bytes: smallest size of a tensor that is split. Splitting smaller ones saves next to
            nothing, and each costs a collective.
    """

    axis: str = "fsdp"
    min_bytes: int = 0

    def spec(self, leaf: Any, mesh: Mesh | AbstractMesh) -> PartitionSpec:
        """The spec of one tensor: whole if it is small, or nothing divides it."""
        parts = mesh.shape[self.axis]
        if parts == 1 or math.prod(leaf.shape) * leaf.dtype.itemsize < self.min_bytes:
            return PartitionSpec()
        fits = [(size, i) for i, size in enumerate(leaf.shape) if size % parts == 0 and size]
        if not fits:
            return PartitionSpec()
        return PartitionSpec(*[None] * max(fits)[1], self.axis)


Rules = Sequence[tuple[str, PartitionSpec | SplitLargest]]

REPLICATE: Rules = ((".*", PartitionSpec()),)


def rules_from_config(config: ml_collections.ConfigDict) -> Rules:
    """The rules of `config.mesh`, such as ('.*/qkv/.* replicate', '.* fsdp').

    Each is 'PATTERN WHERE', where WHERE is 'replicate', 'fsdp' (see `SplitLargest`, with
    `fsdp_min_bytes`), or the mesh axis of each dimension: '-,-,-,fsdp', 'data+fsdp,-'.

    Args:
        config: the `mesh` part of a config; `rules` and `fsdp_min_bytes` are read.

    Raises:
        InputError: a pattern is no regular expression, an axis does not exist, or some tensors have
            no rule.
    """
    rules = []
    for rule in config.rules:
        pattern, _, where = rule.strip().rpartition(" ")
        if not pattern:
            raise InputError(f"config.mesh.rules: {rule!r} is not 'PATTERN WHERE', like '.* fsdp'")
        try:
            re.compile(pattern)
        except re.error as error:
            raise InputError(
                f"config.mesh.rules: {pattern!r} is no regular expression ({error})"
            ) from None
        rules.append((pattern.rstrip(), _where(where, config.fsdp_min_bytes)))
    if not rules or rules[-1][0] != ".*":
        raise InputError("config.mesh.rules: end them with '.* fsdp' or '.* replicate'")
    return tuple(rules)


def _where(where: str, min_bytes: int) -> PartitionSpec | SplitLargest:
    if where == "replicate":
        return PartitionSpec()
    if where == "fsdp":
        return SplitLargest("fsdp", min_bytes)
    entries = [tuple(a for a in entry.split("+") if a != "-") for entry in where.split(",")]
    names = [name for entry in entries for name in entry]
    if not set(names) <= {"data", "fsdp"} or len(set(names)) != len(names):
        raise InputError(
            f"config.mesh.rules: {where!r} is neither 'replicate' nor 'fsdp' nor axes like "
            "'-,-,-,fsdp', each at most once"
        )
    return PartitionSpec(*(e if len(e) > 1 else e[0] if e else None for e in entries))


def shardings(tree: Any, rules: Rules, mesh: Mesh | AbstractMesh) -> Any:
    """A sharding for each leaf: the first rule whose pattern matches the whole path of the leaf.

    Parameters, their average and Adam's moments end in the same path, so a pattern that starts
    with `.*` treats them alike. A spec with more axes than the leaf replicates it.

    Args:
        tree: tree of arrays or of `jax.ShapeDtypeStruct`s.
        rules: pairs (regular expression, spec) in order of precedence.
        mesh: the device mesh, which may be abstract.

    Returns:
        A tree of `NamedSharding`s of the same structure.

    Raises:
        ValueError: no rule matches a leaf.
        InputError: a spec splits a dimension into parts of unequal size.
    """

    def of(path: jax.tree_util.KeyPath, leaf: Any) -> NamedSharding:
        name = path_name(path)
        for pattern, where in rules:
            if re.fullmatch(pattern, name):
                spec = where.spec(leaf, mesh) if isinstance(where, SplitLargest) else where
                if len(spec) > leaf.ndim:
                    spec = PartitionSpec()
                _check_divides(name, leaf, spec, mesh)
                return NamedSharding(mesh, spec)
        raise ValueError(f"no partition rule matches {name!r}; end the rules with ('.*', P())")

    return jax.tree_util.tree_map_with_path(of, tree)


def _check_divides(name: str, leaf: Any, spec: PartitionSpec, mesh: Mesh | AbstractMesh) -> None:
    for size, entry in zip(leaf.shape, spec, strict=False):
        parts = math.prod(mesh.shape[axis] for axis in axes_of(entry))
        if size % parts:
            raise InputError(
                f"config.mesh.rules: {entry} cannot split {name} of shape {leaf.shape}: {size} is "
                f"not a multiple of {parts}; use another dimension, or 'fsdp', which looks for one"
            )


def axes_of(entry: Any) -> tuple[str, ...]:
    """The mesh axes in one entry of a `PartitionSpec`: None, a name, or several."""
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)


def bytes_per_device(tree: Any, tree_shardings: Any) -> int:
    """Bytes that a tree takes on each device, by arithmetic; the mesh may be abstract."""
    leaves, places = jax.tree.leaves(tree), jax.tree.leaves(tree_shardings)
    return sum(
        math.prod(place.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf, place in zip(leaves, places, strict=True)
    )


def path_name(path: jax.tree_util.KeyPath) -> str:
    """A key path as text, such as 'params/down_0_res_0/conv_0/kernel'."""
    parts = [getattr(k, "key", getattr(k, "name", getattr(k, "idx", k))) for k in path]
    return "/".join(str(p) for p in parts)
