"""DINOv2 and DINOv3 as encoders, and the names of their published safetensors."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders.original_names import Originals
from bitdiff_jax.nets.encoders.pixels import check_image_size, in_float32, normalise
from bitdiff_jax.nets.encoders.vision_transformer import VisionTransformer

# Our modules, and their names in `transformers`.
_V2 = {
    "patches": "embeddings.patch_embeddings.projection",
    "places": "embeddings.position_embeddings",
    "blocks_": "encoder.layer.",
    "query": "attention.attention.query",
    "key": "attention.attention.key",
    "value": "attention.attention.value",
    "output": "attention.output.dense",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "norm": "layernorm",
}
_V3 = {
    "patches": "embeddings.patch_embeddings",
    "blocks_": "layer.",
    "query": "attention.q_proj",
    "key": "attention.k_proj",
    "value": "attention.v_proj",
    "output": "attention.o_proj",
    "fc1": "mlp.up_proj",
    "fc2": "mlp.down_proj",
    "norm": "norm",
}
_BOTH = {
    "cls_token": "embeddings.cls_token",
    "register_tokens": "embeddings.register_tokens",
    "layer_scale1": "layer_scale1.lambda1",
    "layer_scale2": "layer_scale2.lambda1",
    "kernel": "weight",
    "scale": "weight",
}


@dataclasses.dataclass(frozen=True)
class _Dino:
    """What both have; a subclass says what it was trained at.

    Attributes:
        image_size: side in px of the square image that it sees, a multiple of the patch.
        width: channels; 384 is ViT-S, 768 is ViT-B.
        depth: number of blocks.
        num_heads: of attention; a head of both ViTs has 64 channels.
    """

    image_size: int
    width: int = 384
    depth: int = 12
    num_heads: int = 6
    version: ClassVar[int]
    stride: ClassVar[int]

    def __post_init__(self) -> None:
        check_image_size(self.image_size, self.stride)
        for attribute in ("width", "depth", "num_heads"):
            if getattr(self, attribute) < 1:
                raise InputError(
                    f"{attribute} is {getattr(self, attribute)}; give a positive integer"
                )
        if self.width % (4 * self.num_heads):
            raise InputError(
                f"width is {self.width}; give a multiple of 4 * num_heads, {4 * self.num_heads}"
            )

    @property
    def name(self) -> str:
        """'dinov2_s' and the like, or one with width and depth for another size."""
        size = {(384, 12, 6): "s", (768, 12, 12): "b"}.get((self.width, self.depth, self.num_heads))
        return f"dinov{self.version}_{size or f'{self.width}x{self.depth}x{self.num_heads}'}"

    @property
    def channels(self) -> int:
        """Number of features of a cell."""
        return self.width

    def _net(self) -> VisionTransformer:
        rotary = self.version == 3
        return VisionTransformer(
            self.width,
            self.depth,
            self.num_heads,
            patch=self.stride,
            registers=4 if rotary else 0,
            rotary=rotary,
            epsilon=1e-5 if rotary else 1e-6,
        )

    def init(self, key: jax.Array) -> Any:
        """Random parameters, as `Encoder.init` says."""
        return self._net().init(key, jnp.zeros((1, self.stride, self.stride, 3)))["params"]

    def apply(self, params: Any, image: jax.Array, size: jax.Array) -> jax.Array:
        """Features, as `Encoder.apply` says."""
        x = normalise(image, size)
        return jnp.asarray(self._net().apply({"params": in_float32(params)}, x))

    def from_original(self, originals: Originals, names: list[str]) -> dict[str, np.ndarray]:
        """Its parameters from a file with the names of `transformers`.

        Args:
            originals: the published tensors.
            names: the names of the encoder's own parameters.
        """
        theirs = _BOTH | (_V3 if self.version == 3 else _V2)
        converted = {}
        for name in names:
            parts = []
            for part in name.split("/"):
                block = part.removeprefix("blocks_")
                parts.append(theirs["blocks_"] + block if block != part else theirs.get(part, part))
            converted[name] = originals.take(".".join(parts))
        originals.check_all_taken(("mask_token",))
        return converted


@dataclasses.dataclass(frozen=True)
class DinoV2(_Dino):
    """DINOv2 without registers, in patches of 14 px, trained at 518 px."""

    image_size: int = 518
    version: ClassVar[int] = 2
    stride: ClassVar[int] = 14


@dataclasses.dataclass(frozen=True)
class DinoV3(_Dino):
    """DINOv3, in patches of 16 px."""

    image_size: int = 512
    version: ClassVar[int] = 3
    stride: ClassVar[int] = 16
