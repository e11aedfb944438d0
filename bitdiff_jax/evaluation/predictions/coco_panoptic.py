"""COCO panoptic predictions: PNGs of segment ids, and a JSON file that describes the segments.

    {"annotations": [{"image_id": 139, "file_name": "000000000139.png",
                      "segments_info": [{"id": 3937500, "category_id": 1}, ...]}, ...]}

R + 256 G + 65536 B of a pixel is the id of its segment, and 0 is void. `evaluation.py` of
panopticapi reads this form; detectron2 (`predictions.json`), mmdetection (`PREFIX.panoptic.json`)
and the tools around DETR, Mask2Former and OneFormer write it. See
https://cocodataset.org/#format-results.
"""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from bitdiff_jax.data.labelmaps import renumber
from bitdiff_jax.data.readers import json_values
from bitdiff_jax.data.readers.coco_panoptic import read_segment_ids
from bitdiff_jax.data.readers.json_values import file_name
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.json_index import Records
from bitdiff_jax.evaluation.predictions.masks_to_partition import UNASSIGNED
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps, Predictions

_VOID = 0


class CocoPanoptic(Predictions):
    """Segments of COCO panoptic PNGs; their classes are not used.

    Void, and segments with iscrowd 1, which hold several things, are no region: -1. A segment that
    is listed but has no pixel is no region. Regions are numbered by ascending id. Where all
    segments of an image have a 'score', as those of detectron2's panoptic FPN and of Hugging Face's
    post-processing do, these are the scores of the regions.
    """

    kind = "coco_panoptic"

    def __init__(
        self,
        path: os.PathLike | str,
        *,
        pngs: os.PathLike | str | None = None,
        like: Iterable[str] = (),
    ):
        """Reads the JSON file once.

        Args:
            path: the JSON file.
            pngs: the folder of PNGs. None looks for the first PNG in a folder beside the file that
                has its name without '.json', as panopticapi does, then in such a folder beside the
                file's folder, as COCO's own annotations/ and panoptic_val2017/ are, and then beside
                the file.
            like: names of the ground truth, see `Names`.

        Raises:
            InputError: the file does not exist, is not JSON or of another kind, an image has two
                annotations, or there is no folder with the PNGs.
        """
        self._records = Records(path, note="file_name")
        file = self._records.path
        first = self._records.first
        if first is not None and "segments_info" not in first:
            raise InputError(f"{file}: annotations need 'segments_info'; name a COCO panoptic file")
        files: dict[str, Any] = {}
        for image_id in self._records.image_ids:
            written, *others = self._records.notes[image_id]
            where = f"{file}: image_id {image_id!r}"
            name = file_name(written, f"{where}: file_name")
            if others or name in files:
                raise InputError(
                    f"{where} needs one annotation with a file_name of its own, this one is "
                    f"{name!r}"
                )
            files[name] = image_id
        self._files = Names(like).table(files, file)
        self._ids = files
        super().__init__(path, list(self._files))
        self._folder = _folder(file, next(iter(files)), pngs)

    def _read(self, name: str) -> PredictedMaps:
        if name not in self._files:
            raise self._missing(name)
        file = self._files[name]
        (record,) = self._records.of(self._ids[file])
        segments = _segments(record, f"{self.path}: {file}")
        path = self._folder / file
        ids, numbers = renumber(read_segment_ids(path))
        unknown = [each for each in ids.tolist() if each not in segments and each != _VOID]
        if unknown:
            raise InputError(
                f"{path}: has segment {unknown[0]}, which {self.path} does not list; take the PNGs "
                "and the JSON file of one run"
            )
        kept = [i for i, each in enumerate(ids.tolist()) if _is_region(each, segments)]
        table = np.full(len(ids), UNASSIGNED, np.int32)
        table[kept] = np.arange(len(kept))
        scores = [segments[int(ids[i])].score for i in kept]
        known = [each for each in scores if each is not None]
        complete = bool(known) and len(known) == len(scores)
        return PredictedMaps((table[numbers],), np.array(known, np.float64) if complete else None)


class _Segment(NamedTuple):
    is_crowd: bool
    score: float | None


def _is_region(segment: int, segments: dict[int, _Segment]) -> bool:
    return segment in segments and segment != _VOID and not segments[segment].is_crowd


def _segments(record: dict[str, Any], where: str) -> dict[int, _Segment]:
    segments: dict[int, _Segment] = {}
    for segment, each, place in json_values.segments(record, where):
        score = each.get("score")
        segments[segment] = _Segment(
            json_values.flag(each.get("iscrowd"), f"{place}.iscrowd"),
            None if score is None else json_values.number(score, f"{place}.score"),
        )
    return segments


def _folder(path: str, file: str, pngs: os.PathLike | str | None) -> epath.Path:
    beside = epath.Path(path)
    folder, name = beside.parent, beside.stem
    places = [folder / name, folder / ".." / name, folder] if pngs is None else [epath.Path(pngs)]
    for place in places:
        if (place / file).exists():
            return place
    tried = " or ".join(os.fspath(place) for place in places)
    raise InputError(f"{path}: its {file} is not in {tried}; name the folder of its PNGs (pngs=)")
