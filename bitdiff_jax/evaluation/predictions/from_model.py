"""A model's drawn maps in the place of predictions on disk, for tables, sheets and pages."""

from collections.abc import Mapping, Sequence

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import Predictions, reader
from bitdiff_jax.evaluation.truths import Truth
from bitdiff_jax.inference.drawing import Drawn

KIND = "model"


class DrawnMaps(Predictions):
    """Predictions and truths at once, of those images that are at hand.

    Attributes:
        unlabelled: as of `Truths`.
    """

    kind = KIND

    def __init__(
        self, path: str, names: Sequence[str], drawn: Mapping[str, Drawn], unlabelled: str
    ):
        """Takes what was drawn.

        Args:
            path: the checkpoint.
            names: of all images that were evaluated.
            drawn: some of them, with their maps.
            unlabelled: what pixels without a region were taken for.
        """
        super().__init__(path, list(names))
        self.unlabelled = unlabelled
        self._at_hand = dict(drawn)

    def read(self, name: str) -> Truth:
        """The image as the network saw it and its truths at their own size."""
        drawn = self._one(name)
        return Truth(drawn.labels, drawn.image)

    def _read(self, name: str) -> reader.Drawn:
        return reader.Drawn(tuple(self._one(name).codes))

    def _one(self, name: str) -> Drawn:
        if name not in self._at_hand:
            raise InputError(f"{self.path}: the maps of {name} were not kept; draw them again")
        return self._at_hand[name]
