"""A compact index of predictions in one large JSON file: which bytes belong to which image.

The results of a detector on 33,000 images, a hundred masks each, are some gigabytes of JSON.
The file is read once in pieces, and its records are dropped again; the index takes 24 bytes per
record. The records of an image are read when they are needed.
"""

import array
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from bitdiff_jax.data.readers import json_values
from bitdiff_jax.errors import InputError

_DECODER = json.JSONDecoder()
_PIECE = 1 << 23
_MAX_VALUE = 1 << 26
_LISTS = ("annotations", "images")
_BOM = "\xef\xbb\xbf"  # as latin-1 reads it


class Records:
    """The records of a JSON list, or of the list 'annotations' of an object, by image.

    Attributes:
        path: the file.
        images: record of each image in the list 'images', by the id that `json_values.identity`
            reads; None where there is no such list.
        image_ids: ids of the images that have a record, in the order of the file.
        first: the first record; None if there is none.
        notes: values of the field `note` of each image's records, by image id, in the order of the
            file.
    """

    def __init__(self, path: os.PathLike | str, *, note: str | None = None):
        """Reads the file once.

        Args:
            path: the JSON file.
            note: name of a field of the records whose values are kept; None keeps none.

        Raises:
            InputError: the file does not exist or is not JSON, or a record has no usable image_id.
        """
        self.path = os.fspath(path)
        self.images: dict[int | str, dict[str, Any]] | None = None
        self.first: dict[str, Any] | None = None
        self.notes: dict[int | str, list[Any]] = {}
        owners, begins, ends = (array.array("q") for _ in range(3))
        rows: dict[int | str, int] = {}
        for name, record, begin, end in scan(self.path):
            if name == "images":
                self.images = {} if self.images is None else self.images
                if record is not None:
                    image_id = self._id(record, "id", f"images[{len(self.images)}]")
                    if image_id in self.images:
                        raise InputError(f"{self.path}: two images of id {image_id!r}; remove one")
                    self.images[image_id] = record
            elif record is not None:
                image_id = self._id(record, "image_id", f"record {len(owners)}")
                self.first = record if self.first is None else self.first
                if note is not None:
                    self.notes.setdefault(image_id, []).append(record.get(note))
                owners.append(rows.setdefault(image_id, len(rows)))
                begins.append(begin)
                ends.append(end)
        self.image_ids = tuple(rows)
        self._rows = rows
        owner = np.array(owners, np.int64)
        # A stable sort, so that the records of an image stay in the order of the file.
        order = np.argsort(owner, kind="stable")
        self._spans = np.stack([np.array(begins, np.int64), np.array(ends, np.int64)], 1)[order]
        self._firsts = np.append(0, np.cumsum(np.bincount(owner, minlength=len(rows))))

    def _id(self, record: Any, key: str, where: str) -> int | str:
        if not isinstance(record, dict) or key not in record:
            raise InputError(f"{self.path}: {where} has no {key}; write one, as COCO's have")
        return json_values.identity(record[key], f"{self.path}: {where}.{key}")

    def of(self, image_id: int | str) -> list[dict[str, Any]]:
        """The records of one image, in the order of the file; [] if it has none.

        Raises:
            InputError: the file is gone or was changed since.
        """
        row = self._rows.get(image_id)
        if row is None:
            return []
        found = []
        try:
            with epath.Path(self.path).open("rb") as file:
                for begin, end in self._spans[self._firsts[row] : self._firsts[row + 1]].tolist():
                    file.seek(begin)
                    record = json.loads(file.read(end - begin))
                    if self._id(record, "image_id", "a record") != image_id:
                        raise ValueError
                    found.append(record)
        except (OSError, ValueError, TypeError, KeyError):
            raise InputError(
                f"{self.path}: has gone or changed since it was opened; start again"
            ) from None
        return found


def scan(path: os.PathLike | str) -> Iterator[tuple[str | None, Any, int, int]]:
    """Each record of a list, or of an object's 'annotations' and 'images'.

    Yields:
        The list's name (None if the file is a list), the record, and its first and last byte. A
        None comes before the first record of each list, so that an empty list is seen.

    Raises:
        InputError: the file does not exist, or is not JSON of one of the two forms.
    """
    try:
        with epath.Path(path).open("rb") as file:
            yield from _members(_Text(file))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); name a JSON file") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply for predictions; write it again") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not a whole JSON file ({error.msg}); write it again") from None


class _Text:
    """A file read in pieces, one character per byte, so that positions are those in the file."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._text, self._place, self._before, self._whole = "", 0, 0, False
        self._more()
        if self._text.startswith(_BOM):
            self._place = len(_BOM)

    def _more(self) -> None:
        piece = self._file.read(_PIECE)
        self._before += self._place
        self._text = self._text[self._place :] + piece.decode("latin-1")
        self._place, self._whole = 0, not piece

    def peek(self) -> str:
        """The next character that is no space; '' at the end."""
        while True:
            while self._place < len(self._text) and self._text[self._place] in " \t\r\n":
                self._place += 1
            if self._place < len(self._text) or self._whole:
                return self._text[self._place : self._place + 1]
            self._more()

    def take(self, characters: str) -> str:
        """Reads one of these characters."""
        found = self.peek()
        if not found or found not in characters:
            expected = " or ".join(characters)
            raise json.JSONDecodeError(f"expected {expected} at byte {self._at()}", "", 0)
        self._place += 1
        return found

    def value(self) -> tuple[Any, int, int]:
        """Reads any value, and returns it with its first byte and the byte behind it."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                # Cut by the end of the piece, or wrong, which only more text can show.
                if self._whole or len(self._text) - self._place > _MAX_VALUE:
                    place = self._before + error.pos
                    raise json.JSONDecodeError(f"{error.msg} at byte {place}", "", 0) from None
                self._more()
                continue
            if end == len(self._text) and not self._whole:
                self._more()  # a number may go on
                continue
            begin, text = self._at(), self._text[self._place : end]
            self._place = end
            if not text.isascii():
                try:
                    value = json.loads(text.encode("latin-1"))
                except UnicodeDecodeError:
                    raise json.JSONDecodeError(f"no UTF-8 at byte {begin}", "", 0) from None
            return value, begin, self._at()

    def _at(self) -> int:
        return self._before + self._place


def _members(text: _Text) -> Iterator[tuple[str | None, Any, int, int]]:
    if text.peek() == "[":
        yield from _elements(text, None)
    else:
        text.take("{")
        while text.peek() != "}":
            key = text.value()[0]
            text.take(":")
            if key in _LISTS and text.peek() == "[":
                yield from _elements(text, key)
            else:
                text.value()
            if text.peek() != "}":
                text.take(",")
        text.take("}")
    if text.peek():
        raise json.JSONDecodeError("something follows its end", "", 0)


def _elements(text: _Text, name: str | None) -> Iterator[tuple[str | None, Any, int, int]]:
    yield name, None, 0, 0
    text.take("[")
    while text.peek() != "]":
        yield name, *text.value()
        if text.peek() != "]":
            text.take(",")
    text.take("]")
