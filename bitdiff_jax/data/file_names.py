"""Names of files: as text, in several Unicode forms, and those that no data set consists of."""

import os
import unicodedata
from collections.abc import Iterable
from typing import Final

from etils import epath

# What systems and archivers leave beside files; hidden files begin with a dot.
_LITTER: Final = frozenset(
    {
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle",
        "$recycle.bin", "system volume information", "lost+found",
    }
)  # fmt: skip


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden or a system's own: `.DS_Store`, `._a.png`, `__MACOSX`."""
    return name.startswith(".") or name.lower() in _LITTER


def as_text(name: str) -> str:
    r"""A name as text that can be printed and stored as UTF-8.

    Bytes of a file's name that are no UTF-8 come from Python as lone surrogates; they are written
    as `\xff` here. What is text stays as it is.
    """
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # other surrogates, which JSON may hold
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def same(name: str) -> str:
    """What is equal for names that look alike: letters with accents in one piece or in two."""
    return unicodedata.normalize("NFC", as_text(name))


class NameTable:
    """Finds a name in a list, by itself or else by the only one that looks the same."""

    def __init__(self, names: Iterable[str]):
        """Takes the names of the list, each as it is on the disk."""
        self._exact: dict[str, str] = {}
        self._alike: dict[str, str | None] = {}
        for name in names:
            self._exact[as_text(name)] = name
            self._alike[same(name)] = None if same(name) in self._alike else name

    def find(self, name: str) -> str | None:
        """The name in the list; None if it has none, or several."""
        found = self._exact.get(as_text(name))
        return self._alike.get(same(name)) if found is None else found


def find(path: os.PathLike | str) -> epath.Path | None:
    """The file or folder of this path or, without one, of a path that looks the same; None: none.

    A file copied from a Mac may be called in another Unicode form than in a list of names.
    """
    place = epath.Path(path)
    if place.exists():
        return place
    parent = place.parent if place.parent == place else find(place.parent)
    if parent is None or not parent.is_dir():
        return None
    name = NameTable(each.name for each in parent.iterdir()).find(place.name)
    return None if name is None else parent / name
