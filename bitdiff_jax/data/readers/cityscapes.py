"""Cityscapes, the fine annotations: street scenes with objects, surfaces and void."""

import os
from typing import Literal

import numpy as np
from etils import epath
from scipy import ndimage

from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import listed, listing
from bitdiff_jax.errors import InputError

_EXPECTED = (
    "gtFine/{train,val}/CITY/*_gtFine_instanceIds.png and "
    "leftImg8bit/{train,val}/CITY/*_leftImg8bit.png, of gtFine_trainvaltest.zip and "
    "leftImg8bit_trainvaltest.zip"
)
_TRUTH = "_gtFine_instanceIds"
_IMAGE = "_leftImg8bit"
# Classes by the labels of the authors' scripts: 0..6 is void, 7..23 has no instances, 24..33 has.
_STUFF = slice(7, 24)
_THINGS = slice(24, 34)
_INSTANCES = slice(24_000, 34_000)
_PIECES = 40_000
_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class CityscapesReader(listed.ListedReader):
    """`leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` and `gtFine/SPLIT/CITY/*_gtFine_instanceIds.png`.

    The 16-bit map has class * 1000 + number where an object of classes 24 to 33 (people, vehicles)
    was told apart, and the class elsewhere. Regions keep these numbers as ids:

    - an object is one region, also where something in front cuts it in two;
    - a class without instances (road, sky, poles) is one region however many pieces it has, which
      is what a COCO panoptic map does too; `stuff='connected'` makes each piece a region;
    - a group, objects that the annotators could not tell apart, is ignored: it is not one object,
      and nobody knows where its members meet; `groups='region'` makes it a region;
    - void is ignored: classes 0 to 6, such as the ego vehicle, the border of rectification and
      what has no class.

    Names are like aachen_000000_000019. The test split has no public annotation, so it is no split
    here.
    """

    kind = "cityscapes"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        stuff: Literal["class", "connected"] = "class",
        groups: Literal["ignore", "region"] = "ignore",
    ):
        """Lists the folders.

        Args:
            root: the folder with gtFine and leftImg8bit.
            split: 'train' or 'val'; None for both.
            stuff: 'class' or 'connected' (8-connected pieces).
            groups: 'ignore' or 'region'.

        Raises:
            InputError: another layout, an unknown split, an annotation without its picture.
        """
        listed.check_choice("stuff", stuff, ("class", "connected"))
        listed.check_choice("groups", groups, ("ignore", "region"))
        base = _base(root)
        known = self.splits(root)
        if split == "test":
            raise InputError(
                f"{os.fspath(root)}: the annotations of test are not public, its files are void "
                f"throughout; use {' or '.join(known) or 'train or val'}"
            )
        listed.check_split(root, split, known)
        self.stuff, self.groups = stuff, groups
        items: list[listed.Item] = []
        for each in known if split is None else (split,):
            for city in listing.entries(base / "gtFine" / each):
                items += _city(base, f"{each}/{city.name}")
        super().__init__(base, items, {"stuff": stuff, "groups": groups})

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        groups = " and groups of objects nobody told apart" if self.groups == "ignore" else ""
        return f"void{groups}: ignored, because they are not one region"

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """Those of train and val that exist."""
        folder = _base(root) / "gtFine"
        return tuple(each for each in ("train", "val") if (folder / each).is_dir())

    def _read(self, *paths: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        image_path, truth_path = paths
        image = images.read_image(image_path)
        numbers = images.read_labels(truth_path)
        listed.check_size(image, image_path, numbers, truth_path)
        if int(numbers.max()) >= 1 << 16:
            raise InputError(f"{truth_path}: has numbers beyond 16 bits; download it again")
        ids = _table(self.groups)[numbers]
        return image, (_pieces(ids) if self.stuff == "connected" else ids,)


def _table(groups: str) -> np.ndarray:
    """Number in the file -> region id, int32 [65536]."""
    numbers = np.arange(1 << 16, dtype=np.int32)
    table = np.full_like(numbers, IGNORE)
    for kept in (_STUFF, _INSTANCES, *((_THINGS,) if groups == "region" else ())):
        table[kept] = numbers[kept]
    return table


def _pieces(ids: np.ndarray) -> np.ndarray:
    """Gives each connected piece of a class without instances an id of its own."""
    result, free = ids.copy(), _PIECES
    for number in np.unique(ids):
        if _STUFF.start <= number < _STUFF.stop:
            pieces, count = ndimage.label(ids == number, _EIGHT_NEIGHBOURS)
            np.copyto(result, pieces + (free - 1), where=pieces > 0, casting="unsafe")
            free += count
    return result


def _base(root: os.PathLike | str) -> epath.Path:
    return listed.find_base(
        root, ("",), ("gtFine", "leftImg8bit"), _EXPECTED, CityscapesReader.kind
    )


def _city(base: epath.Path, place: str) -> list[listed.Item]:
    truths = listing.by_ending(base / "gtFine" / place, _TRUTH, images.LABEL_SUFFIXES)
    folder = base / "leftImg8bit" / place
    pictures = listing.by_ending(folder, _IMAGE, images.IMAGE_SUFFIXES)
    known = file_names.NameTable(pictures)
    listed.require_all(truths, known, folder, f"{{}}{_IMAGE}.png")
    return [
        (
            name,
            f"leftImg8bit/{place}/{pictures[known.find(name) or name]}",
            f"gtFine/{place}/{truth}",
        )
        for name, truth in truths.items()
    ]
