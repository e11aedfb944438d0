"""The distribution of a number over weighted samples."""

import dataclasses
import numbers
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """Values with their probabilities, one for each sample.

    Attributes:
        values: float64 [n].
        weights: float64 [n], > 0, with sum 1.
    """

    values: np.ndarray
    weights: np.ndarray

    @property
    def mean(self) -> float:
        """The expected value."""
        return float(self.weights @ self.values)

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The central interval: (1 - level) / 2 of the probability at most lies on each side.

        Args:
            level: probability that the interval holds at least, in (0, 1].

        Returns:
            (low, high), both of them values that occur.

        Raises:
            InputError: the level is out of its range.
        """
        check_level(level)
        # Read from above for the upper end, so that negated values give the negated interval.
        negated = Distribution(-self.values, self.weights)
        tail = (1 - level) / 2
        return self._beyond(tail), -negated._beyond(tail)

    def _beyond(self, tail: float) -> float:
        """The lowest value with more than `tail` of the probability at or below it."""
        order = np.argsort(self.values, kind="stable")
        exceeded = np.cumsum(self.weights[order]) > tail + 1e-9
        return float(self.values[order][np.argmax(exceeded)])


def distribution(
    function: Callable[[np.ndarray], Any], label_maps: np.ndarray, weights: np.ndarray
) -> Distribution:
    """The values of a function for the maps of positive weight.

    Args:
        function: of integers [h, w].
        label_maps: integers [n, h, w].
        weights: float64 [n], >= 0.

    Raises:
        InputError: the function returns something else than one finite number.
    """
    used = np.flatnonzero(weights)
    values = [function(label_maps[each].copy()) for each in used]
    for value in values:
        if not (isinstance(value, numbers.Real | np.bool_) and np.isfinite(float(value))):
            text = reprlib.repr(value).replace("\n", " ")
            raise InputError(f"function returned {text}; it must return one finite number")
    return Distribution(np.array(values, np.float64), weights[used] / weights[used].sum())


def check_level(level: float) -> None:
    """Raises InputError unless `level` is a probability in (0, 1]."""
    if not 0 < level <= 1:
        raise InputError(f"level is {level}; use a probability in (0, 1], such as .9")
