"""The work that peers share: settings, images with label maps, features, parameters.

Needs no jax, which would count as memory of the peer that does not use it.
"""

from typing import Any, NamedTuple

import ml_collections
import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax.data.features import Cells
from bitdiff_jax.feature_grids import StoredCells, View
from bitdiff_jax.scenes import SceneSource

LEVEL = 3  # of the scenes: up to 40 regions
# Of the encoders whose features are drawn here: their own image_size, stride and channels.
ENCODERS = {"mobile_sam": (1024, 16, 256)}
CROP = View(0.1, 0.9, 0.05, 0.75)  # what a training shows of an image


class Batch(NamedTuple):
    """A batch as training reads it."""

    image: np.ndarray  # uint8 [B, M, M, 3], M = image_scale * S
    labels: np.ndarray  # int32 [B, S, S], ids from 0
    size: np.ndarray  # int32 [B, 2]


def config(name: str, implementation: str = "auto") -> ml_collections.ConfigDict:
    """A config by name, in float32, with the given implementation of its network."""
    found = config_lib.load(name)
    found.model.net.dtype = "float32"
    found.model.net.implementation = implementation
    return found


def batch(batch_size: int, side: int, seed: int = 0, image_scale: int = 1) -> Batch:
    """Procedural scenes that fill the square; label maps of `side` pixels."""
    source = SceneSource(level=LEVEL, size=side * image_scale, seed=seed)
    scenes = [source[index] for index in range(batch_size)]
    labels = np.stack([scene["labels"][0] for scene in scenes]).astype(np.int32)
    return Batch(
        image=np.stack([scene["image"] for scene in scenes]),
        labels=labels[:, ::image_scale, ::image_scale],
        size=np.full((batch_size, 2), side, np.int32),
    )


def cells(
    settings: ml_collections.ConfigDict, batch_size: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Random cells as a training batch holds those of a cache; nothing without an encoder."""
    if settings.model.encoder.name == "none":
        return {}
    side, (num_cells, channels) = settings.model.image_size, encoder_grid(settings)
    grid, rng, rows = settings.model.encoder.grid, np.random.default_rng(seed), []
    for _ in range(batch_size):
        values = _features(settings, rng, (num_cells, num_cells, channels))
        whole = Cells.of(values, (num_cells, num_cells))
        rows.append(whole.stored(CROP, (side, side), side, grid, most=num_cells))
    stacked = StoredCells(*map(np.stack, zip(*rows, strict=True)))
    return {f"cell_{name}": array for name, array in stacked._asdict().items()}


def features(
    settings: ml_collections.ConfigDict, batch_size: int, seed: int = 0
) -> np.ndarray | None:
    """Random features as a sampler is given them, float16 [B, G, G, C]; None without an encoder."""
    if settings.model.encoder.name == "none":
        return None
    grid, (_, channels) = settings.model.encoder.grid, encoder_grid(settings)
    shape = (batch_size, grid, grid, channels)
    return _features(settings, np.random.default_rng(seed), shape).astype(np.float16)


def encoder_grid(settings: ml_collections.ConfigDict) -> tuple[int, int]:
    """Number of cells along a side of what the encoder returns, and of features of a cell.

    Raises:
        ValueError: another encoder than those of ENCODERS.
    """
    name = settings.model.encoder.name
    if name not in ENCODERS:
        raise ValueError(f"config.model.encoder.name is {name!r}; use {', '.join(ENCODERS)}")
    own, stride, channels = ENCODERS[name]
    return (settings.model.encoder.image_size or own) // stride, channels


def _features(
    settings: ml_collections.ConfigDict, rng: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray:
    """Normal values that `model.encoder.scale` brings to a standard deviation of 1."""
    values = rng.standard_normal(shape, np.float32)
    return values / np.float32(settings.model.encoder.scale)


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
