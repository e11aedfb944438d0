"""The label maps of an image as napari's layers."""

from typing import Any

import numpy as np

# (data, settings of the layer, its type)
LayerData = tuple[np.ndarray, dict[str, Any], str]


def layers(
    label_map: np.ndarray,
    label_maps: np.ndarray,
    agreement: np.ndarray | None,
    name: str,
    **placed: Any,
) -> list[LayerData]:
    """Agreement, samples and consensus, the last one on top; only that one is shown at first.

    Args:
        label_map: integers [h, w], one map for all samples.
        label_maps: integers [num_samples, h, w].
        agreement: float [h, w] in [0, 1], or None of a single sample.
        name: of the image, with which the names of layers begin.
        **placed: further settings of each layer, such as `scale` and `translate`.

    Returns:
        An Image layer of the agreement, if there is one, a Labels layer of each sample, and one of
        `label_map`.
    """
    found: list[LayerData] = []
    if agreement is not None:
        shown = {"contrast_limits": (0.0, 1.0), "colormap": "gray", "visible": False}
        found.append((agreement, {"name": f"{name} agreement", **shown, **placed}, "image"))
    for sample, each in enumerate(label_maps):
        settings = {"name": f"{name} sample {sample}", "visible": False, **placed}
        found.append((each, settings, "labels"))
    found.append((label_map, {"name": f"{name} consensus", **placed}, "labels"))
    return found
