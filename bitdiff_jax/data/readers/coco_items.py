"""What the readers of COCO's forms share: pictures of several annotation files, in one order."""

import abc
import os
import re
import zlib
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.readers import listed, listing, other_layouts
from bitdiff_jax.data.readers.coco_json import Index
from bitdiff_jax.errors import InputError

# Of the annotation files, by how their names begin.
_KINDS = {"panoptic": "coco_panoptic", "instances": "coco_instances"}


class CocoReader(abc.ABC):
    """Random access to the pictures of annotation files, sorted by `file_name`.

    `reader[i]` is a pure function of i: {'name': file_name, 'image': uint8 [h, w, 3], 'labels': a
    tuple of one int32 [h, w]}, at the size of the files. A copy sent to another process takes the
    index along, not the annotations, which are read from the file for each picture.
    """

    kind: str

    def __init__(
        self,
        split: str | None,
        indices: Sequence[Index],
        options: Mapping[str, Any],
        names: Container[str] | None = None,
    ):
        """Puts the pictures in order.

        Args:
            split: its name, for `definition`.
            indices: the annotation files.
            options: what else determines the items, for `definition`.
            names: the pictures that take part; None for all.

        Raises:
            InputError: no picture, or one that is in two files.
        """
        self.split = split
        self._indices = tuple(indices)
        self._options = dict(options)
        rows: dict[str, tuple[int, int]] = {}
        for part, index in enumerate(indices):
            for row, name in enumerate(index.names):
                if name in rows:
                    other = indices[rows[name][0]].path
                    raise InputError(f"{index.path}: {name} is in {other} too; name one split")
                rows[name] = part, row
        # As the annotation file has them; `names` are text even if these are not.
        self.files = tuple(sorted(name for name in rows if names is None or name in names))
        self.names: tuple[str, ...] = tuple(map(file_names.as_text, self.files))
        if self.names == self.files:
            self.names = self.files  # once in a copy sent to another process
        if not self.names:
            raise InputError(f"{indices[0].path}: no pictures in split {split!r}; name another")
        self._rows = np.array([rows[name] for name in self.files], np.int32)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.definition}, {len(self)} pictures)"

    @property
    def definition(self) -> str:
        """What determines the items, apart from the files of the pictures and their place."""
        sums = " ".join(f"{index.checksum:08x}" for index in self._indices)
        options = " ".join(f"{key}={value}" for key, value in self._options.items())
        listing = zlib.crc32("\n".join(self.names).encode())
        return f"{self.kind} split={self.split} {options} {sums} {listing:08x}"

    @property
    def has_background(self) -> bool:
        """Whether id 0 is the background of every label map."""
        return self._options.get("zero") == "background"

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} pictures")
        part, row = self._rows[index].tolist()
        source = self._indices[part]
        name = self.names[index]
        path = os.fspath(self._image(part, self.files[index]))
        image = images.read_image(path)
        height, width = source.shapes[row].tolist()
        if image.shape[:2] != (height, width):
            turned = listed.turned(path, image.shape[:2], (height, width))
            raise InputError(
                f"{path}: is {image.shape[1]}x{image.shape[0]}, {source.path} says {width}x{height}"
                f"{turned or '; ' + self._other_size}"
            )
        labels = self._labels(part, source.annotations(row), height, width, name)
        return {"name": name, "image": image, "labels": (labels,)}

    _other_size = "get the pictures that the annotations were made for"

    @property
    @abc.abstractmethod
    def unlabelled(self) -> str:
        """What pixels without a region were taken for, and why."""

    @abc.abstractmethod
    def _image(self, part: int, name: str) -> epath.Path:
        """The picture's file."""

    @abc.abstractmethod
    def _labels(
        self, part: int, annotations: list[dict[str, Any]], height: int, width: int, name: str
    ) -> np.ndarray:
        """The label map of one picture, int32 [h, w]."""


def folder(candidates: Sequence[epath.Path], remedy: str) -> epath.Path:
    """The first folder that is there.

    Raises:
        InputError: none is.
    """
    for path in candidates:
        if path.is_dir():
            return path
    raise InputError(f"{candidates[0]}: no such folder; {remedy}")


def splits(root: os.PathLike | str, prefix: str, year: str) -> tuple[str, ...]:
    """The SPLITs for which `ROOT/annotations/PREFIX_SPLITYEAR.json` is there, sorted.

    Raises:
        InputError: there is none.
    """
    annotations = epath.Path(root) / "annotations"
    pattern = re.compile(rf"{prefix}_([a-z]+){re.escape(year)}\.json")
    found = (pattern.fullmatch(path.name) for path in listing.entries(annotations))
    there = tuple(sorted(match[1] for match in found if match))
    if not there:
        raise InputError(
            f"{annotations / f'{prefix}_train{year}.json'}: no such file; expected "
            f"ROOT/annotations/{prefix}_SPLIT{year}.json and pictures in ROOT/SPLIT{year}"
            f"{other_layouts.hint(root, _KINDS[prefix])}"
        )
    return there


def annotation_files(
    root: epath.Path, prefix: str, split: str | None, year: str
) -> dict[str, epath.Path]:
    """The annotation files of a split or, without one, of all splits, by split.

    Raises:
        InputError: there is none, or not this split.
    """
    there = splits(root, prefix, year)
    listed.check_split(root, split, there)
    wanted = there if split is None else (split,)
    return {part: root / "annotations" / f"{prefix}_{part}{year}.json" for part in wanted}


def image_folder(root: epath.Path, name: str) -> str:
    """`ROOT/NAME` or `ROOT/images/NAME`.

    Raises:
        InputError: neither is there.
    """
    places = [root / name, root / "images" / name]
    return os.fspath(folder(places, f"unpack {name}.zip there"))
