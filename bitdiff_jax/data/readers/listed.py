"""What readers of one file or two a picture have in common."""

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from etils import epath

from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.readers import other_layouts
from bitdiff_jax.errors import InputError

# What id 0, or a pixel of no mask, may be said to be: not annotated (-1), one region like the
# others with id 0, or the background, which is such a region and known as what it is.
Zero = Literal["ignore", "region", "background"]

# Name, then the item's files relative to the folder that the reader found.
Item = tuple[str, ...]


class ListedReader:
    """Names, length, indexing, pickling and definition of a list of files made by a subclass.

    A subclass sets `kind`, has `splits`, calls this `__init__` with its list and has `_read`.
    """

    kind: ClassVar[str]

    def __init__(self, base: os.PathLike | str, items: Sequence[Item], options: Mapping[str, Any]):
        """Keeps the list.

        Args:
            base: the folder that the items' files are relative to.
            items: name and files of each.
            options: what the reader was told, for the definition.

        Raises:
            InputError: no items, or a name that is there twice.
        """
        if not items:
            instead = other_layouts.hint(base, self.kind)
            raise InputError(
                f"{os.fspath(base)}: holds no pictures with annotations{instead or '; check it'}"
            )
        self._base = os.fspath(base)
        self._items = tuple((file_names.as_text(name), *paths) for name, *paths in items)
        self._options = dict(options)
        seen: dict[str, Item] = {}
        for item in self._items:
            if item[0] in seen:
                other = seen[item[0]]
                places = " and ".join(self._path(each[1]) for each in (other, item))
                raise InputError(f"{places}: both are called {item[0]}; rename or remove one")
            seen[item[0]] = item

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pictures, {self.definition})"

    @property
    def has_background(self) -> bool:
        """Whether id 0 is the background of every label map."""
        return self._options.get("zero") == "background"

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(item[0] for item in self._items)

    @property
    def definition(self) -> str:
        """Kind, options and a checksum of the names."""
        options = "".join(f" {key}={value}" for key, value in sorted(self._options.items()))
        return f"{self.kind}{options} {zlib.crc32(chr(10).join(self.names).encode()):08x}"

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} pictures")
        name, *paths = self._items[index]
        image, labels = self._read(*map(self._path, paths))
        return {"name": name, "image": image, "labels": labels}

    def _path(self, file: str) -> str:
        return f"{self._base}/{file}"

    def _read(self, *paths: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The picture and its label maps, from the item's files."""
        raise NotImplementedError


def check_choice(option: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuses what is not one of the choices."""
    if value not in choices:
        known = " or ".join(map(str, choices))
        raise InputError(f"{option}={value} is not known: use {known}")


def check_zero(zero: Any) -> None:
    """Refuses what is no reading of id 0, or of a pixel of no mask."""
    check_choice("zero", zero, get_args(Zero))


def of_zero(zero: Zero) -> str:
    """What pixels of id 0, or of no mask, become, as the end of a sentence about them."""
    return {
        "ignore": "ignored",
        "region": "region 0, as asked for",
        "background": "the background, as asked for",
    }[zero]


def check_split(root: os.PathLike | str, split: str | None, known: Sequence[str]) -> None:
    """Refuses a split that is not there."""
    if split is not None and split not in known:
        has = f"it has: {', '.join(known)}" if known else "it has none; leave it out"
        raise InputError(f"{os.fspath(root)}: has no split {split!r}; {has}")


def check_size(image: np.ndarray, image_path: str, labels: np.ndarray, label_path: str) -> None:
    """Refuses a label map whose shape is not that of its picture."""
    if labels.shape != image.shape[:2]:
        height, width = image.shape[:2]
        found = "x".join(map(str, labels.shape[::-1]))
        raise InputError(
            f"{label_path}: is {found}, its picture {image_path} is {width}x{height}; they must "
            f"have the same size{turned(image_path, image.shape[:2], labels.shape)}"
        )


def turned(path: os.PathLike | str, shape: tuple[int, ...], other: tuple[int, ...]) -> str:
    """Why a picture's sides may be exchanged, for a message; '' if they are not.

    Args:
        path: the picture's file.
        shape: (h, w) as `images.read_image` gave it.
        other: (h, w) that was expected.
    """
    if shape != other[::-1]:
        return ""
    try:
        by_exif = images.is_turned(path)
    except InputError:  # not a file of its own
        by_exif = False
    if not by_exif:
        return ". Width and height are exchanged: turn one of them"
    return (
        ". The picture's EXIF orientation, which phones write, turns it, and what was drawn on it "
        "is not turned: save the picture anew without the tag, the way it was drawn on"
    )


def find_base(
    root: os.PathLike | str,
    candidates: Sequence[str],
    needed: Sequence[str],
    expected: str,
    kind: str,
) -> epath.Path:
    """The first candidate below `root` that has all the needed folders.

    Raises:
        InputError: none has; it says what was expected.
    """
    folder = epath.Path(root)
    for candidate in candidates:
        base = folder / candidate if candidate else folder
        if all((base / name).is_dir() for name in needed):
            return base
    if not folder.is_dir():
        raise InputError(f"{os.fspath(root)}: no such folder; expected {expected}")
    raise InputError(
        f"{os.fspath(root)}: has no {' or no '.join(needed)}; expected {expected}"
        f"{other_layouts.hint(root, kind)}"
    )


def check_list(
    names: Iterable[str], present: file_names.NameTable, path: os.PathLike | str
) -> None:
    """Refuses a list of IDs that names one twice, or a file instead of its ID.

    Args:
        names: the list.
        present: the IDs that there are.
        path: its file, for messages.
    """
    seen = set()
    for name in names:
        if name in seen:
            raise InputError(f"{os.fspath(path)}: names {name!r} twice; remove one")
        seen.add(name)
        identity, suffix = os.path.splitext(name)
        if (
            present.find(name) is None
            and suffix.lower() in images.IMAGE_SUFFIXES
            and present.find(identity) is not None
        ):
            raise InputError(
                f"{os.fspath(path)}: names the file {name!r}; list IDs without ending: {identity}"
            )


def require_all(
    names: Iterable[str],
    present: file_names.NameTable,
    place: os.PathLike | str,
    file: str,
) -> None:
    """Refuses an incomplete set.

    Args:
        names: the items.
        present: those that have their counterpart.
        place: where it was looked for.
        file: what the counterpart is called, with {} for the name.

    Raises:
        InputError: names how many are missing, and the first.
    """
    names = list(names)
    missing = [name for name in names if present.find(name) is None]
    if missing:
        raise InputError(
            f"{os.fspath(place)}: {len(missing)} of {len(names)} pictures lack a file, the first "
            f"is {file.format(missing[0])}; copy it again or remove its counterpart"
        )
