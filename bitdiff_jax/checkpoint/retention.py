"""Which checkpoints are kept beside the latest ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


class Best:
    """An orbax preservation policy: keeps the steps with the highest score, the latest of equals.

    Orbax has such a policy, but a run cannot start without the files in which it keeps the scores.

    Args:
        count: number of steps that are kept.
        name: name of the score.
    """

    def __init__(self, count: int, name: str):
        self._count, self._name = count, name
        self._scores: dict[int, float] = {}

    def note(self, step: int, scores: Mapping[str, float] | None) -> None:
        """Takes the scores of a step, if it has any."""
        self._scores.pop(step, None)
        score = (scores or {}).get(self._name, math.nan)
        if math.isfinite(score):
            self._scores[step] = float(score)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Returns for each checkpoint whether it is kept; orbax calls it after a save."""
        del context
        scored = [c.step for c in checkpoints if c.step in self._scores]
        best = sorted(scored, key=lambda step: (self._scores[step], step))[-self._count :]
        return [self._count > 0 and c.step in best for c in checkpoints]
