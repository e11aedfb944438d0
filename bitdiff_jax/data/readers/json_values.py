"""Values out of other tools' JSON and tables: numbers, flags, ids and names of files.

Tools write one and the same value in several ways: `1`, `1.0`, `"1"`, `true`. What can mean one
thing only is taken, alike in annotations and in predictions; everything else is an `InputError`
that names the field and the value. Python's own rules are no help here: `bool("0")` is true,
`int(3.7)` is 3, and `True == 1`.
"""

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from bitdiff_jax.errors import InputError

T = TypeVar("T")

_FLAGS = {"0": False, "1": True, "false": False, "true": True}
_WHOLE = re.compile(r"([+-]?\d{1,18})(\.0*)?", re.ASCII)
# Up to here every whole number is a float of its own.
_MAX_EXACT = 2**53
_DRIVE = re.compile(r"[A-Za-z]:")


def flag(value: Any, where: str) -> bool:
    """A truth value, such as COCO's `iscrowd`.

    Args:
        value: a boolean, 0 or 1 as any kind of number or as text, 'true' or 'false' in any case;
            None, which is null in the file or no such field, is false.
        where: the file and the field, for the message.

    Raises:
        InputError: anything else.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    number = _whole(value)
    if number not in (0, 1):
        raise InputError(f"{where} is {_shown(value)}; write 0 or 1")
    return bool(number)


def whole_number(value: Any, where: str, low: int = -(2**63) + 1, high: int = 2**63 - 1) -> int:
    """A whole number: an integer, a float or a text without a fraction (24.0, '24', '24.0').

    Args:
        value: what the file holds.
        where: the file and the field, for the message.
        low: the least number that is allowed.
        high: the largest number that is allowed.

    Raises:
        InputError: anything else, truth values and null included, or a number outside the bounds.
    """
    number = value if type(value) is int else _whole(value)
    if number is None or not low <= number <= high:
        bounds = f" from {low}" if low > -(2**63) + 1 else ""
        bounds += f" up to {high}" if high < 2**63 - 1 else ""
        raise InputError(f"{where} is {_shown(value)}; write a whole number{bounds}")
    return number


def number(value: Any, where: str) -> float:
    """A finite number, such as a score: an integer, a float, or either as text.

    Args:
        value: what the file holds.
        where: the file and the field, for the message.

    Raises:
        InputError: anything else, truth values, null, NaN and infinity included.
    """
    found = math.nan
    # Python takes '1_000' for a number, and no other program does.
    if isinstance(value, int | float) or (isinstance(value, str) and "_" not in value):
        with contextlib.suppress(ValueError, OverflowError):
            found = math.nan if isinstance(value, bool) else float(value)
    if not math.isfinite(found):
        raise InputError(f"{where} is {_shown(value)}; write a finite number")
    return found


def identity(value: Any, where: str) -> int | str:
    """An id of an image or a segment, so that ids that mean the same are equal.

    Whole numbers are integers, however they are written (139, 139.0, '139'). Any other text stays
    text, '000139' too; whether that is 139 is for `IdTable` to tell, which knows the others.

    Args:
        value: what the file holds.
        where: the file and the field, for the message.

    Raises:
        InputError: null, a truth value, a fraction, an empty text, a list or a record.
    """
    if type(value) is int:
        return value
    number = _whole(value)
    if isinstance(value, str) and value.strip():
        text = value.strip()
        written = text.partition(".")[0].removeprefix("+")
        return text if number is None or str(number) != written else number
    if number is None:
        raise InputError(f"{where} is {_shown(value)}; write a whole number or a text")
    return number


class IdTable(Generic[T]):
    """Finds what belongs to an id, also where one file writes '000139' and the other 139."""

    def __init__(self, items: Mapping[int | str, T]):
        """Takes the items by `identity`."""
        self._items = items
        self._padded: dict[int, int | str] = {}
        twice = set()
        for key in items:
            padded = _whole(key) if isinstance(key, str) else None
            if padded is not None:
                twice.update({padded} & self._padded.keys())
                self._padded[padded] = key
        for number in twice:
            del self._padded[number]

    def find(self, key: int | str) -> T | None:
        """The item of an `identity`: of this one, or else of the only one of the same number."""
        if key in self._items:
            return self._items[key]
        number = _whole(key)
        if number is None:
            return None
        if number in self._items:
            return self._items[number]
        padded = self._padded.get(number)
        return None if padded is None else self._items[padded]


def file_name(value: Any, where: str) -> str:
    r"""The name of a file in a folder or below it, with / between its parts.

    Args:
        value: what the file holds. Backslashes, as Windows writes them, separate parts too.
        where: the file and the field, for the message.

    Raises:
        InputError: not a text, an empty one, or a name that leads out of the folder.
    """
    name = value.replace("\\", "/") if isinstance(value, str) else value
    if not is_below(name):
        raise InputError(
            f"{where} is {_shown(value)}; write the name of a file relative to the folder of the "
            "files, which does not lead out of it"
        )
    return name


def segments(record: dict[str, Any], where: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    """The segments of a record of COCO panoptic: (id, segment, where it stands), each id once.

    Raises:
        InputError: `segments_info` is no list of records with ids, or an id is wrong or twice.
    """
    listed = record.get("segments_info")
    if not isinstance(listed, list) or not all(
        isinstance(each, dict) and "id" in each for each in listed
    ):
        raise InputError(f"{where}: segments_info needs a list of records with an id")
    seen: set[int] = set()
    for number, each in enumerate(listed):
        place = f"{where}: segments_info[{number}]"
        segment = whole_number(each["id"], f"{place}.id", 0, 2**24 - 1)
        if segment in seen:
            raise InputError(f"{place}.id is {segment}, as that of another segment; remove one")
        seen.add(segment)
        yield segment, each, place


def is_below(name: Any) -> bool:
    """Whether this is the name of a file that does not lead out of the folder it is in."""
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        return False
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which JSON may hold and no name can
        return False
    return not name.startswith("/") and ".." not in name.split("/") and not _DRIVE.match(name)


def _whole(value: Any) -> int | None:
    """The whole number that a number or a text means; None if it means none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else None
    match = _WHOLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _shown(value: Any) -> str:
    """A value for a message of one line, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
