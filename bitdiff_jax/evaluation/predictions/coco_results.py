"""COCO results: what detectors write, a list of masks with scores.

    [{"image_id": 139, "category_id": 1, "bbox": [x, y, w, h], "score": 0.98,
      "segmentation": {"size": [h, w], "counts": "..."}}, ...]

detectron2's `COCOEvaluator` writes it as `inference/coco_instances_results.json` (Mask R-CNN,
Mask2Former, CropFormer), mmdetection as `PREFIX.segm.json`; https://cocodataset.org/#format-results.
A whole COCO annotation file with masks is read too.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bitdiff_jax.data.readers import json_values, runs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.json_index import Records
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule, partition_of_runs
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions


class CocoResults(Predictions):
    """Masks of a COCO file, made into a partition by a rule; their classes are not used.

    Masks with iscrowd 1 are left out, because they hold several things.
    """

    kind = "coco_results"

    def __init__(
        self,
        path: os.PathLike | str,
        *,
        images: os.PathLike | str | None = None,
        like: Iterable[str] = (),
        rule: Rule | None = None,
    ):
        """Reads the file once.

        Args:
            path: the JSON file.
            images: a COCO annotation file that lists the images of the ids (`file_name`,
                `height`, `width`). An image in which nothing was found is not in the results: it
                has a prediction (of no region) only if it is listed here. None takes the list in
                `path` itself, or the id as the name if there is no list.
            like: names of the ground truth, which are taken where they fit, as
                'val2017/000000000139.jpg' does for the id 139.
            rule: how masks become a partition; None takes `Rule()`: the mask of higher score on
                top, and all masks take part.

        Raises:
            InputError: the file does not exist or is not JSON, results have no masks, `images` does
                not list an id, or there is no prediction.
        """
        self._records = Records(path)
        self._rule = rule or Rule()
        first = self._records.first
        if first is not None and "segmentation" not in first:
            holds = "boxes" if "bbox" in first else "no masks"
            raise InputError(
                f"{self._records.path}: holds {holds}: records need 'segmentation'; "
                "write the results of masks (detectron2: task segm)"
            )
        listed = self._records.images
        if images is not None:
            listed = Records(images).images
            if listed is None:
                raise InputError(f"{images}: has no list 'images'; name a COCO annotation file")
        names = Names(like)
        self._shapes: dict[int | str, tuple[int, int]] = {}
        if listed is None:
            self._ids = names.table(self._records.image_ids, self._records.path)
        else:
            where = os.fspath(images or path)
            ids = _listed_as(listed, self._records, where)
            files = {str(each.get("file_name", key)): ids[key] for key, each in listed.items()}
            if len(files) < len(listed):
                raise InputError(f"{where}: two images have one file_name; remove one")
            self._ids = {name: files[file] for name, file in names.table(files, where).items()}
            for key, each in listed.items():
                if shape := _shape(each, f"{where}: image {key!r}"):
                    self._shapes[ids[key]] = shape
        super().__init__(path, list(self._ids), str(self._rule))

    def _read(self, name: str) -> PredictedMaps:
        if name not in self._ids:
            raise self._missing(name)
        image_id = self._ids[name]
        records = self._records.of(image_id)
        where = f"{self.path}: image {image_id!r}"
        return drawn_of(records, where, self._rule, self._shapes.get(image_id))


def drawn_of(
    records: list[dict[str, Any]],
    where: str,
    rule: Rule,
    shape: tuple[int, int] | None = None,
    score_key: str = "score",
) -> PredictedMaps:
    """The partition of one image's records with RLE.

    Raises:
        InputError: masks differ in size, RLE is damaged, or only some records have scores.
    """
    masks: list[np.ndarray] = []
    scores: list[Any] = []
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(f"{where}, mask {number}: is no record with 'segmentation'")
        if json_values.flag(record.get("iscrowd"), f"{where}, mask {number}: iscrowd"):
            continue
        segmentation = record.get("segmentation")
        if shape is None and isinstance(segmentation, dict):
            shape = runs.mask_size(segmentation.get("size"))
        if shape is None:
            raise InputError(
                f"{where}, mask {number}: segmentation has no size [h, w]; write RLE, or name the "
                "file that lists the pictures"
            )
        try:
            masks.append(runs.runs(segmentation, *shape))
        except InputError as error:
            raise InputError(f"{where}, mask {number}: {error}") from None
        score = record.get(score_key)
        field = f"{where}, mask {number}: {score_key}"
        scores.append(None if score is None else json_values.number(score, field))
    if len({each is None for each in scores}) > 1:
        raise InputError(f"{where}: some of its masks have no {score_key!r}; write all or none")
    if shape is None:
        return PredictedMaps((), np.zeros(0))
    unscored = bool(scores) and scores[0] is None
    try:
        found = partition_of_runs(masks, None if unscored else scores, shape, rule=rule)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return PredictedMaps((found.labels,), found.scores)


def _listed_as(
    listed: Mapping[int | str, Any], records: Records, where: str
) -> dict[int | str, int | str]:
    """The id in the records of each id in the list of images; one may be 139 and one '000139'."""
    table = json_values.IdTable({key: key for key in listed})
    ids = {key: key for key in listed}
    for image_id in records.image_ids:
        key = table.find(image_id)
        if key is None:
            such = f", which has such as {next(iter(listed))!r}" if listed else ""
            raise InputError(
                f"{records.path}: image_id {image_id!r} is not among the {len(listed)} images that "
                f"{where} lists{such}; name the COCO file that lists them"
            )
        if ids[key] != key and ids[key] != image_id:
            raise InputError(
                f"{records.path}: image_id {ids[key]!r} and {image_id!r} are both image {key!r} "
                f"of {where}; write one of them"
            )
        ids[key] = image_id
    return ids


def _shape(image: dict[str, Any], where: str) -> tuple[int, int] | None:
    """The size (h, w) of an image in the list; None where it is not given."""
    if image.get("height") is None or image.get("width") is None:
        return None
    height, width = (
        json_values.whole_number(image[side], f"{where}: {side}", 1, 2**20)
        for side in ("height", "width")
    )
    return height, width
