"""Predictions of Segment Anything's automatic mask generator: nested masks, with two scores each.

Its `scripts/amg.py` writes for each image `ID.json`, with `--convert-to-rle`,

    [{"segmentation": {"size": [h, w], "counts": "..."}, "area": ..., "bbox": [...],
      "predicted_iou": ..., "point_coords": ..., "stability_score": ..., "crop_box": ...}, ...]

and otherwise a folder `ID` of masks `0.png`, `1.png`, ... with `metadata.csv`. SA-1B's files have
the same records as 'annotations'. https://github.com/facebookresearch/segment-anything
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names
from bitdiff_jax.data.readers import json_values
from bitdiff_jax.data.readers.masks import read_masks
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import coco_results, json_index
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.masks_to_partition import Partition, Rule, partition
from bitdiff_jax.evaluation.predictions.pngs import listed
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions

# Masks of a whole and of its parts are all there; the whole on top would hide its parts.
RULE = Rule(order="smaller")
SCORE = "predicted_iou"
_TABLE = "metadata.csv"


class Sam(Predictions):
    """Masks of the automatic mask generator, made into a partition by a rule.

    The score of a region is `predicted_iou` of its mask.
    """

    kind = "sam"
    score = SCORE

    def __init__(
        self, path: os.PathLike | str, *, like: Iterable[str] = (), rule: Rule | None = None
    ):
        """Lists the images.

        Args:
            path: a folder of `ID.json`, a folder of folders with `metadata.csv`, or one `ID.json`.
            like: names of the ground truth, see `Names`.
            rule: how masks become a partition; None takes `RULE`: the smaller mask on top.

        Raises:
            InputError: the folder does not exist, or is empty.
        """
        self._rule = rule or RULE
        names = Names(like)
        place = epath.Path(path)
        if place.is_file():
            self._items = {names.name(place.stem): place}
        else:
            found = {_identity(each): each for each in _items(place)}
            table = names.table(found, os.fspath(path))
            self._items = {name: found[key] for name, key in table.items()}
        super().__init__(path, list(self._items), str(self._rule))

    def _read(self, name: str) -> PredictedMaps:
        if name not in self._items:
            raise self._missing(name)
        path = self._items[name]
        if not _is_json(path):
            return _of_folder(path, self._rule)
        found = [
            each
            for kind, each, _, _ in json_index.scan(path)
            if each is not None and kind != "images"
        ]
        return coco_results.drawn_of(found, os.fspath(path), self._rule, score_key=SCORE)


def partition_of(
    masks: Sequence[dict[str, Any]],
    *,
    shape: tuple[int, int] | None = None,
    rule: Rule | None = None,
) -> Partition:
    """The partition of masks in memory, as `generate` returns them for output_mode 'binary_mask'.

    Args:
        masks: records with 'segmentation', bool [h, w], and 'predicted_iou'.
        shape: size (h, w) of the image; needed where there is no mask.
        rule: how masks become a partition; None takes `RULE`: the smaller mask on top.
    """
    scores = [float(each[SCORE]) for each in masks]
    return partition(
        [each["segmentation"] for each in masks], scores, shape=shape, rule=rule or RULE
    )


def _items(folder: epath.Path) -> list[epath.Path]:
    if not folder.is_dir():
        raise InputError(f"{os.fspath(folder)}: no such folder or file; check the path")
    return [each for each in listed(folder) if _is_json(each) or (each / _TABLE).exists()]


def _is_json(path: epath.Path) -> bool:
    return path.suffix.lower() == ".json"


def _identity(path: epath.Path) -> str:
    return file_names.as_text(path.stem if _is_json(path) else path.name)


def _of_folder(folder: epath.Path, rule: Rule) -> PredictedMaps:
    path = folder / _TABLE
    try:
        rows = list(csv.DictReader(io.StringIO(files.read_text(path))))
        table = [(row["id"], json_values.number(row[SCORE], SCORE)) for row in rows]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: not the table that amg.py writes, with id and {SCORE}; write it again"
        ) from None
    if not table:
        return PredictedMaps((), np.zeros(0))
    masks = []
    for name, _ in table:
        mask, *others = read_masks(os.fspath(folder / f"{name}.png"))
        if others:
            raise InputError(f"{folder / name}.png: holds several frames; write a file a mask")
        masks.append(mask)
    try:
        found = partition(masks, [score for _, score in table], rule=rule)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    return PredictedMaps((found.labels,), found.scores)
