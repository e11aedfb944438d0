"""Two samplers by name: one for the best single map, one for probabilities that can be trusted.

docs/sampler.md says what they were chosen by.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bitdiff_jax.diffusion.sampler import Sampler, from_settings
from bitdiff_jax.errors import InputError

# What each preset says of `config.sampling`. A config takes one over with
# `config.sampling.update(presets.SETTINGS["faithful"])`.
SETTINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "accurate": MappingProxyType(
            {"num_steps": 8, "guidance_weight": 1.0, "method": "ddim", "eta": 0.0,
             "eps_after_clip": True, "final": "x0", "temperature": 0.1, "time_grid": "uniform"}
        ),
        "faithful": MappingProxyType(
            {"num_steps": 16, "guidance_weight": 0.0, "method": "dpmpp_2m", "final": "x0",
             "temperature": 1.0, "time_grid": "logsnr"}
        ),
    }
)  # fmt: skip

ACCURATE = from_settings(SETTINGS["accurate"])
FAITHFUL = from_settings(SETTINGS["faithful"])


def settings(name: str) -> dict[str, Any]:
    """What a preset says of `config.sampling`, by key.

    Raises:
        InputError: there is no such preset.
    """
    if name not in SETTINGS:
        raise InputError(f"preset is {name!r}; use {' or '.join(map(repr, SETTINGS))}")
    return dict(SETTINGS[name])


def applied(name: str, sampler: Sampler) -> Sampler:
    """A preset for the model of another sampler.

    Args:
        name: 'accurate' or 'faithful'.
        sampler: the sampler whose `clip` and `decoder` are kept: they belong to what a model was
            trained on.

    Raises:
        InputError: there is no such preset.
    """
    preset = from_settings(settings(name))
    return dataclasses.replace(preset, clip=sampler.clip, decoder=sampler.decoder)
