"""A COCO annotation file as a compact index: which bytes of it belong to which picture.

`instances_train2017.json` is 450 MB of text and several times that as Python objects. Here its
records are parsed one at a time and dropped again; what stays is, for each picture, its file name,
its size and the byte ranges of its annotations, some twenty bytes an annotation. The annotations of
a picture are read from the file when they are needed.
"""

import collections
import io
import json
import os
import re
import zlib
from collections.abc import Generator, Iterator
from typing import IO, Any

import numpy as np
from etils import epath

from bitdiff_jax.data.readers import json_values
from bitdiff_jax.data.readers.json_values import IdTable
from bitdiff_jax.errors import InputError

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_BOM = "ï»¿"  # as latin-1 reads it
# What tells COCO's kinds of files apart, for the message about a wrong one.
_KINDS = {
    "segmentation": "instances",
    "segments_info": "panoptic",
    "caption": "captions",
    "keypoints": "keypoints",
}


class Index:
    """The pictures of one annotation file and where in it their annotations are.

    Attributes:
        path: the file.
        names: `file_name` of each picture, unique, in the order of the file.
        shapes: int32 [n, 2], height and width as the file gives them.
        checksum: crc32 of the whole file.
    """

    def __init__(self, path: os.PathLike | str, key: str):
        """Reads the file once.

        Args:
            path: a COCO file, `{"images": [...], "annotations": [...], ...}`.
            key: what each annotation must have: 'segmentation' or 'segments_info'.

        Raises:
            InputError: no such file, not JSON, another kind of file, a record without the fields it
                needs, two pictures of one id or name, a name that leads out of the folder of the
                pictures, or an annotation of a picture that is not listed.
        """
        self.path = os.fspath(path)
        data = read_bytes(self.path)
        self.checksum = zlib.crc32(data)
        self._length = len(data)
        self._remote: bytes | None = None
        # One character a byte, so that places in the text are places in the file.
        text = data.decode("latin-1")
        del data
        found: dict[str, list] = {}
        for name, record, begin, end in _records(text, self.path):
            # Made anew where the bytes are not ASCII: latin-1 is right for places, not for names.
            if name == "images" and not text[begin:end].isascii():
                record = self._parse(text[begin:end].encode("latin-1"))
            entries = found.setdefault(name, [])
            if record is not None:
                read = self._image if name == "images" else self._annotation
                entries.append(read(record, len(entries), key, begin, end))
        for name in ("images", "annotations"):
            if name not in found:
                raise InputError(
                    f"{self.path}: has no list {name!r}; a COCO {_KINDS[key]} file does"
                )
        images = found["images"]
        rows = {image_id: row for row, (image_id, _, _) in enumerate(images)}
        self.names = tuple(name for _, name, _ in images)
        for field, values in (("id", [each[0] for each in images]), ("file_name", self.names)):
            twice = [each for each, count in collections.Counter(values).items() if count > 1]
            if twice:
                raise InputError(
                    f"{self.path}: two pictures have one {field}, {twice[0]!r}; remove one"
                )
        self.shapes = np.array([shape for _, _, shape in images], np.int32).reshape(-1, 2)
        self._group(found["annotations"], rows)

    def _group(
        self, annotations: list[tuple[int | str, int, int]], rows: dict[int | str, int]
    ) -> None:
        table = IdTable(rows)
        owners = []
        for number, (image_id, _, _) in enumerate(annotations):
            row = table.find(image_id)
            if row is None:
                such = f"has ids such as {next(iter(rows))!r}" if rows else "is empty"
                raise InputError(
                    f"{self.path}: annotations[{number}] is of image_id {image_id!r}, but the "
                    f"list 'images' {such}; add the picture, or remove its annotations"
                )
            owners.append(row)
        owner = np.array(owners, np.intp)
        spans = np.array([each[1:] for each in annotations], np.int64).reshape(-1, 2)
        # Stable: the annotations of a picture stay in the order of the file.
        self._spans = spans[np.argsort(owner, kind="stable")]
        self._first = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(rows)))])

    def _image(self, record: Any, number: int, *_: Any) -> tuple[int | str, str, tuple[int, int]]:
        where = f"{self.path}: images[{number}]"
        needed = ("id", "file_name", "height", "width")
        missing = [key for key in needed if not isinstance(record, dict) or key not in record]
        if missing:
            raise InputError(
                f"{where} has no {' and no '.join(missing)}; it needs {', '.join(needed)}, as "
                "COCO's do"
            )
        height, width = (
            json_values.whole_number(record[side], f"{where}.{side}", 1, 2**31 - 1)
            for side in ("height", "width")
        )
        name = json_values.file_name(record["file_name"], f"{where}.file_name")
        return json_values.identity(record["id"], f"{where}.id"), name, (height, width)

    def _annotation(
        self, record: Any, number: int, key: str, begin: int, end: int
    ) -> tuple[int | str, int, int]:
        if not isinstance(record, dict) or "image_id" not in record or key not in record:
            fields = record if isinstance(record, dict) else {}
            known = [kind for field, kind in _KINDS.items() if field in fields and field != key]
            looks = f"this looks like a COCO {known[-1]} file" if known else "not as COCO's are"
            raise InputError(
                f"{self.path}: annotations[{number}] needs image_id and {key}; {looks}, "
                f"use a COCO {_KINDS[key]} file"
            )
        where = f"{self.path}: annotations[{number}].image_id"
        return json_values.identity(record["image_id"], where), begin, end

    def __len__(self) -> int:
        return len(self.names)

    def annotations(self, row: int) -> list[dict[str, Any]]:
        """The annotations of one picture as they stand in the file, in its order.

        Raises:
            InputError: the file has gone or is not the one that was indexed.
        """
        spans = self._spans[self._first[row] : self._first[row + 1]]
        return [self._parse(data) for data in self._read(spans)]

    def _read(self, spans: np.ndarray) -> Iterator[bytes]:
        try:
            with self._open() as file:
                if file.seek(0, os.SEEK_END) != self._length:
                    raise InputError(f"{self.path}: has changed since it was opened; start again")
                for begin, end in spans.tolist():
                    file.seek(begin)
                    yield file.read(end - begin)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InputError(f"{self.path}: cannot be read ({reason}); start again") from None

    def _open(self) -> IO[bytes]:
        if "://" not in self.path:
            return open(self.path, "rb")
        # A request for every annotation would take longer than to keep the file.
        if self._remote is None:
            self._remote = read_bytes(self.path)
        return io.BytesIO(self._remote)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_remote": None}

    def _parse(self, data: bytes) -> dict[str, Any]:
        try:
            record = json.loads(data)
        except UnicodeDecodeError:
            raise InputError(
                f"{self.path}: {data[:60]!r}... is not UTF-8; save the file as UTF-8"
            ) from None
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise InputError(f"{self.path}: is damaged or has changed since it was opened")
        return record


def read_bytes(path: os.PathLike | str) -> bytes:
    """The bytes of an annotation file.

    Raises:
        InputError: it is not there, empty or cannot be read.
    """
    try:
        data = epath.Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; unpack the annotations there") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); name a COCO JSON file") from None
    if not data:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    return data


def _records(text: str, path: str) -> Iterator[tuple[str, Any, int, int]]:
    """Each record of 'images' and 'annotations': its list's name, itself, its place in the text.

    Before the first of a list comes one that is None, so that an empty list is seen.
    """
    try:
        yield from _members(text, path)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{path}: nested too deeply for a COCO file; download it again") from None
    except ValueError as error:
        raise InputError(
            f"{path}: not a whole JSON object ({error}); copy or download it again"
        ) from None


def _members(text: str, path: str) -> Iterator[tuple[str, Any, int, int]]:
    place = _skip(text, len(_BOM) if text.startswith(_BOM) else 0)
    if text[place : place + 1] == "[":
        raise InputError(
            f"{path}: is a list, as a detector's results are; use the annotation file, an object "
            "with 'images' and 'annotations'"
        )
    _expect(text, place, "{")
    while True:
        place = _skip(text, place + 1)
        _expect(text, place, '"')
        key, place = _DECODER.raw_decode(text, place)
        place = _skip(text, place)
        _expect(text, place, ":")
        place = _skip(text, place + 1)
        if key in ("images", "annotations"):
            if text[place : place + 1] in tuple('{"ntf-0123456789'):
                raise InputError(f"{path}: {key!r} is no list; write a list of records")
            yield key, None, place, place
            place = yield from _elements(text, place, key)
        else:
            _, place = _DECODER.raw_decode(text, place)
        place = _skip(text, place)
        if _expect(text, place, ",}") == "}":
            return


def _elements(text: str, place: int, key: str) -> Generator[tuple[str, Any, int, int], None, int]:
    """The elements of the list at `place`; returns where it ends."""
    _expect(text, place, "[")
    place = _skip(text, place + 1)
    if text[place : place + 1] == "]":
        return place + 1
    while True:
        value, end = _DECODER.raw_decode(text, place)
        yield key, value, place, end
        place = _skip(text, end)
        if _expect(text, place, ",]") == "]":
            return place + 1
        place = _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    return _SPACE.match(text, place).end()  # type: ignore[union-attr]


def _expect(text: str, place: int, characters: str) -> str:
    found = text[place : place + 1]
    if not found or found not in characters:
        raise ValueError(f"expected {' or '.join(characters)} at byte {place}")
    return found
