"""Folders of PNGs of region ids, among them what `bitdiff segment` writes."""

import csv
import io
import os
from collections.abc import Iterable

import numpy as np
from etils import epath
from PIL import Image

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.readers.coco_panoptic import read_segment_ids
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import sample_files
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions

SUFFIXES = images.LABEL_SUFFIXES
LABELS = "_labels.png"
TABLE = "regions.csv"


class IdPngs(Predictions):
    """Files `ID.png`, or `ID_0.png`, `ID_1.png`, ... of several samples; also TIFF, BMP and others.

    They are grey of up to 16 bits (TIFF: 32) or have a palette: the stored numbers are the regions,
    of which 0 is one like any other. `sample_files.group` decides whether `ID_0`, `ID_1` are
    samples of ID.
    """

    kind = "png"

    def __init__(
        self,
        path: os.PathLike | str,
        *,
        like: Iterable[str] = (),
        names: sample_files.Reading | None = None,
        others: Iterable[sample_files.Written] = (),
    ):
        """Lists the folder.

        Args:
            path: the folder.
            like: names of the ground truth, see `Names`.
            names: how names are read where `like` does not decide: 'whole' if each file is an
                image, 'sample_suffix' if `ID_k` is a map of ID; None decides by what is known.
            others: names from elsewhere, used where `like` and `names` do not decide.

        Raises:
            InputError: the folder does not exist or has no maps, there are two files for one map,
                or files may be images or maps of one image.
        """
        known = Names(like)
        found, altering = _maps(path)
        groups = sample_files.group(
            found,
            known,
            where=os.fspath(path),
            reading=names,
            others=others,
            size=lambda stem: _size(found[stem]),
        )
        table = known.table(groups, os.fspath(path))
        self._items = {name: [found[stem] for stem in groups[key]] for name, key in table.items()}
        # A photograph may lie beside its map. If an image of the ground truth has only a
        # photograph, the reader of maps says what is wrong with it.
        for stem, file in altering.items():
            if (name := known.find(stem)) is not None:
                self._items.setdefault(name, [file])
        super().__init__(path, list(self._items))

    def _read(self, name: str) -> PredictedMaps:
        if name not in self._items:
            raise self._missing(name)
        return PredictedMaps(tuple(self._map(path) for path in self._items[name]))

    def _map(self, path: epath.Path) -> np.ndarray:
        return images.read_labels(path)


class RgbPngs(IdPngs):
    """Colour PNGs, named as for `IdPngs`: R + 256 G + 65536 B is the id of the region.

    This kind is never detected, because a photograph is such a file too.
    """

    kind = "rgb_png"

    def _map(self, path: epath.Path) -> np.ndarray:
        return read_segment_ids(path)


class SegmentFolder(Predictions):
    """The folder that `bitdiff segment` fills: `ID_labels.png`, ids 1..n, and `regions.csv`.

    There is one map per image, by default the consensus of its samples. The score of a region is
    its agreement, where there was more than one sample. Region k here is id k + 1 of the file.
    """

    kind = "segment"
    score = "agreement"

    def __init__(self, path: os.PathLike | str, *, like: Iterable[str] = ()):
        """Lists the folder and reads the table of regions; raises the errors of `IdPngs`."""
        found = {
            file_names.as_text(each.name.removesuffix(LABELS)): each
            for each in listed(path)
            if each.name.endswith(LABELS)
        }
        table = Names(like).table(found, os.fspath(path))
        self._items = {name: (key, found[key]) for name, key in table.items()}
        self._agreement = _agreement(epath.Path(path) / TABLE)
        super().__init__(path, list(self._items))

    def _read(self, name: str) -> PredictedMaps:
        if name not in self._items:
            raise self._missing(name)
        identity, path = self._items[name]
        labels = images.read_labels(path) - 1
        count = int(labels.max()) + 1
        # The folder may hold another run's table, which has only that run's images.
        rows = self._agreement.get(identity, {})
        scores = [rows.get(region + 1, np.nan) for region in range(count)]
        return PredictedMaps((labels,), np.array(scores) if np.isfinite(scores).all() else None)


def listed(path: os.PathLike | str) -> list[epath.Path]:
    """The files of a folder by name, without hidden ones and those that systems add.

    Raises:
        InputError: the path does not exist, or is not a folder.
    """
    folder = epath.Path(path)
    if not folder.is_dir():
        raise InputError(f"{os.fspath(path)}: no such folder; check the path")
    # Sorted by name, because the order of a folder differs from disk to disk.
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return [each for each in found if not file_names.is_litter(each.name)]


def names_of_files(path: os.PathLike | str) -> sample_files.Written:
    """The names of a folder's maps as written, of which `ID_0`, `ID_1` may be one image."""
    return sample_files.Written(tuple(_maps(path)[0]), raw=True)


def _maps(path: os.PathLike | str) -> tuple[dict[str, epath.Path], dict[str, epath.Path]]:
    """Files by name without ending: of maps, and of images in formats that alter numbers.

    The latter are taken for maps if there are no others.
    """
    found: dict[str, epath.Path] = {}
    altering: dict[str, epath.Path] = {}
    for each in listed(path):
        suffix, stem = each.suffix.lower(), file_names.as_text(each.stem)
        if suffix in SUFFIXES:
            if stem in found:
                raise InputError(f"{each}: a second map of {stem}; remove one")
            found[stem] = each
        elif suffix in images.IMAGE_SUFFIXES:
            altering[stem] = each
    return (found, altering) if found else (altering, {})


def _size(path: epath.Path) -> tuple[int, int] | None:
    """The size (width, height) in the file's head; None if it cannot be read."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            return image.size
    except Exception:  # Pillow raises nearly everything on a broken file
        return None


def _agreement(path: epath.Path) -> dict[str, dict[int, float]]:
    """The agreement of each region by image and region, of the rows that have one."""
    table: dict[str, dict[int, float]] = {}
    if not path.exists():
        return table
    try:
        # Names of files in it may not be UTF-8.
        text = files.read_text(path, errors="surrogateescape")
        for row in csv.DictReader(io.StringIO(text)):
            if row["agreement"]:
                table.setdefault(row["image"], {})[int(row["region"])] = float(row["agreement"])
    except (KeyError, TypeError, ValueError, csv.Error):
        raise InputError(
            f"{path}: not the table that `bitdiff segment` writes; segment again, or remove it"
        ) from None
    return table
