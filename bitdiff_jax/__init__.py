"""bitdiff_jax: class-agnostic image segmentation by bit diffusion, in JAX.

The ground floor (`diffusion`, `encoding`, `metrics`) is pure functions of arrays and imports only
jax and numpy, so its parts can be reused in any other JAX project:

    from bitdiff_jax.diffusion import schedules
    from bitdiff_jax.encoding import BitEncoding, palette

The names below are the way in for everyone else. They are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitdiff_jax.diffusion import Sampler
    from bitdiff_jax.errors import InputError, Interrupted
    from bitdiff_jax.evaluation import evaluate
    from bitdiff_jax.inference import Segmentation, Segmenter
    from bitdiff_jax.model import Model
    from bitdiff_jax.posterior import Posterior
    from bitdiff_jax.training import train
    from bitdiff_jax.training_loss import Objective

__version__ = "0.1.0"

_HOMES = {
    "InputError": "errors",
    "Interrupted": "errors",
    "Model": "model",
    "Objective": "training_loss",
    "Posterior": "posterior",
    "Sampler": "diffusion",
    "Segmentation": "inference",
    "Segmenter": "inference",
    "evaluate": "evaluation",
    "train": "training",
}

__all__ = [
    "InputError",
    "Interrupted",
    "Model",
    "Objective",
    "Posterior",
    "Sampler",
    "Segmentation",
    "Segmenter",
    "evaluate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
