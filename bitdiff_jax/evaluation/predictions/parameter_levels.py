"""One prediction at several levels of a parameter: a sweep, or a hierarchy cut at several heights.

Levels are not samples, because they differ by a setting and not by chance. They are evaluated by
ODS and OIS.
"""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax.data.file_names import as_text
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import arrays, sample_files
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.pngs import SUFFIXES, IdPngs, listed
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions

ARRAY = "levels"
_THRESHOLDS = "thresholds"


class Levels(Predictions):
    """A folder of folders `LEVEL/ID.png`, each read by `IdPngs`, or npz files of 'levels'.

    `ID.npz` holds an array 'levels', integers [n, h, w], -1 for no region, and optionally
    'thresholds' [n], their names, which must be the same in all files. Every image must have every
    level.
    """

    kind = "levels"
    levels: tuple[str, ...]

    def __init__(self, path: os.PathLike | str, *, like: Iterable[str] = ()):
        """Lists the levels and the images.

        Args:
            path: the folder, or one `ID.npz`.
            like: names of the ground truth, see `Names`.

        Raises:
            InputError: the folder does not exist, there are fewer than two levels, or a level holds
                samples.
        """
        self._folders: dict[str, IdPngs] = {}
        self._files: dict[str, epath.Path] = {}
        place = epath.Path(path)
        like = tuple(like)
        if folders := level_folders(place):
            # A level holds no samples, so without a truth every file is an image.
            reading: sample_files.Reading | None = None if like else "whole"
            self._folders = {each.name: IdPngs(each, like=like, names=reading) for each in folders}
            names = sorted({name for each in self._folders.values() for name in each.names})
            self.levels = tuple(self._folders)
        else:
            files = [place] if place.is_file() else listed(path)
            found = {as_text(each.stem): each for each in files if each.suffix.lower() == ".npz"}
            table = Names(like).table(found, os.fspath(path))
            self._files = {name: found[key] for name, key in table.items()}
            names = list(self._files)
            self.levels = _levels_of(next(iter(found.values())))[1] if found else ()
        super().__init__(path, names)
        if len(self.levels) < 2:
            raise InputError(
                f"{self.path}: has {len(self.levels)} level; a sweep needs two or more, one alone "
                "is a folder of PNGs"
            )

    def _read(self, name: str) -> PredictedMaps:
        if name in self._files:
            maps, levels = _levels_of(self._files[name])
            if levels != self.levels:
                raise InputError(
                    f"{self._files[name]}: its levels are {_few(levels)} and those of another "
                    f"picture {_few(self.levels)}; all must have the same"
                )
            return PredictedMaps(maps)
        without = [level for level, each in self._folders.items() if name not in each.names]
        if len(without) == len(self.levels):
            raise self._missing(name)
        if without:
            raise InputError(f"{self.path}: {name} has no map at level {_few(tuple(without))}")
        found = {level: each.maps(name) for level, each in self._folders.items()}
        for level, maps in found.items():
            if len(maps) > 1:
                raise InputError(
                    f"{self.path}: {name} has {len(maps)} samples at level {level}; "
                    "write one map a level"
                )
        return PredictedMaps(tuple(maps[0] for maps in found.values()))


def level_folders(path: epath.Path) -> list[epath.Path]:
    """The folders of maps in a folder; those named by numbers alone are in their order."""
    if not path.is_dir():
        return []
    found = [
        each
        for each in listed(path)
        if each.is_dir() and any(file.suffix.lower() in SUFFIXES for file in listed(each))
    ]
    numbers = all(is_number(each.name) for each in found)
    return sorted(found, key=lambda each: (float(each.name) if numbers else 0.0, each.name))


def is_number(name: str) -> bool:
    """Whether a folder's name is the value of a parameter."""
    try:
        return bool(np.isfinite(float(name)))
    except ValueError:
        return False


def _levels_of(path: epath.Path) -> tuple[tuple[np.ndarray, ...], tuple[str, ...]]:
    """The maps of a file and the names of their levels."""
    where = os.fspath(path)
    loaded: Any = arrays.load(path)
    with loaded as file:
        if ARRAY not in file:
            raise InputError(f"{where}: has no array {ARRAY!r}; write integers [n, h, w]")
        values = arrays.array(file, ARRAY, path)
        names = arrays.array(file, _THRESHOLDS, path) if _THRESHOLDS in file else None
    if values.ndim != 3:
        raise InputError(f"{where}: levels are {values.shape}; they must be [n, h, w]")
    maps = arrays.label_maps(values, where)
    if names is None:
        return maps, tuple(str(i) for i in range(len(maps)))
    if names.shape != (len(maps),) or names.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: thresholds are {names.dtype} {names.shape}; they must be numbers "
            f"[{len(maps)}], one a level"
        )
    return maps, tuple(f"{value:.6g}" for value in names.tolist())


def _few(levels: tuple[str, ...], shown: int = 4) -> str:
    more = f" and {len(levels) - shown} more" if len(levels) > shown else ""
    return ", ".join(levels[:shown]) + more
