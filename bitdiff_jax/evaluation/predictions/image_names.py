"""Names of pictures: what a tool calls them, and what the ground truth does."""

from collections.abc import Iterable
from typing import Any

from bitdiff_jax.data.images import IMAGE_SUFFIXES
from bitdiff_jax.errors import InputError


class Names:
    """Finds the name by which the ground truth knows a picture.

    Tools write `000000000139.png`, `000000000139` or the number 139 for what is
    `val2017/000000000139.jpg` to the ground truth. Tried in turn: the name itself, without folder
    and ending, as a number. A form that two pictures share finds neither. What is not found keeps
    its own name, without the ending of an image file.
    """

    def __init__(self, truth: Iterable[str] = ()):
        """Takes the names of the ground truth; without them names stay as they are."""
        self.truth = frozenset(truth)
        self._stems = _unique((stem(name.rpartition("/")[2]), name) for name in self.truth)
        self._numbers = _unique(
            (int(short), name) for short, name in self._stems.items() if _is_number(short)
        )

    def find(self, written: Any) -> str | None:
        """The ground truth's name of what a tool wrote, text or number; None if it has none."""
        text = str(written)
        if text in self.truth:
            return text
        short = stem(text.rpartition("/")[2])
        found = self._stems.get(short)
        return self._numbers.get(int(short)) if found is None and _is_number(short) else found

    def name(self, written: Any) -> str:
        """As `find`, or else the name as written without the ending of an image file."""
        found = self.find(written)
        return stem(str(written)) if found is None else found

    def table(self, written: Iterable[Any], path: str) -> dict[str, Any]:
        """Name -> what the tool wrote, for each of the pictures in `path`.

        Raises:
          InputError: two become one name.
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
