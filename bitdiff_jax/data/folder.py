"""Pictures and label maps in a folder: root/images/ID.jpg, root/labels/ID.png, root/splits.json."""

import os
import re
import zlib
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images, labelmaps, zero_readings
from bitdiff_jax.data.readers import listed, listing, other_layouts
from bitdiff_jax.errors import InputError

_ANNOTATOR = re.compile(r"(?P<id>.+)_(?P<annotator>\d+)")


class FolderSource:
    """Random access to a folder of segmented pictures.

    Layout: `root/images/ID.{jpg,png,...}`; `root/labels/ID.png`, or `ID_0.png, ID_1.png, ...` of
    several annotators, or any other lossless form (`images.LABEL_SUFFIXES`); optionally
    `root/splits.json`, `{"train": [ID, ...], ...}`. Items come in
    the order of the split, or sorted by ID without one. `source[i]` is a pure function of i:

        {'name': ID, 'image': uint8 [h, w, 3], 'labels': tuple of int32 [h, w]}

    with ids >= 0 and -1 = ignore, at the pictures' own sizes. Nothing is kept in memory: wrap it in
    `bitdiff_jax.data.resident.Resident` to train on it.
    """

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        zero: listed.Zero | None = None,
    ):
        """Lists the folder; reads up to 64 label maps if `zero` is None.

        Args:
            root: the folder.
            split: a key of splits.json; None for all pictures.
            zero: what id 0 means: 'ignore' (not annotated, becomes -1), 'background' (one region,
                known as what it is) or 'region' (one like others).
                None is 'ignore' as long as 0 covers little; else it must be said.

        Raises:
            InputError: no pictures, a picture without labels or labels without picture, an unknown
                split; or `zero` is None and 0 covers more than 20 % of the label maps.
        """
        if zero is not None:
            listed.check_zero(zero)
        self.root = os.fspath(root)
        self.split = split
        self.zero = zero
        self._items = _list_items(epath.Path(root), split)
        if zero is None:
            check_zero(self)

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The splits that `root/splits.json` lists, in its order; () without that file."""
        path = epath.Path(root) / "splits.json"
        return tuple(_read_splits(path)) if path.exists() else ()

    @classmethod
    def split_names(cls, root: os.PathLike | str, split: str) -> list[str]:
        """The IDs of a split by `root/splits.json` alone; `InputError` if it lists none."""
        return _listed_names(epath.Path(root), split)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"FolderSource({self.root!r}, {self.split!r}, {len(self)} pictures)"

    @property
    def names(self) -> tuple[str, ...]:
        """The IDs, in order."""
        return tuple(name for name, _, _ in self._items)

    @property
    def max_annotators(self) -> int:
        """The most label maps that one picture has."""
        return max(len(labels) for _, _, labels in self._items)

    @property
    def definition(self) -> str:
        """What determines the items, apart from the files' content and the place of the folder."""
        listing = "\n".join(
            f"{name} {' '.join(file_names.as_text(path.rpartition('/')[2]) for path in labels)}"
            for name, _, labels in self._items
        )
        zero = self.zero or "ignore"
        return f"folder zero={zero} {zlib.crc32(listing.encode()):08x}"

    @property
    def has_background(self) -> bool:
        """Whether id 0 is the background of every label map."""
        return self.zero == "background"

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        if self.zero == "background":
            return "id 0 is the background, as asked for"
        if self.zero == "region":
            return "id 0 is a region like the others, as asked for"
        why = "as asked for" if self.zero else "because 0 covers little of the label maps"
        return f"id 0 is taken for not annotated and ignored, {why}"

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} pictures")
        name, image_path, label_paths = self._items[index]
        image = images.read_image(image_path)
        labels = tuple(self.read_ids(path) for path in label_paths)
        for ids, path in zip(labels, label_paths, strict=True):
            listed.check_size(image, image_path, ids, path)
        return {"name": name, "image": image, "labels": labels}

    def read_ids(self, path: str) -> np.ndarray:
        """One label map as int32 [h, w], with id 0 treated as `zero` says."""
        ids = images.read_labels(path)
        ignores = self.zero in (None, "ignore")
        return np.where(ids == 0, labelmaps.IGNORE, ids) if ignores else ids

    @property
    def file_pairs(self) -> tuple[tuple[str, str], ...]:
        """The file of each label map, after that of its picture, in the order of the items."""
        return tuple((image, path) for _, image, paths in self._items for path in paths)


def check_zero(source: FolderSource) -> float:
    """Estimates the share of pixels with id 0 from up to 64 label maps, spread evenly.

    Returns:
        The share, in 0..1.

    Raises:
        InputError: it is more than 20 % and the source was not told what 0 means. Taken for
            ignored, a real region would silently be left out of training.
    """
    pairs = source.file_pairs
    zeros = zero_readings.measure(len(pairs), lambda k: (images.read_labels(pairs[k][1]),))
    if source.zero is None and zeros.share > zero_readings.SHARE:
        image, labels = pairs[zeros.typical]
        raise zero_readings.question(
            source.root, zeros.share, images.read_labels(labels), images.read_image(image)
        )
    return zeros.share


def _list_items(root: epath.Path, split: str | None) -> list[tuple[str, str, tuple[str, ...]]]:
    for folder in ("images", "labels"):
        if not (root / folder).is_dir():
            raise InputError(
                f"{root / folder}: no such folder; expected ROOT/images and ROOT/labels"
                f"{other_layouts.hint(root, 'folder')}"
            )
    pictures = listing.pictures(root / "images")
    if not pictures:
        inside = [path.name for path in listing.entries(root / "images") if path.is_dir()]
        below = f"; it holds the folders {', '.join(inside[:3])}" if inside else ""
        instead = other_layouts.hint(root, "folder")
        raise InputError(
            f"{root / 'images'}: no pictures; expected files such as ID.jpg or ID.png"
            f"{below}{instead}"
        )
    table = file_names.NameTable(pictures)
    labels: dict[str, list[tuple[int, str]]] = {name: [] for name in pictures}
    for path in listing.label_files(root / "labels"):
        match = _ANNOTATOR.fullmatch(path.stem)
        # The whole stem first: an ID may itself end in _1.
        name, annotator = table.find(path.stem), -1
        if name is None and match:
            name, annotator = table.find(match["id"]), int(match["annotator"])
        if name is None:
            raise InputError(f"{path}: no picture in images/ has this ID; add or remove it")
        twin = next((each for number, each in labels[name] if number == annotator), None)
        if twin is not None:
            raise InputError(f"{path}: {twin} is a label map of the same ID; remove one")
        labels[name].append((annotator, os.fspath(path)))
    names = sorted(pictures) if split is None else _split_names(root, split, table)
    bare = [file_names.as_text(name) for name in names if not labels[name]]
    if bare:
        raise InputError(
            f"{root / 'labels'}: {len(bare)} of {len(names)} pictures have no label map, the first "
            f"is {bare[0]}; add {bare[0]}.png or remove the picture"
        )
    return [
        (
            file_names.as_text(name),
            os.fspath(root / "images" / pictures[name]),
            tuple(path for _, path in sorted(labels[name])),
        )
        for name in names
    ]


def _read_splits(path: epath.Path) -> dict[str, Any]:
    splits = files.read_json(path)
    if not isinstance(splits, dict):
        raise InputError(
            f"{path}: must be an object of lists of IDs, by split, not a list or value"
        )
    return splits


def _split_names(root: epath.Path, split: str, pictures: file_names.NameTable) -> list[str]:
    names = _listed_names(root, split)
    listed.check_list(names, pictures, root / "splits.json")
    found = {name: pictures.find(name) for name in names}
    missing = [name for name in names if found[name] is None]
    if missing:
        raise InputError(
            f"{root / 'splits.json'}: {len(missing)} IDs of split {split!r} have no picture in "
            f"{root / 'images'}, the first is {missing[0]}; add it or take it off the list"
        )
    there = [name for name in found.values() if name is not None]
    if len(set(there)) < len(there):
        raise InputError(
            f"{root / 'splits.json'}: split {split!r} names a picture twice; remove one"
        )
    return there


def _listed_names(root: epath.Path, split: str) -> list[str]:
    path = root / "splits.json"
    if not path.exists():
        raise InputError(
            f"{path}: no such file, but split={split} needs it; leave split= out to take all "
            f'images, or write {{"{split}": ["ID", ...]}} there'
        )
    splits = _read_splits(path)
    if split not in splits:
        known = ", ".join(sorted(splits))
        raise InputError(f"{path}: has no split {split!r}; it has: {known}")
    names = splits[split]
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        raise InputError(f"{path}: split {split!r} must be a list of one or more IDs (strings)")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: split {split!r} names a picture twice; remove one")
    return names
