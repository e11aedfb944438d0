"""Which row decided each default of the configs `base` and `photos`."""

from typing import Any

from bitdiff_jax import config as config_lib

CONFIGS = ("base", "photos")
# Setting, and the claim that decides it, or the page where it was measured on photographs.
ROWS = (
    ("model.encoding", "table1"),
    ("model.palette.layout", "table3"),
    ("model.palette.frame", "padding"),
    ("model.objective.padding", "padding"),
    ("model.num_bits", "fig3"),
    ("model.prediction", "fig7"),
    ("model.objective.weight", "fig7"),
    ("model.objective.bias", "sigmoid_bias"),
    ("model.objective.self_condition", "self_conditioning"),
    ("model.schedule.input_scale", "fig9"),
    ("model.time_input", "time_input"),
    ("sampling.weights", "ema"),
    ("sampling.num_steps", "fig4"),
    ("sampling.method", "fig4"),
    ("sampling.guidance_weight", "fig5"),
    ("sampling.temperature", "sampler.md"),
    ("model.encoder.name", "encoders.md"),
)


def values() -> list[tuple[str, tuple[Any, ...], str]]:
    """Each setting with its value in each of `CONFIGS`, and what decided it."""
    loaded = [config_lib.load(name) for name in CONFIGS]
    return [(key, tuple(_value(config, key) for config in loaded), row) for key, row in ROWS]


def _value(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config
