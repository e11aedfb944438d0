"""PASCAL VOC: objects of 20 classes, with a border of undecided pixels around each."""

import os
from collections.abc import Container, Sequence

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import listed, listing
from bitdiff_jax.errors import InputError

_EXPECTED = "VOCdevkit/VOC2012 with JPEGImages, SegmentationObject and ImageSets/Segmentation"
_NEEDED = ("JPEGImages", "SegmentationObject")
_BORDER = 255


class VOCReader(listed.ListedReader):
    """`JPEGImages/ID.jpg`, `SegmentationObject/ID.png` and `ImageSets/Segmentation/SPLIT.txt`.

    The maps are palette PNGs, or files of another lossless form: 1, 2, ... for the objects, 255 for
    the border around them and what was too hard, which is ignored, and 0 for all the rest. The rest
    is of no class of the 20, not one thing: it is ignored too unless `zero` says otherwise.
    """

    kind = "voc"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        zero: listed.Zero = "ignore",
    ):
        """Reads the list of the split, or lists SegmentationObject.

        Args:
            root: VOC2012 (or another year), or VOCdevkit or its folder with only one year in it.
            split: 'train', 'val', 'trainval', or another file in ImageSets/Segmentation; None for
                every picture that has a map.
            zero: 'ignore', or 'region' for the rest as one region with id 0, or 'background' for
                one that is flagged as what it is.

        Raises:
            InputError: another layout, an unknown split, a name in it without a map.
        """
        listed.check_zero(zero)
        base = _base(root)
        self.zero = zero
        maps, table = _maps(base)
        names: Sequence[str] = list(maps)
        if split is not None:
            listed.check_split(root, split, _lists(base))
            names = _names(base, split, table)
            listed.check_list(names, table, _list_path(base, split))
            listed.require_all(names, table, base / "SegmentationObject", "{}.png")
        pictures = _by_stem(base / "JPEGImages", images.IMAGE_SUFFIXES)
        known = file_names.NameTable(pictures)
        items = []
        for name in names:
            picture = pictures.get(known.find(name) or "", f"{name}.jpg")
            truth = maps[table.find(name) or name]
            items.append((name, f"JPEGImages/{picture}", f"SegmentationObject/{truth}"))
        super().__init__(base, items, {"zero": zero})

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        border = "the border of objects (255) is ignored as undecided"
        if self.zero != "ignore":
            return f"the rest (0) is {listed.of_zero(self.zero)}; {border}"
        return f"the background (0) is ignored, because it is not one thing; {border}"

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The lists whose pictures have maps, without trainval where it is train and val.

        Raises:
            InputError: another layout, or a list none of whose pictures has a map; of 'test' the
                authors' set has none.
        """
        base = _base(root)
        _, table = _maps(base)
        found = []
        for each in _lists(base):
            names = _names(base, each, table)
            if any(table.find(name) is not None for name in names):
                found.append(each)
            elif each != "test":
                raise InputError(
                    f"{_list_path(base, each)}: none of its {len(names)} names, such as "
                    f"{names[0]!r}, has a map in {base / 'SegmentationObject'}; correct the list, "
                    "one name without ending a line, or remove it"
                )
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
        for path in listing.entries(epath.Path(root) / place)
        if path.name.startswith("VOC2")
    ]
    if len(years) > 1:
        raise InputError(f"{os.fspath(root)}: holds {' and '.join(years)}; name one of them")
    return listed.find_base(root, ("", *years), _NEEDED, _EXPECTED, VOCReader.kind)


def _by_stem(folder: epath.Path, suffixes: Container[str]) -> dict[str, str]:
    return listing.by_ending(folder, "", suffixes)


def _maps(base: epath.Path) -> tuple[dict[str, str], file_names.NameTable]:
    """The files of SegmentationObject by ID, and their IDs."""
    folder = base / "SegmentationObject"
    maps = {path.stem: path.name for path in listing.label_files(folder)}
    return maps, file_names.NameTable(maps)


def _lists(base: epath.Path) -> list[str]:
    return list(_by_stem(base / "ImageSets" / "Segmentation", {".txt"}))


def _list_path(base: epath.Path, split: str) -> epath.Path:
    return base / "ImageSets" / "Segmentation" / f"{split}.txt"


def _names(base: epath.Path, split: str, maps: file_names.NameTable) -> list[str]:
    """The names of a list: one a line, or several that all have maps."""
    path = _list_path(base, split)
    names: list[str] = []
    # Names in a list may hold the bytes that those of the files do.
    for line in files.read_text(path, errors="surrogateescape").splitlines():
        words = line.split()
        if maps.find(line.strip()) is None and all(maps.find(word) is not None for word in words):
            names += words
        else:
            names.append(line.strip())
    if not names:
        raise InputError(f"{path}: names no picture; copy or download it again")
    return names
