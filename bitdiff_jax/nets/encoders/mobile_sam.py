"""MobileSAM's encoder as a value, and its published weights."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.nets.encoders.original_names import Originals, fold
from bitdiff_jax.nets.encoders.pixels import check_image_size, in_float32, normalise
from bitdiff_jax.nets.encoders.tiny_vit import NECK, TinyViT

_NET = TinyViT()
# Parts of the published file that are no parts of the encoder.
_OTHERS = ("mask_decoder.", "prompt_encoder.", "pixel_", "head.", "norm_head.")


@dataclasses.dataclass(frozen=True)
class MobileSam:
    """TinyViT-5M with Segment Anything's neck; see `bitdiff_jax.nets.encoders.tiny_vit`.

    It was trained at 1024 px and works at any multiple of 16.

    Attributes:
        image_size: side in px of the square image that it sees.
    """

    image_size: int = 1024
    name: ClassVar[str] = "mobile_sam"
    stride: ClassVar[int] = 16
    channels: ClassVar[int] = NECK

    def __post_init__(self) -> None:
        check_image_size(self.image_size, self.stride)

    def init(self, key: jax.Array) -> Any:
        """Random parameters, as `Encoder.init` says."""
        return _NET.init(key, jnp.zeros((1, self.stride, self.stride, 3)))["params"]

    def apply(self, params: Any, image: jax.Array, size: jax.Array) -> jax.Array:
        """Features, as `Encoder.apply` says."""
        features = _NET.apply({"params": in_float32(params)}, normalise(image, size))
        return jnp.asarray(features)

    def from_original(self, originals: Originals, names: list[str]) -> dict[str, np.ndarray]:
        """Its parameters from mobile_sam.pt, or from an ONNX graph of the encoder.

        Args:
            originals: the published tensors.
            names: the names of the encoder's own parameters.
        """
        originals = originals.within("image_encoder.").without(_OTHERS)
        converted = {}
        for name in names:
            *path, leaf = name.split("/")
            module = ".".join(path).replace("_blocks_", ".blocks.").replace("_down", ".down")
            module = module.replace("layers_", "layers.").replace("neck_", "neck.")
            module = module.replace("patch_embed_", "patch_embed.seq.")
            part = {"kernel": "weight", "scale": "weight"}.get(leaf, leaf)
            if leaf == "attention_biases":
                converted[name] = _attention_biases(originals, module)
            elif f"{module}.c.weight" in originals:
                converted[name] = fold(originals, f"{module}.c", f"{module}.bn", 1e-5)[part]
            else:
                converted[name] = originals.take(f"{module}.{part}")
        originals.check_all_taken(("attention_bias_idxs", "num_batches_tracked"))
        return converted


def _attention_biases(originals: Originals, module: str) -> np.ndarray:
    """[heads, window²]; an exporter replaces them by the bias of each pair of cells."""
    if f"{module}.bias" not in originals:
        return originals.take(f"{module}.attention_biases")
    # The distances from the first cell are all distances, in the order of their numbers.
    return originals.take(f"{module}.bias")[:, 0]
