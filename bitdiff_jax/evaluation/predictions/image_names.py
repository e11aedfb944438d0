"""Names of images: finds the ground truth's name for the name that a tool wrote."""

from collections.abc import Iterable
from typing import Any

from bitdiff_jax.data.file_names import as_text, same
from bitdiff_jax.data.images import IMAGE_SUFFIXES
from bitdiff_jax.errors import InputError


class Names:
    r"""Finds the name by which the ground truth knows an image.

    Tools write `000000000139.png`, `000000000139` or the number 139 for an image that the ground
    truth calls `val2017/000000000139.jpg`. Three forms are tried in turn: the name itself, the name
    without folder (`/` or, from Windows, `\`) and ending, and the name as a number. Accents are the
    same whether they are composed or not (NFC, NFD). A form that two images share finds neither. An
    image that is not found keeps its own name, without the ending of an image file, as text
    (`file_names.as_text`).
    """

    def __init__(self, truth: Iterable[str] = ()):
        """Takes the names of the ground truth; without them names stay as they are."""
        self.truth = frozenset(truth)
        self._whole = _unique((same(name), name) for name in self.truth)
        self._stems = _unique((same(short_name(name)), name) for name in self.truth)
        self._numbers = _unique(
            (int(short), name) for short, name in self._stems.items() if _is_number(short)
        )

    def find(self, written: Any) -> str | None:
        """The ground truth's name of an image, by a tool's text or number; None without one."""
        text = as_text(str(written))
        if text in self.truth:
            return text
        if (whole := self._whole.get(same(text))) is not None:
            return whole
        # A backslash may also be a character of the name.
        for short in (short_name(text), short_name(text.rpartition("\\")[2])):
            if (found := self._stems.get(same(short))) is not None:
                return found
            if _is_number(short) and (found := self._numbers.get(int(short))) is not None:
                return found
        return None

    def name(self, written: Any) -> str:
        """The name that `find` returns, or the name as written without an image file's ending."""
        found = self.find(written)
        return stem(as_text(str(written))) if found is None else found

    def table(self, written: Iterable[Any], path: str) -> dict[str, Any]:
        """The tool's own name of each image in `path`, by the image's name.

        Raises:
            InputError: two images get the same name.
        """
        table: dict[str, Any] = {}
        for each in written:
            name = self.name(each)
            if name in table:
                raise InputError(
                    f"{path}: {table[name]!r} and {each!r} are both picture {name!r}; remove one"
                )
            table[name] = each
        return table


def short_name(name: str) -> str:
    """The name without folders and the ending of an image file."""
    return stem(name.rpartition("/")[2])


def stem(name: str) -> str:
    """The name without the ending of an image file; other dots belong to it."""
    before, dot, ending = name.rpartition(".")
    return before if before and dot + ending.lower() in IMAGE_SUFFIXES else name


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _unique(pairs: Iterable[tuple[Any, str]]) -> dict[Any, str]:
    found: dict[Any, str] = {}
    twice = set()
    for key, name in pairs:
        if key in found:
            twice.add(key)
        found[key] = name
    return {key: name for key, name in found.items() if key not in twice}
