"""What a caller asks of the segmenter, checked at the door."""

import dataclasses
import math
import operator
from typing import Any

from bitdiff_jax.errors import InputError

_MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Request:
    """The numbers of a call; see `Segmenter.__call__`.

    Raises:
        InputError: one of them is not a number of its kind or out of its range.
    """

    num_samples: int
    num_steps: int
    guidance_weight: float
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_steps", "batch_size"):
            _check_integer(name, getattr(self, name), 1)
        _check_integer("seed", self.seed, 0, _MAX_SEED)
        try:
            finite = math.isfinite(self.guidance_weight)
        except TypeError:
            finite = False
        if not finite:
            raise InputError(
                f"guidance_weight is {self.guidance_weight!r}; give a finite number, 0 for none"
            )

    def with_at_most(self, rows: int) -> "Request":
        """The same with a `batch_size` of no more than `rows`."""
        return dataclasses.replace(self, batch_size=max(1, min(self.batch_size, rows)))


def _check_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {value!r}; give an integer") from None
    if number < low or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} is {value}; it must be {bounds}")
