"""Sources in memory, and models whose answers are known."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax import model as model_lib
from bitdiff_jax import model_config
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.inference import programs
from bitdiff_jax.prompts import Prompts
from tests.inference.tiny import random_params

SIZE = 32


@dataclasses.dataclass
class ListSource:
    """Pictures in memory; picklable, a pure function of i."""

    items: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


def blocks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random partition into rectangles, ids 0..n-1, int32 [height, width]."""
    rows = np.sort(rng.choice(np.arange(3, height - 3), 2, replace=False))
    columns = np.sort(rng.choice(np.arange(3, width - 3), 2, replace=False))
    grid = np.searchsorted(rows, np.arange(height), side="right")[:, None] * 3
    grid = grid + np.searchsorted(columns, np.arange(width), side="right")
    return rng.permutation(9)[grid].astype(np.int32)


SHAPES = [(32, 32), (20, 32), (32, 24), (20, 32), (32, 20)]


def make_source(count: int, annotators: int = 2, seed: int = 0) -> ListSource:
    """Pictures whose red channel is the first annotator's map."""
    rng = np.random.default_rng(seed)
    items = []
    for i in range(count):
        height, width = SHAPES[i % len(SHAPES)]
        labels = tuple(blocks(rng, height, width) for _ in range(annotators))
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        image[..., 0] = labels[0]
        items.append({"name": f"picture{i:03d}", "image": image, "labels": labels})
    return ListSource(items)


@dataclasses.dataclass(frozen=True)
class StubModel:
    """Answers without a network: 'truth' reads it off the red channel, 'blank' sees one region,
    'noise' draws each pixel from the row's own key, 'image' gives back the green channel.
    """

    answer: str = "truth"
    image_size: int = SIZE
    image_scale: int = 1
    features: None = None  # it has no encoder
    encoding = BitEncoding(6)
    prompts = Prompts()  # it takes none

    def sample(self, params, image, size, keys, sampler, features=None) -> model_lib.Sample:
        del params, sampler, features
        shape = image.shape[1:3]
        codes = {
            "truth": lambda: image[..., 0].astype(jnp.int32),
            "image": lambda: image[..., 1].astype(jnp.int32),
            "blank": lambda: jnp.zeros(image.shape[:3], jnp.int32),
            "noise": lambda: jax.vmap(lambda key: jax.random.randint(key, shape, 0, 5))(keys),
        }[self.answer]()
        codes = jnp.where(model_lib.valid_mask(size, shape), codes, -1)
        return model_lib.Sample(codes, jnp.ones(codes.shape), self.encoding.encode(codes))


def count_rows(replace: Callable[[Any, str, Any], None] = setattr) -> list[int]:
    """A list that grows by the number of rows with each batch that is drawn from now on."""
    sizes: list[int] = []
    inner = programs.compiled

    def compiled(*args, **kwargs):
        run = inner(*args, **kwargs)
        return lambda rows, seed: sizes.append(len(rows["image"])) or run(rows, seed)

    replace(programs, "compiled", compiled)
    return sizes


def tiny_config() -> Any:
    """The smoke config with a network of three convolutions: the least to compile."""
    config = config_lib.load("base:smoke")
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    return config


def tiny_model() -> tuple[model_lib.Model, Any]:
    """Its model with random parameters, so that the output is not 0."""
    model = model_config.from_config(tiny_config())
    return model, random_params(model)
