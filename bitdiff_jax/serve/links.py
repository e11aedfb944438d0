"""What is drawn, as the query string of an address, and back."""

import dataclasses
import urllib.parse
from collections.abc import Mapping

from bitdiff_jax.diffusion import presets
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.request import check_integer
from bitdiff_jax.serve.limits import Limits

_MAX_SEED = 2**32 - 1
_MAX_TEMPERATURE = 2.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """How an image is drawn.

    Attributes:
        num_samples: label maps.
        seed: of the randomness, in [0, 2^32).
        preset: a key of `diffusion.presets.SETTINGS`; None for the model's own sampler.
        temperature: factor of the noise, in [0, 2]; None for the model's own.
    """

    num_samples: int = 8
    seed: int = 0
    preset: str | None = None
    temperature: float | None = None

    def check(self, limits: Limits) -> None:
        """Raises InputError where a setting is out of its range."""
        check_integer("num_samples", self.num_samples, 1, limits.max_samples)
        check_integer("seed", self.seed, 0, _MAX_SEED)
        if self.preset is not None:
            presets.settings(self.preset)
        if self.temperature is not None and not 0 <= self.temperature <= _MAX_TEMPERATURE:
            raise InputError(
                f"temperature is {self.temperature}; it must be from 0 to {_MAX_TEMPERATURE:g}"
            )


def query(image_key: str, settings: Settings) -> str:
    """The query string that draws the same again: '?image=...&seed=0&num_samples=8'."""
    fields = {"image": image_key, **dataclasses.asdict(settings)}
    return "?" + urllib.parse.urlencode({k: v for k, v in fields.items() if v is not None})


def parse(fields: Mapping[str, str], limits: Limits) -> tuple[str, Settings] | None:
    """The key of the image and the settings of a query string.

    Args:
        fields: of the query string.
        limits: the bounds of the settings.

    Returns:
        Both; None where the address names no image.

    Raises:
        InputError: a setting is not readable, or out of its range.
    """
    if not fields.get("image"):
        return None
    kinds = {"num_samples": int, "seed": int, "preset": str, "temperature": float}
    values = {}
    for name, kind in kinds.items():
        if name in fields:
            try:
                values[name] = kind(fields[name])
            except ValueError:
                raise InputError(
                    f"the link's {name} is {fields[name]!r}, which is no number; copy the whole "
                    "link again"
                ) from None
    settings = Settings(**values)
    settings.check(limits)
    return fields["image"], settings
