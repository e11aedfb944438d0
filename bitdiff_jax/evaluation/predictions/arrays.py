"""Predictions as numpy arrays: a folder of `ID.npz` or `ID.npy`, or one npz of many images."""

import os
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax.data import file_names
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule, partition
from bitdiff_jax.evaluation.predictions.pngs import listed
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions

SUFFIXES = (".npz", ".npy")
_MASKS = ("masks", "segmentation")
_SCORES = ("scores", "predicted_iou")
# numpy.savez calls an array arr_0 if it has no name.
_FIELDS = {"labels", "arr_0", *_MASKS, *_SCORES}


class Arrays(Predictions):
    """Maps or masks of numpy.

    `ID.npz` holds either 'labels' (or one array of any name), integers [h, w] or [samples, h, w],
    ids >= 0 and -1 for no region; or 'masks' (or 'segmentation') [n, h, w], each of 0 and one other
    value (1 or 255), which a rule makes a partition. 'scores' (or 'predicted_iou') [n] are scores
    of the n masks, or of regions 0..n-1 of one map. `ID.npy` holds labels. One npz file of many
    images holds the labels of each image under its name.
    """

    kind = "npz"
    score = "scores"

    def __init__(
        self, path: os.PathLike | str, *, like: Iterable[str] = (), rule: Rule | None = None
    ):
        """Lists the images.

        Args:
            path: the folder, the npz file of many images, or `ID.npz` of one image with arrays of
                the names above.
            like: names of the ground truth, see `Names`.
            rule: how masks become a partition; None takes `Rule()`: the mask of higher score on
                top, and all masks take part.

        Raises:
            InputError: the folder or file does not exist, or is empty.
        """
        names = Names(like)
        self._rule = rule or Rule()
        self._file: Mapping[str, np.ndarray] | None = None
        keys: dict[str, Any] = {}
        if epath.Path(path).is_file():
            # It stays open, because the table of a file of 33,000 arrays takes a while to read.
            self._file = load(path)
            if not isinstance(self._file, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: one array without names; put it into a folder as ID.npy")
            keys = {key: key for key in self._file}
            if keys and set(keys) <= _FIELDS and not any(map(names.find, keys)):
                # The path is the file of one image, so its arrays are not images.
                self._file.close()
                self._file, keys = (
                    None,
                    {file_names.as_text(epath.Path(path).stem): epath.Path(path)},
                )
        else:
            for each in listed(path):
                if each.suffix.lower() in SUFFIXES:
                    stem = file_names.as_text(each.stem)
                    if stem in keys:
                        raise InputError(f"{each}: a second file of {stem}; remove one")
                    keys[stem] = each
        table = names.table(keys, os.fspath(path))
        self._items = {name: keys[key] for name, key in table.items()}
        super().__init__(path, list(self._items), str(self._rule))

    def _read(self, name: str) -> PredictedMaps:
        if name not in self._items:
            raise self._missing(name)
        key = self._items[name]
        if self._file is not None:
            labels = array(self._file, key, self.path)
            return PredictedMaps(label_maps(labels, f"{self.path}: {key}"))
        loaded = load(key)
        if isinstance(loaded, np.ndarray):
            return PredictedMaps(label_maps(loaded, os.fspath(key)))
        with loaded as file:
            return self._of_file({each: array(file, each, key) for each in file}, os.fspath(key))

    def _of_file(self, arrays: dict[str, np.ndarray], where: str) -> PredictedMaps:
        if "levels" in arrays:
            raise InputError(f"{where}: holds levels; open all such files with kind=levels")
        scores = None
        if key := next((key for key in _SCORES if key in arrays), None):
            self.score, scores = key, arrays.pop(key)
        masks = next((arrays[key] for key in _MASKS if key in arrays), None)
        if masks is not None:
            if masks.ndim != 3 or masks.dtype.kind not in "bui" or not _are_binary(masks):
                raise InputError(
                    f"{where}: masks must be 0 or 1 (or 255) [n, h, w], these are {masks.dtype} "
                    f"{masks.shape}"
                )
            try:
                found = partition(masks, scores, shape=masks.shape[1:], rule=self._rule)
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
            return PredictedMaps((found.labels,), found.scores)
        labels = arrays.get("labels") if len(arrays) != 1 else next(iter(arrays.values()))
        if labels is None:
            raise InputError(
                f"{where}: holds {', '.join(sorted(arrays)) or 'nothing'}; name the map 'labels', "
                "or masks 'masks'"
            )
        maps = label_maps(labels, where)
        if scores is not None and (len(maps) > 1 or scores.shape != (int(maps[0].max()) + 1,)):
            raise InputError(
                f"{where}: scores are {scores.shape}; they must be one a region of a single map"
            )
        return PredictedMaps(maps, None if scores is None else scores.astype(np.float64))


def _are_binary(masks: np.ndarray) -> bool:
    return all(
        mask.min(initial=0) >= 0 and np.all((mask == 0) | (mask == mask.max(initial=0)))
        for mask in masks
    )


def load(path: os.PathLike | str) -> Any:
    """Reads a file with numpy; raises `InputError` if numpy cannot read it."""
    try:
        # Opened by name, so that numpy closes the file with the archive.
        return np.load(os.fspath(path), allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: {_reason(error)}; write it with numpy.savez") from None


def array(file: Mapping[str, np.ndarray], key: str, path: os.PathLike | str) -> np.ndarray:
    """Reads one array of an npz file; raises `InputError` if it is damaged."""
    try:
        return file[key]
    except Exception as error:  # zipfile, zlib and numpy raise various things on damaged bytes
        raise InputError(f"{path}: {key}: {_reason(error)}; write it with numpy.savez") from None


def _reason(error: Exception) -> str:
    if "pickle" in str(error):
        return "holds Python objects or is no numpy file, and is not loaded"
    return f"damaged ({' '.join(str(error).split())[:120] or type(error).__name__})"


def label_maps(labels: np.ndarray, where: str) -> tuple[np.ndarray, ...]:
    """Int32 maps from an array [h, w] or [n, h, w]; raises `InputError` if they are not labels."""
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "iub" or not labels.size:
        raise InputError(
            f"{where}: a map must be integers [h, w] or [samples, h, w], this is {labels.dtype} "
            f"{labels.shape}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < -1 or high >= 2**31:
        raise InputError(f"{where}: ids {low} to {high} are outside -1..2^31-1; renumber them")
    return tuple(labels.reshape(-1, *labels.shape[-2:]).astype(np.int32))
