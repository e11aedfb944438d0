"""Folders of PNGs of region ids, among them what `bitdiff segment` writes."""

import csv
import io
import os
import re
from collections.abc import Iterable

import numpy as np
from etils import epath

from bitdiff_jax.data import images
from bitdiff_jax.data.readers.coco_panoptic import read_segment_ids
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.reader import Drawn, Predictions

SUFFIXES = (".png", ".tif", ".tiff")
LABELS = "_labels.png"
TABLE = "regions.csv"
# No leading zeros: frame_0001 is a name.
_SAMPLE = re.compile(r"(?P<id>.+)_(?P<sample>0|[1-9]\d*)")


class IdPngs(Predictions):
    """`ID.png`, or `ID_0.png`, `ID_1.png`, ... of several samples; TIFF likewise.

    Grey of up to 16 bits (TIFF: 32) or a palette: the numbers as stored are the regions, 0 one like
    any other. Files `ID_0` to `ID_{n-1}` without a gap are samples of ID, unless the ground truth
    has a picture of the longer name.
    """

    kind = "png"

    def __init__(self, path: os.PathLike | str, *, like: Iterable[str] = ()):
        """Lists the folder.

        Args:
          path: the folder.
          like: names of the ground truth, see `Names`.

        Raises:
          InputError: no such folder, no maps in it, or two files for one map.
        """
        names = Names(like)
        found: dict[str, epath.Path] = {}
        for each in listed(path):
            if each.suffix.lower() in SUFFIXES:
                if each.stem in found:
                    raise InputError(f"{each}: a second map of {each.stem}; remove one")
                found[each.stem] = each
        groups = _samples(found, names)
        table = names.table(groups, os.fspath(path))
        self._items = {name: [found[stem] for stem in groups[key]] for name, key in table.items()}
        super().__init__(path, list(self._items))

    def _read(self, name: str) -> Drawn:
        if name not in self._items:
            raise self._missing(name)
        return Drawn(tuple(self._map(path) for path in self._items[name]))

    def _map(self, path: epath.Path) -> np.ndarray:
        return images.read_labels(path)


class RgbPngs(IdPngs):
    """As `IdPngs`, of colour PNGs: R + 256 G + 65536 B is the region, each colour one.

    Not chosen unasked: a photograph is such a file too.
    """

    kind = "rgb_png"

    def _map(self, path: epath.Path) -> np.ndarray:
        return read_segment_ids(path)


class SegmentFolder(Predictions):
    """The folder that `bitdiff segment` fills: `ID_labels.png`, ids 1..n, and `regions.csv`.

    There is one map a picture, the sample that is closest to the others. The score of a region is
    its agreement, where there was more than one sample. Region k here is id k + 1 of the file.
    """

    kind = "segment"
    score = "agreement"

    def __init__(self, path: os.PathLike | str, *, like: Iterable[str] = ()):
        """Lists the folder and reads the table of regions; errors as `IdPngs`."""
        found = {
            each.name.removesuffix(LABELS): each
            for each in listed(path)
            if each.name.endswith(LABELS)
        }
        table = Names(like).table(found, os.fspath(path))
        self._items = {name: (key, found[key]) for name, key in table.items()}
        self._agreement = _agreement(epath.Path(path) / TABLE)
        super().__init__(path, list(self._items))

    def _read(self, name: str) -> Drawn:
        if name not in self._items:
            raise self._missing(name)
        identity, path = self._items[name]
        labels = images.read_labels(path) - 1
        count = int(labels.max()) + 1
        # Another run's table may be in the folder: it speaks of its own pictures alone.
        rows = self._agreement.get(identity, {})
        scores = [rows.get(region + 1, np.nan) for region in range(count)]
        return Drawn((labels,), np.array(scores) if np.isfinite(scores).all() else None)


def listed(path: os.PathLike | str) -> list[epath.Path]:
    """The files of a folder by name, without hidden ones.

    Raises:
      InputError: it is not there, or not a folder.
    """
    folder = epath.Path(path)
    if not folder.is_dir():
        raise InputError(f"{os.fspath(path)}: no such folder; check the path")
    # By name: what a folder lists first differs from disk to disk.
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return [each for each in found if not each.name.startswith(".")]


def _samples(stems: Iterable[str], names: Names) -> dict[str, list[str]]:
    """Picture -> the stems of its samples, in order."""
    single: dict[str, list[str]] = {}
    several: dict[str, dict[int, str]] = {}
    for stem in stems:
        match = _SAMPLE.fullmatch(stem)
        if match is None or names.find(stem) is not None:
            single[stem] = [stem]
        else:
            several.setdefault(match["id"], {})[int(match["sample"])] = stem
    for identity, files in several.items():
        whole = set(files) == set(range(len(files))) or names.find(identity) is not None
        if whole and identity not in single:
            single[identity] = [stem for _, stem in sorted(files.items())]
        else:
            single.update({stem: [stem] for stem in files.values()})
    return single


def _agreement(path: epath.Path) -> dict[str, dict[int, float]]:
    """Picture -> region -> agreement, of the rows that have one."""
    table: dict[str, dict[int, float]] = {}
    if not path.exists():
        return table
    try:
        for row in csv.DictReader(io.StringIO(path.read_text())):
            if row["agreement"]:
                table.setdefault(row["image"], {})[int(row["region"])] = float(row["agreement"])
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise InputError(
            f"{path}: not the table that `bitdiff segment` writes; segment again, or remove it"
        ) from None
    return table
