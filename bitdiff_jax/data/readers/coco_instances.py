"""COCO instances: things as polygons or RLE; the rest of the picture is not annotated.

ROOT/annotations/instances_train2017.json, instances_val2017.json
ROOT/train2017/*.jpg                or ROOT/images/train2017/
"""

import os
from typing import Any, Literal

import numpy as np
from etils import epath

from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import coco_items, coco_json, json_values, listed, overlaps, runs


class CocoInstancesReader(coco_items.CocoReader):
    """Random access to COCO instances; region k is the k-th annotation of the picture, from 1.

    A crowd, members of which may be annotated one by one too, lies below everything else. Pictures
    without annotations are there, their map is ignored throughout.
    """

    kind = "coco_instances"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        order: overlaps.Order = "smaller",
        zero: listed.Zero = "ignore",
        crowd: Literal["ignore", "region"] = "ignore",
        year: str | int = "2017",
    ):
        """Reads the annotation files.

        Args:
            root: the folder.
            split: 'train' or 'val'; None for all pictures.
            order: which annotation has a pixel of several. The order of the file means nothing in
                COCO, and what lies on or before something else is mostly the 'smaller' one of the
                two; 'later' and 'earlier' are by the file.
            zero: what pixels without annotation are: 'ignore' (-1) or one 'region', with id 0, or
                such a 'background'.
            crowd: what a group of things is that were not told apart (`iscrowd`): 'ignore' or a
                'region' like others.
            year: what follows the split in names of files and folders.

        Raises:
            InputError: files or folders are missing, an annotation file is not as it should be, an
                unknown split or option.
        """
        listed.check_choice("order", order, overlaps.ORDERS)
        listed.check_zero(zero)
        listed.check_choice("crowd", crowd, ("ignore", "region"))
        self._order: overlaps.Order = order
        self._zero: listed.Zero = zero
        self._crowd = crowd
        root = epath.Path(root)
        files = coco_items.annotation_files(root, "instances", split, str(year))
        indices = [coco_json.Index(path, "segmentation") for path in files.values()]
        options = {"order": order, "zero": zero, "crowd": crowd, "year": year}
        super().__init__(split, indices, options)
        self._images = [coco_items.image_folder(root, f"{part}{year}") for part in files]

    @classmethod
    def splits(cls, root: os.PathLike | str, year: str | int = "2017") -> tuple[str, ...]:
        """The splits whose annotation file is there; `InputError` if there is none."""
        return coco_items.splits(root, "instances", str(year))

    @property
    def unlabelled(self) -> str:
        """What pixels without a region were taken for, and why."""
        rest = f"are {listed.of_zero(self._zero)}"
        crowd = "regions, as asked for" if self._crowd == "region" else "ignored"
        return (
            f"pixels of no instance {rest}: COCO annotates things of 80 classes, not what is "
            f"around them; crowds, whose members were not told apart, are {crowd}"
        )

    def _image(self, part: int, name: str) -> epath.Path:
        return epath.Path(self._images[part]) / name

    def _labels(
        self, part: int, annotations: list[dict[str, Any]], height: int, width: int, name: str
    ) -> np.ndarray:
        where = f"{self._indices[part].path}: {name}"
        things, crowds = [], []
        for number, each in enumerate(annotations, start=1):
            pixels = runs.of_annotation(each, height, width, where)
            field = f"{where}: annotation {each.get('id')}: iscrowd"
            if not json_values.flag(each.get("iscrowd"), field):
                things.append((number, pixels))
            else:
                crowds.append((number if self._crowd == "region" else IGNORE, pixels))
        uncovered = IGNORE if self._zero == "ignore" else 0
        ordered = overlaps.ordered(crowds, self._order) + overlaps.ordered(things, self._order)
        return overlaps.paint(ordered, height, width, uncovered=uncovered)
