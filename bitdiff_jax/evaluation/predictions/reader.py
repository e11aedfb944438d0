"""What a reader of predictions is, whoever wrote them."""

import abc
import os
from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.masks_to_partition import UNASSIGNED

_LOOKED_AT = 8


class Drawn(NamedTuple):
    """What was predicted for one image.

    Attributes:
        maps: int32 [h, w], one a sample; ids >= 0, -1 = of no region. () if there is no region at
            all and the file does not say how large the image is.
        scores: float64 [n], of region k of the one map at place k; None if there are none.
    """

    maps: tuple[np.ndarray, ...]
    scores: np.ndarray | None = None


class Predictions(abc.ABC):
    """Random access by name to predictions on disk; only the image asked for is in memory.

    Attributes:
        kind: one of `predictions.KINDS`.
        path: what was opened.
        names: the images that have a prediction, sorted. Those that are missing are for the
            caller to tell: nothing is made up for them.
        rule: how masks are made a partition, in words; None for kinds that hold none.
        levels: names of the values of a parameter, where an image's maps are one for each of them
            and not samples; None elsewhere.
        score: what scores of regions are called in the files.
    """

    kind: str
    levels: tuple[str, ...] | None = None
    score: str = "score"

    def __init__(self, path: os.PathLike | str, names: list[str], rule: str | None = None):
        """Sorts the names.

        Raises:
            InputError: there is no prediction.
        """
        self.path = os.fspath(path)
        self.names = tuple(sorted(names))
        self.rule = rule
        self._last: tuple[str, Drawn] | None = None
        if not names:
            raise InputError(f"{self.path}: no predictions of kind {self.kind!r}; check the path")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, {len(self)} pictures)"

    def maps(self, name: str, shape: tuple[int, int] | None = None) -> tuple[np.ndarray, ...]:
        """The maps of one image, one a sample.

        Args:
            name: one of `names`.
            shape: (h, w) that they must have; None takes them as they are.

        Returns:
            int32 [h, w] each. Ids are >= 0; -1 marks pixels of no region, which the metrics count
            as one region more. An image without any mask is all -1.

        Raises:
            InputError: no such image, a missing or damaged file, maps of several sizes or of
                another than `shape`, or no region and no size.
        """
        drawn = self._drawn(name)
        if not drawn.maps:
            if shape is None:
                raise InputError(
                    f"{self.path}: {name} has no mask, and so no size; name the picture's shape"
                )
            return (np.full(shape, UNASSIGNED, np.int32),)
        shapes = {each.shape for each in drawn.maps}
        if len(shapes) > 1:
            raise InputError(
                f"{self.path}: {name} has maps of sizes {_sizes(shapes)}; all must be of one"
            )
        if shape is not None and shapes != {tuple(shape)}:
            raise InputError(
                f"{self.path}: {name} is {_sizes(shapes)}, its picture is "
                f"{_sizes({tuple(shape)})}; predict at the size of the picture"
            )
        return drawn.maps

    def scores(self, name: str) -> np.ndarray | None:
        """float64 [n], the score of region k of the image's one map; None if there are none."""
        return self._drawn(name).scores

    def score_per_region(self) -> str:
        """Which score ranks regions, for people to read: 'constant' if there are none.

        It looks at the first images that can be read and have a region.
        """
        for name in self.names[:_LOOKED_AT]:
            try:
                found = self.scores(name)
            except InputError:
                continue
            if found is None:
                return "constant"
            if len(found):
                return f"{self.score} of the file"
        return "constant"

    def _drawn(self, name: str) -> Drawn:
        # Maps and scores are asked for by turns, and large masks take long to decode.
        if self._last is None or self._last[0] != name:
            self._last = name, self._read(name)
        return self._last[1]

    @abc.abstractmethod
    def _read(self, name: str) -> Drawn:
        """Reads one image; `InputError` if there is none of this name."""

    def _missing(self, name: str) -> InputError:
        return InputError(
            f"{self.path}: no prediction for {name!r} among {len(self)}; "
            f"names here are such as {self.names[0]!r}"
        )


def _sizes(shapes: set[tuple[int, ...]]) -> str:
    return " and ".join(f"{w}x{h}" for h, w in sorted(shapes))
