"""The work that peers share: settings, pictures with label maps, parameters. Needs no jax."""

from typing import Any, NamedTuple

import ml_collections
import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax.scenes import SceneSource

LEVEL = 3  # of the scenes: up to 40 regions


class Batch(NamedTuple):
    """A batch as training reads it."""

    image: np.ndarray  # uint8 [B, S, S, 3]
    labels: np.ndarray  # int32 [B, S, S], ids from 0
    size: np.ndarray  # int32 [B, 2]


def config(name: str, implementation: str = "auto") -> ml_collections.ConfigDict:
    """A config by name, in float32, with the given implementation of its network."""
    found = config_lib.load(name)
    found.model.net.dtype = "float32"
    found.model.net.implementation = implementation
    return found


def batch(batch_size: int, side: int, seed: int = 0) -> Batch:
    """Procedural scenes that fill the square."""
    source = SceneSource(level=LEVEL, size=side, seed=seed)
    scenes = [source[index] for index in range(batch_size)]
    return Batch(
        image=np.stack([scene["image"] for scene in scenes]),
        labels=np.stack([scene["labels"][0] for scene in scenes]).astype(np.int32),
        size=np.full((batch_size, 2), side, np.int32),
    )


def other_maps(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Predictions for label maps: shifted, a tenth of the pixels renamed, ids permuted."""
    rng = np.random.default_rng(seed)
    made = []
    for label_map in labels:
        moved = np.roll(label_map, (3, 2), (0, 1))
        noisy = np.where(rng.random(moved.shape) < 0.1, np.roll(moved, 17, 1), moved)
        made.append(rng.permutation(labels.max() + 1)[noisy])
    return np.stack(made).astype(np.int32)


def params(shapes: Any, seed: int = 0) -> Any:
    """Random parameters for a tree of shapes, those that start at zero included; by numpy."""
    rng = np.random.default_rng(seed)

    def draw(tree: Any, name: str = "") -> Any:
        if hasattr(tree, "items"):
            return {key: draw(value, key) for key, value in tree.items()}
        values = rng.standard_normal(tree.shape)
        if name == "kernel":
            values /= np.sqrt(np.prod(tree.shape[:-1]))
        else:
            values = 0.1 * values + (name == "scale")
        return values.astype(np.float32)

    return draw(shapes)
