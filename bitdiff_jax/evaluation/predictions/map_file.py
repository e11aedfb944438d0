"""One file that is the label map of one image."""

import os
from collections.abc import Iterable

from etils import epath

from bitdiff_jax.data import file_names, images
from bitdiff_jax.evaluation.predictions import arrays, pngs
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions

_ARRAY = ".npy"


class MapFile(Predictions):
    """A file `ID.png`, or another that `pngs.IdPngs` reads in a folder, or `ID.npy`."""

    def __init__(self, path: os.PathLike | str, *, like: Iterable[str] = ()):
        """Takes the name from the file's; it is read later.

        Args:
            path: the file.
            like: names of the other side, see `Names`.
        """
        self._file = epath.Path(path)
        self.kind = "npz" if self._file.suffix.lower() == _ARRAY else "png"
        super().__init__(path, [Names(like).name(file_names.as_text(self._file.stem))])

    def _read(self, name: str) -> PredictedMaps:
        if name not in self.names:
            raise self._missing(name)
        if self.kind == "png":
            return PredictedMaps((images.read_labels(self._file),))
        return PredictedMaps(arrays.label_maps(arrays.load(self._file), self.path))


def is_map_file(path: os.PathLike | str) -> bool:
    """Whether a path is a file of a kind that `MapFile` reads."""
    place = epath.Path(path)
    return place.suffix.lower() in {*pngs.SUFFIXES, _ARRAY} and place.is_file()
