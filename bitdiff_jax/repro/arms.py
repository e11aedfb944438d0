"""What is trained for the claims, and how each trained model is drawn from and scored.

A training is one checkpoint per seed, whoever asks for it; an evaluation is one set of rows of it.
Claims name evaluations, so what several of them need is trained and scored once.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections

from bitdiff_jax import config as config_lib
from bitdiff_jax import extensions
from bitdiff_jax.data import spec_text
from bitdiff_jax.errors import InputError
from bitdiff_jax.model import Model

# Training sees scenes of seed 0; these are the ones that are scored.
HELD_OUT_SEED = 5
NUM_IMAGES = 300
# Of the keys of `config.model.net` those that a network of one's own is not given as options.
_NOT_OPTIONS = ("implementation", "options", "dtype", "remat", "fold", "attention_chunk")


@dataclasses.dataclass(frozen=True)
class Training:
    """A model that is trained once for each seed.

    Attributes:
        name: name of its folder.
        settings: values by dotted keys of the config, such as 'model.num_bits'.
        network: `module:function` of a network around the U-Net of the config, whose settings
            become the options of it; '' for the U-Net itself.
        model: `module:function` of a model of its own, `f(config) -> Model`; '' for the one that
            the config describes.
    """

    name: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    network: str = ""
    model: str = ""

    def config(self, base: str, seed: int) -> ml_collections.ConfigDict:
        """The config of this training.

        Args:
            base: name of the config that the settings change.
            seed: of initial weights, order of the images and noise; the images are the same.
        """
        config = config_lib.load(base)
        config.update_from_flattened_dict(self.settings)
        if self.network:
            with config.unlocked():  # options may have any name
                config.update_from_flattened_dict(self.of_network(config))
        config.seed = seed
        return config

    def own_model(self, config: ml_collections.ConfigDict) -> Model | None:
        """The model of its own, if it has one."""
        if not self.model:
            return None
        made: Model = extensions.resolve(self.model, f"training {self.name}")(config)
        return made

    def of_network(self, config: ml_collections.ConfigDict) -> dict[str, Any]:
        """The values by dotted keys that put `network` around the U-Net of a config."""
        net = config.model.net
        options = {f"model.net.options.{k}": net[k] for k in net if k not in _NOT_OPTIONS}
        return {"model.net.implementation": self.network, **options}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One way to draw from a training's model, and its rows.

    Attributes:
        training: name of the training.
        name: name of the evaluation, unique within the training.
        sampling: changes of `config.sampling`.
        num_samples: maps of each image.
        num_images: number of held-out scenes.
        members: number of trainings, of consecutive seeds, whose outputs are averaged.
    """

    training: str
    name: str = "drawn"
    sampling: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    num_samples: int = 1
    num_images: int = NUM_IMAGES
    members: int = 1

    @property
    def key(self) -> str:
        """'TRAINING/NAME', by which claims and rows name it."""
        return f"{self.training}/{self.name}"


def held_out(config: ml_collections.ConfigDict, num_images: int) -> str:
    """The spec of held-out scenes of the kind that a config trains on."""
    (spec,) = spec_text.parse(config.data.train)
    if "seed" not in spec.options:
        raise InputError(
            f"config.data.train={config.data.train!r} names no seed, so nothing is held out; "
            "say seed=0"
        )
    options = {**spec.options, "seed": str(HELD_OUT_SEED), "length": str(num_images)}
    return spec_text.write(spec.kind, spec.path, options)
