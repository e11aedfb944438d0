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
        """The central interval that holds the value of one more sample with probability `level`.

        It is made of order statistics: of n samples the k-th value from either end, k the whole
        part of (n + 1) (1 - level) / 2, has at most that probability beyond it (split conformal
        prediction, arXiv 2107.07511). Weights count by their effective number. Where k would be 0,
        as for .9 with fewer than 19 samples, it is their whole range, which holds (n - 1) / (n + 1)
        of values that never repeat: .88 with 16, .78 with 8, .6 with 4. Where values repeat, as
        small counts do, it holds more than `level`.

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
        # One more sample, of which nothing is known, lies at the far end: of n it is 1 / (n + 1).
        number = self.weights.sum() ** 2 / (self.weights**2).sum()
        tail = max(0.0, (1 - level) / 2 * (number + 1) / number - 1 / number)
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
    if not isinstance(level, numbers.Real) or not 0 < level <= 1:
        raise InputError(f"level is {level!r}; use a probability in (0, 1], such as .9")
