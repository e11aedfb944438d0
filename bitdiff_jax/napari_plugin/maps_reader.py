"""Opens the npz files of `bitdiff segment --formats npz` in napari."""

import os
from collections.abc import Callable

from bitdiff_jax.napari_plugin.maps_layers import LayerData, layers


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """The function that opens a file, or None for files of others.

    Args:
        path: of a file, or several that napari would have as one stack, which these are not.
    """
    if not isinstance(path, str) or not path.endswith("_maps.npz"):
        return None
    return _read


def _read(path: str | list[str]) -> list[LayerData]:
    from bitdiff_jax.inference.formats import archive  # napari asks for readers at its start

    found: list[LayerData] = []
    for each in [path] if isinstance(path, str) else path:
        arrays = archive.read(each)
        name = os.path.basename(each).removesuffix("_maps.npz")
        found += layers(arrays.label_map, arrays.label_maps, arrays.agreement, name)
    return found
