"""What a caller asks to be drawn, checked at the door."""

import dataclasses
import operator
from typing import Any

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import specks, upsampling
from bitdiff_jax.posterior import points

_MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Request:
    """How much is drawn, from which seed, and how it is brought to the image's size.

    Attributes:
        num_samples: maps of each image.
        seed: of all randomness, in [0, 2^32).
        batch_size: maps drawn at once, on all processes together; raised to a multiple of the
            devices. The last batch is filled up, so there is one shape and one compilation.
        min_area: smaller pieces of a map are given to what surrounds them, see `specks.threshold`;
            0 keeps maps as they are drawn.
        edges: how maps get the image's size, one of `upsampling.EDGES`.

    Raises:
        InputError: one of them is not a whole number, or out of its range; `min_area` is no area,
            or `edges` is not known.
    """

    num_samples: int = 1
    seed: int = 0
    batch_size: int = 8
    min_area: specks.Area = specks.DEFAULT
    edges: str = upsampling.EDGES[0]

    def __post_init__(self) -> None:
        check_integer("num_samples", self.num_samples, 1)
        check_integer("batch_size", self.batch_size, 1)
        check_integer("seed", self.seed, 0, _MAX_SEED)
        specks.threshold(self.min_area, (1, 1), (1, 1))
        upsampling.check_edges(self.edges)

    def with_at_most(self, rows: int) -> "Request":
        """The same with a `batch_size` of no more than `rows`."""
        return dataclasses.replace(self, batch_size=max(1, min(self.batch_size, rows)))

    def with_seed(self, seed: int) -> "Request":
        """The same from another seed."""
        return dataclasses.replace(self, seed=seed)


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Raises InputError unless a value is a whole number in a range, both ends included."""
    try:
        if isinstance(value, bool):  # whose index is 0 or 1
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {points.brief(value)}; give an integer") from None
    if number < low or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} is {value}; it must be {bounds}")
