"""A measure: a function of a predicted and a true label map, and what each of its metrics says."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from bitdiff_jax.errors import InputError

Better = Literal["high", "low"]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number, and all that tables, pages and files say of it.

    Attributes:
        name: name of its columns and JSON keys, of lower-case letters, digits and `_`.
        title: a few words for the head of a row.
        better: whether 'high' or 'low' values are better; None if neither is.
        unit: unit of its values; '' for a number without a unit.
        text: an explanation of what the title leaves open; '' if there is none.
        main: whether the short table shows it.

    Raises:
        InputError: `name` has other characters, or `better` is none of the three.
    """

    name: str
    title: str
    better: Better | None
    unit: str = ""
    text: str = ""
    main: bool = True

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InputError(
                f"metric name={self.name!r}: use lower-case letters, digits and _, a letter first"
            )
        if self.better not in ("high", "low", None):
            raise InputError(
                f"metric {self.name}: better={self.better!r}; use 'high', 'low' or None"
            )

    @property
    def label(self) -> str:
        """Title and unit, as the head of a row shows them."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def direction(self) -> str:
        """Whether high or low values are better, in words; '' if neither is."""
        return "" if self.better is None else f"{self.better}er is better"


@dataclasses.dataclass(frozen=True)
class Measure:
    """A function of one prediction and one truth, and the metrics that it gives.

    Attributes:
        metrics: the metrics that the function gives, in the order of its numbers.
        function: function that returns a float, or one float for each of the metrics; NaN where a
            metric is not defined. It must be picklable (defined at the top of a module) where
            several processes score.
        of: what the function takes. 'table' is a contingency table, int64 [P, T]: pixels that each
            predicted region shares with each true one; pixels that the annotator did not label are
            in no cell. 'maps' is the prediction, int32 [h, w] with ids from 0, and the truth, int32
            [h, w] with ids from 0 and -1 where the annotator did not label.

    Raises:
        InputError: there is no metric, or `of` is neither of the two words.
    """

    metrics: tuple[Metric, ...]
    function: Callable[..., Any]
    of: Literal["table", "maps"] = "table"

    def __post_init__(self) -> None:
        if not self.metrics or not all(isinstance(each, Metric) for each in self.metrics):
            raise InputError(f"metrics={self.metrics!r}: a measure needs one Metric or more")
        if self.of not in ("table", "maps"):
            raise InputError(f"of={self.of!r} is not known; a measure is of 'table' or of 'maps'")

    @property
    def name(self) -> str:
        """The name of its first metric."""
        return self.metrics[0].name

    def values(self, pred: np.ndarray, truth: np.ndarray, table: np.ndarray) -> dict[str, float]:
        """The value of each metric by name, of one prediction and one truth.

        Args:
            pred: predicted map, int32 [h, w], ids from 0.
            truth: true map, int32 [h, w], ids from 0; -1 = not labelled.
            table: their contingency table, int64 [P, T].

        Raises:
            InputError: the function fails, or does not give a number for each metric.
        """
        try:
            found = self.function(*((table,) if self.of == "table" else (pred, truth)))
            numbers = np.atleast_1d(np.asarray(found, np.float64)).tolist()
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"measure {self.name}: {type(error).__name__}: {error}") from error
        if len(numbers) != len(self.metrics):
            raise InputError(
                f"measure {self.name}: gave {len(numbers)} numbers for {len(self.metrics)} metrics"
            )
        return dict(zip((each.name for each in self.metrics), numbers, strict=True))


def metrics_of(measures: Sequence[Measure]) -> dict[str, Metric]:
    """The metrics of several measures by name, in order.

    Raises:
        InputError: there is no measure, one of them is not a `Measure`, or two metrics have the
            same name.
    """
    result: dict[str, Metric] = {}
    for measure in measures:
        if not isinstance(measure, Measure):
            raise InputError(f"measures: {measure!r} is not a bitdiff_jax.metrics.Measure")
        for metric in measure.metrics:
            if metric.name in result:
                raise InputError(f"measures: two metrics are called {metric.name!r}; rename one")
            result[metric.name] = metric
    if not result:
        raise InputError("measures: there is none; name one or more")
    return result
