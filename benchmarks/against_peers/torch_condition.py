"""The condition in PyTorch: the image, and features of a pretrained encoder where a config has one.

The encoder itself is no part of the twin: a training on a CPU reads its features from a cache, and
a sampler is given those of its images.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.against_peers import torch_twin
from bitdiff_jax.feature_grids import StoredCells

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Features = Tensor | StoredCells | None


class FeatureStem(nn.Module):
    """`bitdiff_jax.nets.condition.FeatureStem`, with the number of features of a cell."""

    def __init__(self, in_channels: int, channels: int, image_size: int, scale: float):
        super().__init__()
        self.image_size, self.scale = image_size, scale
        self.cells = nn.Linear(in_channels, channels)

    def forward(self, features: Tensor | StoredCells) -> Tensor:
        """Features [B, G, G, C] or stored cells to [B, S, S, channels]."""
        if isinstance(features, StoredCells):
            scale = (self.scale * features.scale)[:, None, None]
            h = self.cells(features.values.float() * scale)
            h = torch.einsum("bgh,bhwc->bgwc", features.rows, h)
            h = torch.einsum("bkw,bgwc->bgkc", features.columns, h)
        else:
            h = self.cells(self.scale * features.float())
        times = self.image_size // h.shape[1]
        return h.repeat_interleave(times, 1).repeat_interleave(times, 2)


class WithFeatures(nn.Module):
    """A network and its feature stem, with the names of our parameters."""

    def __init__(self, net: torch_twin.UNet, features: FeatureStem):
        super().__init__()
        self.net, self.features = net, features

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """The network on x [B, S, S, C], the condition among its channels, and time [B]."""
        output: Tensor = self.net(x, time)
        return output


def encode_image(
    net: nn.Module, image: Tensor, image_scale: int = 1, features: Features = None
) -> Tensor:
    """The condition of images that fill their squares.

    Args:
        net: the network, with its feature stem if features are given.
        image: uint8 [B, M, M, 3], M = image_scale * S.
        image_scale: how many times S the image is shown at.
        features: float [B, G, G, C], stored cells, or None for a network that sees the image alone.

    Returns:
        float32 [B, S, S, channels].
    """
    normalised = (image.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    shown = torch_twin.space_to_depth(normalised, image_scale)
    if features is None:
        return shown
    return torch.cat([net.get_submodule("features")(features), shown], dim=-1)


def stored_cells(arrays: Mapping[str, Any]) -> StoredCells | None:
    """The fields of `problem.cells` as tensors; None without an encoder."""
    if not arrays:
        return None
    return StoredCells(*(torch.from_numpy(arrays[f"cell_{name}"]) for name in StoredCells._fields))


def rows(features: Features, count: int) -> Features:
    """The first rows of features."""
    if isinstance(features, StoredCells):
        return StoredCells(*(each[:count] for each in features))
    return None if features is None else features[:count]
