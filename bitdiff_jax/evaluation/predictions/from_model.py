"""A model's drawn maps, used like predictions on disk by tables, sheets and pages."""

from collections.abc import Mapping, Sequence

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import Predictions, reader
from bitdiff_jax.evaluation.truths import Truth
from bitdiff_jax.inference.drawing import Drawn

KIND = "model"


class DrawnMaps(Predictions):
    """Predictions and truths of the images that were drawn and kept.

    Attributes:
        unlabelled: how pixels without a region were read, in one phrase.
    """

    kind = KIND

    def __init__(
        self, path: str, names: Sequence[str], drawn: Mapping[str, Drawn], unlabelled: str
    ):
        """Takes the drawn maps.

        Args:
            path: path of the checkpoint.
            names: names of all images that were evaluated.
            drawn: some of these images, with their maps.
            unlabelled: how pixels without a region were read, in one phrase.
        """
        super().__init__(path, list(names))
        self.unlabelled = unlabelled
        self._at_hand = dict(drawn)

    def read(self, name: str) -> Truth:
        """The image as the network saw it and its truths at their own size."""
        drawn = self._one(name)
        return Truth(drawn.labels, drawn.image)

    def _read(self, name: str) -> reader.PredictedMaps:
        return reader.PredictedMaps(tuple(self._one(name).codes))

    def _one(self, name: str) -> Drawn:
        if name not in self._at_hand:
            raise InputError(f"{self.path}: the maps of {name} were not kept; draw them again")
        return self._at_hand[name]
