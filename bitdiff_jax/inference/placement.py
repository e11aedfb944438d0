"""Where parameters lie: whole on each device that draws, the encoder's on one."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import mesh as mesh_lib


def placed(model: Model, params: Params, mesh: Mesh) -> Params:
    """The parameters where `drawing.draw` reads them: as `on_mesh` has them, but for the encoder's.

    Images are encoded one by one, so there is one copy of the encoder's, on the first of this
    process's devices of the mesh. Every process of the mesh has to call.
    """
    if model.features is None or "encoder" not in params:
        return on_mesh(params, mesh)
    others = {name: tree for name, tree in params.items() if name != "encoder"}
    first = mesh_lib.local_mesh(mesh).devices.flat[0]

    def place(leaf: Any) -> jax.Array:
        shards = leaf.addressable_shards if _is_on(leaf, mesh) else []
        copies = [shard.data for shard in shards if shard.device == first]
        return copies[0] if copies else jax.device_put(leaf, first)

    encoder = jax.tree.map(place, _gathered(params["encoder"], mesh))
    return {**on_mesh(others, mesh), "encoder": encoder}


def on_mesh(params: Params, mesh: Mesh) -> Params:
    """A whole copy of the parameters on each of this process's devices of a mesh.

    Every process of the mesh has to call: parameters that are split over it are gathered. Those
    that are there already stay.
    """
    own = mesh_lib.local_mesh(mesh)
    here = mesh_lib.replicated(own)

    def place(leaf: Any) -> jax.Array:
        if not _is_on(leaf, mesh):
            return jax.device_put(leaf, here)
        if own.size == mesh.size:
            return leaf
        copies = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, here, copies)

    return jax.tree.map(place, _gathered(params, mesh))


def _gathered(params: Params, mesh: Mesh) -> Params:
    """The parameters, with whole copies on all devices of the mesh of those split over it."""
    leaves, tree = jax.tree.flatten(params)
    split = [i for i, x in enumerate(leaves) if _is_on(x, mesh) and not x.is_fully_replicated]
    if split:  # over processes, perhaps: only a program of all of them can gather
        gathered = _gathering(mesh_lib.replicated(mesh))([leaves[i] for i in split])
        for i, leaf in zip(split, gathered, strict=True):
            leaves[i] = leaf
    return jax.tree.unflatten(tree, leaves)


def _is_on(leaf: Any, mesh: Mesh) -> bool:
    """Whether the array lies on all devices of the mesh, whole or in parts, and on no other."""
    devices = mesh_lib.replicated(mesh).device_set
    return isinstance(leaf, jax.Array) and leaf.sharding.device_set == devices


@functools.lru_cache(maxsize=8)
def _gathering(everywhere: jax.sharding.NamedSharding) -> Callable[[list[Any]], list[jax.Array]]:
    """One function for each mesh, so that every evaluation of a training finds it compiled."""
    return jax.jit(lambda leaves: leaves, out_shardings=everywhere)
