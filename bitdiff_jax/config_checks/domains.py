"""Domains of settings: sets that a setting's value has to lie in."""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any, Protocol

from bitdiff_jax import extensions


class Domain(Protocol):
    """A set of values."""

    def remedy(self, value: Any) -> str | None:
        """None for a value in the set; otherwise the remedy, such as 'use 1 or more'."""


@dataclasses.dataclass(frozen=True)
class Whole:
    """Whole numbers from `low` to `high`, both included; None is no bound."""

    low: int
    high: int | None = None

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        if _is_whole(value) and self.low <= value and (self.high is None or value <= self.high):
            return None
        if self.high is None:
            return f"use a whole number of {self.low:,} or more"
        return f"use a whole number from {self.low:,} to {self.high:,}"


@dataclasses.dataclass(frozen=True)
class Devices:
    """Whole numbers from 1 on, and -1 for all devices that are left."""

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        if _is_whole(value) and (value == -1 or value >= 1):
            return None
        return "use 1 or more, or -1 for what is left"


@dataclasses.dataclass(frozen=True)
class Real:
    """Numbers from `low` to `high`, never NaN.

    Attributes:
        low: the lowest value.
        high: the highest value.
        open_low: whether `low` itself is left out.
        open_high: whether `high` itself is left out; infinity is left out unless this is False.
        optional: whether None is allowed.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = True
    optional: bool = False

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        if value is None and self.optional:
            return None
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            value = float(value)
            above = (
                self.low < value if self.open_low or self.low == -math.inf else self.low <= value
            )
            below = value < self.high if self.open_high else value <= self.high
            if above and below:
                return None
        if self.low == -math.inf and self.high == math.inf:
            return "use a finite number"
        low = f"above {self.low:g}" if self.open_low else f"of {self.low:g} or more"
        if self.high == math.inf:
            return f"use a {'' if not self.open_high else 'finite '}number {low}"
        return f"use a number {low}, {'below' if self.open_high else 'at most'} {self.high:g}"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some values.

    Attributes:
        known: the known values.
        extensible: whether `package.module:name` is allowed as well, see `bitdiff_jax.extensions`.
        hint: text that follows the values in the message.
    """

    known: Sequence[Any]
    extensible: bool = False
    hint: str = ""

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        # Types too: True is 1, and a list cannot be looked up.
        if any(type(value) is type(each) and value == each for each in self.known):
            return None
        if self.extensible and isinstance(value, str) and extensions.is_reference(value):
            return None
        own = ", or your own as package.module:name" if self.extensible else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"it must be one of {', '.join(map(str, self.known))}{own}{hint}"


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or false."""

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        return None if isinstance(value, bool) else "use true or false"


@dataclasses.dataclass(frozen=True)
class Text:
    """A text; an empty one only if `example` is empty, which otherwise says what to give."""

    example: str = ""

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        if isinstance(value, str) and (value.strip() or not self.example):
            return None
        return f"say {self.example}" if self.example else "use a text"


@dataclasses.dataclass(frozen=True)
class Several:
    """A tuple or list whose entries all lie in `each`, with at least `least` of them."""

    each: Domain
    least: int = 0
    example: str = ""

    def remedy(self, value: Any) -> str | None:
        """See `Domain`."""
        if not isinstance(value, tuple | list) or len(value) < self.least:
            return f"use a tuple of {self.least} or more, as {self.example}"
        for entry in value:
            if remedy := self.each.remedy(entry):
                return f"{remedy} for each entry, as {self.example}"
        return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
