"""COCO results: what detectors write, a list of masks with scores.

    [{"image_id": 139, "category_id": 1, "bbox": [x, y, w, h], "score": 0.98,
      "segmentation": {"size": [h, w], "counts": "..."}}, ...]

detectron2's `COCOEvaluator` writes it as `inference/coco_instances_results.json` (Mask R-CNN,
Mask2Former, CropFormer), mmdetection as `PREFIX.segm.json`; https://cocodataset.org/#format-results.
A whole COCO annotation file with masks is read too.
"""

import os
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from bitdiff_jax.data.readers import runs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.json_index import Records
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule, partition_of_runs
from bitdiff_jax.evaluation.predictions.reader import Drawn, Predictions


class CocoResults(Predictions):
    """Masks of a COCO file, made into a partition by a rule; classes play no part.

    Masks with iscrowd 1 are left out: they are of several things and not one region.
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
          images: a COCO annotation file that lists the pictures of the ids (`file_name`, `height`,
            `width`). A picture in which nothing was found is not in the results: it has a
            prediction (of no region) only if it is listed here. None takes the list in `path`
            itself, or else the id for the name.
          like: names of the ground truth, which are taken where they fit, as
            'val2017/000000000139.jpg' does for the id 139.
          rule: `Rule()` if None: the surer mask on top, all take part.

        Raises:
          InputError: no such file, not JSON, results without masks, an id that `images` does not
            list, or no prediction.
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
        self._shapes: dict[Hashable, tuple[int, int]] = {}
        if listed is None:
            self._ids = names.table(self._records.image_ids, self._records.path)
        else:
            unknown = [each for each in self._records.image_ids if each not in listed]
            if unknown:
                raise InputError(
                    f"{self._records.path}: image_id {unknown[0]!r} is not among the "
                    f"{len(listed)} pictures of {images or 'its own list'}; name their file"
                )
            files = {str(each.get("file_name", key)): key for key, each in listed.items()}
            where = os.fspath(images or path)
            if len(files) < len(listed):
                raise InputError(f"{where}: two pictures have one file_name; remove one")
            self._ids = {name: files[file] for name, file in names.table(files, where).items()}
            for key, each in listed.items():
                if shape := _shape(each):
                    self._shapes[key] = shape
        super().__init__(path, list(self._ids), str(self._rule))

    def _read(self, name: str) -> Drawn:
        if name not in self._ids:
            raise self._missing(name)
        image_id = self._ids[name]
        records = self._records.of(image_id)
        where = f"{self.path}: image {image_id}"
        return drawn_of(records, where, self._rule, self._shapes.get(image_id))


def drawn_of(
    records: list[dict[str, Any]],
    where: str,
    rule: Rule,
    shape: tuple[int, int] | None = None,
    score_key: str = "score",
) -> Drawn:
    """The partition of one picture's records with RLE.

    Raises:
      InputError: masks of several sizes, damaged RLE, scores on some records alone.
    """
    masks: list[np.ndarray] = []
    scores: list[Any] = []
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(f"{where}, mask {number}: is no record with 'segmentation'")
        if record.get("iscrowd"):
            continue
        segmentation = record.get("segmentation")
        size = segmentation.get("size") if isinstance(segmentation, dict) else None
        if shape is None and _is_size(size):
            shape = int(size[0]), int(size[1])  # type: ignore[index]
        if shape is None:
            raise InputError(
                f"{where}, mask {number}: segmentation has no size [h, w]; write RLE, or name the "
                "file that lists the pictures"
            )
        try:
            masks.append(runs.runs(segmentation, *shape))
        except InputError as error:
            raise InputError(f"{where}, mask {number}: {error}") from None
        scores.append(record.get(score_key))
    if len({each is None for each in scores}) > 1:
        raise InputError(f"{where}: some of its masks have no {score_key!r}; write all or none")
    if shape is None:
        return Drawn((), np.zeros(0))
    unscored = bool(scores) and scores[0] is None
    try:
        found = partition_of_runs(masks, None if unscored else scores, shape, rule=rule)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Drawn((found.labels,), found.scores)


def _is_size(size: Any) -> bool:
    return (
        isinstance(size, list)
        and len(size) == 2
        and all(type(side) is int and 0 < side < 2**20 for side in size)
    )


def _shape(image: dict[str, Any]) -> tuple[int, int] | None:
    size = [image.get("height"), image.get("width")]
    return (size[0], size[1]) if _is_size(size) else None  # type: ignore[return-value]
