"""PASCAL VOC: objects of 20 classes, with a border of undecided pixels around each."""

import os
from typing import Literal

import numpy as np
from etils import epath

from bitdiff_jax.data import images
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import listed
from bitdiff_jax.errors import InputError

_EXPECTED = "VOCdevkit/VOC2012 with JPEGImages, SegmentationObject and ImageSets/Segmentation"
_NEEDED = ("JPEGImages", "SegmentationObject")
_BORDER = 255


class VOCReader(listed.ListedReader):
    """`JPEGImages/ID.jpg`, `SegmentationObject/ID.png` and `ImageSets/Segmentation/SPLIT.txt`.

    The maps are palette PNGs: 1, 2, ... for the objects, 255 for the border around them and what
    was too hard, which is ignored, and 0 for all the rest. The rest is of no class of the 20, not
    one thing: it is ignored too unless `zero='region'`.
    """

    kind = "voc"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        zero: Literal["ignore", "region"] = "ignore",
    ):
        """Reads the list of the split, or lists SegmentationObject.

        Args:
          root: VOC2012 (or another year), or VOCdevkit or its folder with only one year in it.
          split: 'train', 'val', 'trainval', or another file in ImageSets/Segmentation; None for
            every picture that has a map.
          zero: 'ignore', or 'region' for the background as one region with id 0.

        Raises:
          InputError: another layout, an unknown split, a name in it without a map.
        """
        listed.check_choice("zero", zero, ("ignore", "region"))
        base = _base(root)
        self.zero = zero
        maps = _stems(base / "SegmentationObject", ".png")
        names = maps
        if split is not None:
            listed.check_split(root, split, _lists(base))
            names = _names(base, split)
            listed.require_all(names, maps, base / "SegmentationObject", "{}.png")
        items = [
            (name, f"JPEGImages/{name}.jpg", f"SegmentationObject/{name}.png") for name in names
        ]
        super().__init__(base, items, {"zero": zero})

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        border = "the border of objects (255) is ignored as undecided"
        if self.zero == "region":
            return f"the background (0) is one region, as asked for; {border}"
        return f"the background (0) is ignored, because it is not one thing; {border}"

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The lists whose pictures have maps, without trainval where it is train and val."""
        base = _base(root)
        maps = set(_stems(base / "SegmentationObject", ".png"))
        found = [each for each in _lists(base) if maps.intersection(_names(base, each))]
        if "train" in found and "val" in found:
            found = [each for each in found if each != "trainval"]
        return tuple(sorted(found, key=lambda each: (each not in ("train", "val"), each)))

    def _read(self, *paths: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        image_path, map_path = paths
        image = images.read_image(image_path)
        ids = images.read_labels(map_path)
        listed.check_size(image, image_path, ids, map_path)
        ignored = ids == _BORDER
        if self.zero == "ignore":
            ignored |= ids == 0
        return image, (np.where(ignored, np.int32(IGNORE), ids),)


def _base(root: os.PathLike | str) -> epath.Path:
    years = [
        f"{place}{path.name}"
        for place in ("", "VOCdevkit/")
        for path in listed.entries(epath.Path(root) / place)
        if path.name.startswith("VOC2")
    ]
    if len(years) > 1:
        raise InputError(f"{os.fspath(root)}: holds {' and '.join(years)}; name one of them")
    return listed.find_base(root, ("", *years), _NEEDED, _EXPECTED)


def _stems(folder: epath.Path, suffix: str) -> list[str]:
    return [path.stem for path in listed.entries(folder) if path.suffix == suffix]


def _lists(base: epath.Path) -> list[str]:
    return _stems(base / "ImageSets" / "Segmentation", ".txt")


def _names(base: epath.Path, split: str) -> list[str]:
    path = base / "ImageSets" / "Segmentation" / f"{split}.txt"
    try:
        names = path.read_text().split()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text; copy or download it again") from None
    if not names:
        raise InputError(f"{path}: names no picture; copy or download it again")
    return names
