"""A claim as a value: what is said, what is drawn for it, and which comparisons decide it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bitdiff_jax.repro.arms import Evaluation


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One arm should do better than another, by a metric of each scene.

    Attributes:
        better: arm that should do better; 'ARM:METRIC' for another metric than the claim's, where
            two read-outs of the same maps are compared.
        worse: the arm that it is held against.
        metric: column of the rows, of which high values are better.
    """

    better: str
    worse: str
    metric: str = "ari"

    def sides(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """(arm, metric) of the better and of the worse one."""
        return _side(self.better, self.metric), _side(self.worse, self.metric)

    def __str__(self) -> str:
        if ":" in self.better:
            return f"{self.better} over {self.worse}"
        return f"{self.better} over {self.worse}, by {self.metric}"


def _side(arm: str, metric: str) -> tuple[str, str]:
    name, _, own = arm.partition(":")
    return name, own or metric


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper, or one that decides its thesis.

    Attributes:
        name: what the command line calls it.
        group: 'controls', 'tables', 'figures', 'settings' or 'systems'.
        title: what it is about, for a heading.
        says: what the paper says, in a sentence with its figures.
        arms: evaluations by the name that comparisons and tables use.
        decides: comparisons that have to be right for the claim to hold. None: see `not_testable`.
        tested: what is done here in its place, in a sentence: the cheap substitute.
        not_testable: why it cannot be tested at this size; '' if it can.
        not_run: what is still to be built before it can be run; '' if nothing is.
        computed: `module:function` of the figures that need no training; '' if there are none.
        plot: column that is drawn over the arms; '' for no plot.
        axis: what the arms' names are, for the plot.
        full: `bitdiff` commands that repeat it at full size, as (config, overrides).
    """

    name: str
    group: str
    title: str
    says: str
    arms: Mapping[str, Evaluation] = dataclasses.field(default_factory=dict)
    decides: tuple[Comparison, ...] = ()
    tested: str = ""
    not_testable: str = ""
    not_run: str = ""
    computed: str = ""
    plot: str = ""
    axis: str = ""
    full: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def __post_init__(self) -> None:
        for each in self.decides:
            for arm, _ in each.sides():
                if arm not in self.arms:
                    raise ValueError(f"claim {self.name}: {arm!r} is none of its arms")
