"""A model's trained parameters by name: 'net/...', 'features/...', and 'encoder/...' if tuned."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

from bitdiff_jax import traces
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel.partition_rules import path_name


def by_name(model: Model, params: Params) -> dict[str, Any]:
    """The leaves of a model's parameters by their names, without those of a frozen encoder.

    The names are the same for a network with and without an encoder beside it, so that one's
    parameters can be looked up in the other's.

    Args:
        model: the model.
        params: its parameters, or their shapes.
    """
    leaves = jax.tree_util.tree_leaves_with_path(_parts(model, params))
    return {path_name(path): leaf for path, leaf in leaves}


def shapes(model: Model) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes and dtypes of a model's trained parameters by their names."""
    return by_name(model, _abstract(model))


def as_tree(model: Model, leaves: Mapping[str, Any]) -> Params:
    """The parameters of a model from its leaves by name; the opposite of `by_name`."""
    tree = _parts(model, _abstract(model))
    parts = jax.tree_util.tree_map_with_path(lambda path, _: leaves[path_name(path)], tree)
    return parts["net"] if model.features is None else parts


@functools.lru_cache(maxsize=4)
def _abstract(model: Model) -> Params:
    """The parameters' shapes; kept, since the network is traced for them, which takes a second."""
    return traces.shapes(lambda: model.init(jax.random.key(0)), model)


def _parts(model: Model, params: Params) -> dict[str, Params]:
    """Parameters by part, whether or not the model has an encoder."""
    if model.features is None:
        return {"net": params}
    return {
        part: each for part, each in params.items() if part != "encoder" or model.features.tuned
    }
