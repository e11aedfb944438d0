"""ADE20K, the full set of 2021: every object outlined, with parts."""

import os

import numpy as np
from etils import epath

from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import listed, listing, other_layouts
from bitdiff_jax.errors import InputError

_EXPECTED = (
    "ADE20K_2021_17_01 with images/ADE/{training,validation}/CATEGORY/SCENE/NAME.jpg and "
    "NAME_seg.png"
)
_MASK = "_seg"
# Ids of objects and of each level of parts; eight ranges fit the 24 bits of a colour PNG.
_RANGE = 1 << 21
MAX_PARTS = 6


class ADE20KReader(listed.ListedReader):
    """`images/ADE/{training,validation}/**/NAME.jpg` beside `NAME_seg.png`, `NAME_parts_K.png`.

    In a mask the class is R // 10 * 256 + G and the object B, so a region is one combination of
    class and object: its id is class * 256 + B. Where both are 0 nothing was annotated, and the
    pixels are ignored. Whole objects are the regions unless `parts` is given. The release of 2016,
    which has the folders right under images/, has the same masks and is read too.
    """

    kind = "ade20k"

    def __init__(self, root: os.PathLike | str, split: str | None = None, *, parts: int = 0):
        """Lists the folders.

        Args:
            root: ADE20K_2021_17_01, or the folder it is in.
            split: 'training' or 'validation'; None for both.
            parts: levels of parts that become regions of their own, cut out of their objects: 0 for
                whole objects, 1 for their parts (a door of a house), 2 for parts of parts, ...

        Raises:
            InputError: another layout, an unknown split, a mask without its picture.
        """
        listed.check_choice("parts", parts, range(MAX_PARTS + 1))
        base = _base(root)
        known = self.splits(root)
        listed.check_split(root, split, known)
        self.parts = parts
        items: list[listed.Item] = []
        for each in known if split is None else (split,):
            items += _walk(base / each, each, parts)
        if not items:
            raise InputError(
                f"{os.fspath(base)}: holds no NAME_seg.png; expected {_EXPECTED}"
                f"{other_layouts.hint(root, self.kind)}"
            )
        super().__init__(base, items, {"parts": parts})

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        return "pixels of no object (class and object 0) were not annotated and are ignored"

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """Those of training and validation that exist."""
        base = _base(root)
        return tuple(each for each in ("training", "validation") if (base / each).is_dir())

    def _read(self, *paths: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        image_path, mask_path, *part_paths = paths
        image = images.read_image(image_path)
        ids = np.full(image.shape[:2], IGNORE, np.int32)
        for level, path in enumerate((mask_path, *part_paths)):
            found = decode(images.read_colour_codes(path))
            listed.check_size(image, image_path, found, path)
            np.copyto(ids, found + level * _RANGE, where=found > 0)
        return image, (ids,)


def decode(mask: np.ndarray) -> np.ndarray:
    """Colours of a mask to ids.

    Args:
        mask: uint8 [h, w, 3].

    Returns:
        int32 [h, w], class * 256 + object, class = R // 10 * 256 + G and object = B; 0 = neither.
    """
    red, green, blue = np.moveaxis(mask.astype(np.int32), -1, 0)
    return (red // 10 * 256 + green) * 256 + blue


def _base(root: os.PathLike | str) -> epath.Path:
    places = ("", "ADE20K_2021_17_01", "ADE20K_2016_07_26")
    candidates = [f"{place}/images{ade}".lstrip("/") for place in places for ade in ("/ADE", "")]
    # Not everybody keeps the training pictures.
    for candidate in candidates:
        base = epath.Path(root) / candidate
        if any((base / each).is_dir() for each in ("training", "validation")):
            return base
    return listed.find_base(
        root, ("images",), ("training", "validation"), _EXPECTED, ADE20KReader.kind
    )


def _walk(folder: epath.Path, relative: str, parts: int) -> list[listed.Item]:
    """The items in a folder and those below it, whose paths begin with `relative`."""
    masks = listing.by_ending(folder, _MASK, images.LABEL_SUFFIXES)
    pictures = listing.by_ending(folder, "", images.IMAGE_SUFFIXES - images.LABEL_SUFFIXES)
    known = file_names.NameTable(pictures)
    listed.require_all(masks, known, folder, "{}.jpg")
    levels = [
        listing.by_ending(folder, f"_parts_{level}", images.LABEL_SUFFIXES)
        for level in range(1, parts + 1)
    ]
    items: list[listed.Item] = []
    for name, mask in masks.items():
        below = (level[name] for level in levels if name in level)
        files = (pictures[known.find(name) or name], mask, *below)
        items.append((name, *(f"{relative}/{file}" for file in files)))
    # A folder called like a picture has one mask for each of its objects, a million in all.
    for path in listing.entries(folder):
        if "." not in path.name and known.find(path.name) is None and path.is_dir():
            items += _walk(path, f"{relative}/{path.name}", parts)
    return items
