"""The napari plugin: opens the npz files of `bitdiff segment`, and draws label maps of a layer.

napari finds it by the manifest napari.yaml; nothing here imports napari.
"""

from bitdiff_jax.napari_plugin.draw_widget import draw
from bitdiff_jax.napari_plugin.maps_layers import layers
from bitdiff_jax.napari_plugin.maps_reader import get_reader

__all__ = ["draw", "get_reader", "layers"]
