"""The interface of readers of predictions, for all formats."""

import abc
import os
from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.masks_to_partition import UNASSIGNED

_LOOKED_AT = 8


class PredictedMaps(NamedTuple):
    """The predictions for one image.

    Attributes:
        maps: maps int32 [h, w], one per sample; ids >= 0, -1 = no region. () if there is no region
            at all and the file does not say how large the image is.
        scores: float64 [n], the score of region k of the one map at place k; None if there are
            none.
    """

    maps: tuple[np.ndarray, ...]
    scores: np.ndarray | None = None


class Predictions(abc.ABC):
    """Random access by name to predictions on disk; only the image that is read is in memory.

    Attributes:
        kind: kind of the predictions, one of `predictions.KINDS`.
        path: path that was opened.
        names: names of the images that have a prediction, sorted. Images without one are not
            listed; `truths.match` finds them.
        rule: how masks are made a partition, in words; None for kinds without masks.
        levels: names of the values of a parameter, where an image has one map for each of them
            instead of samples; None elsewhere.
        score: name of the regions' scores in the files.
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
        self._last: tuple[str, PredictedMaps] | None = None
        if not names:
            raise InputError(f"{self.path}: no predictions of kind {self.kind!r}; check the path")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, {len(self)} pictures)"

    def maps(self, name: str, shape: tuple[int, int] | None = None) -> tuple[np.ndarray, ...]:
        """The maps of one image, one per sample.

        Args:
            name: name of the image, one of `names`.
            shape: size (h, w) that the maps must have; None takes any size.

        Returns:
            Maps int32 [h, w]. Ids are >= 0; -1 marks pixels of no region, which the metrics count
            as one more region. An image without any mask is all -1.

        Raises:
            InputError: the image is unknown, a file is missing or damaged, maps differ in size or
                from `shape`, or there is no region and no size.
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
        """The name of the score that ranks regions, for reports; 'constant' if there is none.

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

    def _drawn(self, name: str) -> PredictedMaps:
        # Kept, because maps and scores are asked for in turn, and masks take long to decode.
        if self._last is None or self._last[0] != name:
            self._last = name, self._read(name)
        return self._last[1]

    @abc.abstractmethod
    def _read(self, name: str) -> PredictedMaps:
        """Reads one image; raises `InputError` if there is none of this name."""

    def _missing(self, name: str) -> InputError:
        return InputError(
            f"{self.path}: no prediction for {name!r} among {len(self)}; "
            f"names here are such as {self.names[0]!r}"
        )


def _sizes(shapes: set[tuple[int, ...]]) -> str:
    return " and ".join(f"{w}x{h}" for h, w in sorted(shapes))
