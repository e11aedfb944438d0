"""Cell arrays, structs and numbers out of MATLAB 5 files.

`scipy.io.loadmat` does the same and far more, but a damaged file can end the process with a
segmentation fault. Here all that a file says of its lengths is checked against what is there.

A file is 128 bytes of header, then elements: a type and a length, the data, zeros up to a multiple
of 8. A variable is an element 'matrix', perhaps inside a deflated one, of further elements: flags,
dimensions, name, and the content, which for cells and structs is matrices again.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

_HEADER = 128
_MATRIX, _DEFLATED = 14, 15
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CELL, _STRUCT = 1, 2
_NUMERIC = range(6, 16)
_MAX_DEPTH = 8


def variable(data: bytes, name: str, max_bytes: int) -> Any:
    """A variable of a MATLAB 5 file (save -v5, -v6 or -v7).

    Args:
        data: the file.
        name: of the variable.
        max_bytes: bound on what is inflated.

    Returns:
        A list for a cell array, a list of dicts for a struct array, both by columns; an array, as
        it is stored, for numbers and truth values; None for other content. None without the
        variable.

    Raises:
        ValueError: another form of file, a damaged one, or one that inflates beyond the bound.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or len(data) < _HEADER:
        raise ValueError("not a MATLAB 5 file")
    reader = _Reader(order)
    try:
        for kind, content in reader.elements(memoryview(data)[_HEADER:]):
            if kind == _DEFLATED:
                inflated = _inflate(content, max_bytes)
                max_bytes -= len(inflated)
                kind, content = next(reader.elements(memoryview(inflated)), (0, content))
            if kind == _MATRIX and reader.name(content) == name.encode():
                return reader.matrix(content, 0)
    except (struct.error, zlib.error) as error:
        raise ValueError(str(error)) from None
    return None


def _inflate(content: memoryview, max_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    inflated = stream.decompress(content, max(1, max_bytes))
    if not stream.eof:
        raise ValueError(f"it is cut short, or inflates to more than {max_bytes} bytes")
    return inflated


class _Reader:
    """Elements in one byte order."""

    def __init__(self, order: str):
        self._order = order

    def elements(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Type and content of one element after the other."""
        place = 0
        while place < len(data):
            kind, length = struct.unpack_from(f"{self._order}II", data, place)
            begin = place + 8
            if kind >> 16:  # a short one: length and type in one number, then up to 4 bytes
                kind, length, begin = kind & 0xFFFF, kind >> 16, place + 4
                if length > 4:
                    raise ValueError("a short element is longer than 4 bytes")
                place += 8
            else:
                place = begin + length + (-length % 8 if kind != _DEFLATED else 0)
            if begin + length > len(data):
                raise ValueError("an element is longer than what it is in")
            yield kind, data[begin : begin + length]

    def name(self, content: memoryview) -> bytes:
        """The name of a matrix."""
        elements = self.elements(content)
        names = [bytes(part) for _, (_, part) in zip(range(3), elements, strict=False)]
        return names[2] if len(names) == 3 else b""

    def matrix(self, content: memoryview, depth: int) -> Any:
        """The value of a matrix; see `variable`."""
        if not content:  # what an empty cell holds
            return np.zeros((0, 0))
        if depth > _MAX_DEPTH:
            raise ValueError("cells inside cells inside cells")
        elements = self.elements(content)
        flags, dimensions, _ = (self._take(elements) for _ in range(3))
        kind = self._first(flags) & 0xFF
        sides = self._numbers(*dimensions)
        if sides.dtype.kind not in "iu":
            raise ValueError("dimensions are whole numbers")
        shape = [int(side) for side in sides]
        if not 2 <= len(shape) <= 8 or min(shape) < 0:
            raise ValueError(f"a matrix has the dimensions {shape}")
        count = math.prod(shape)
        if kind in _NUMERIC:
            numbers = self._numbers(*self._take(elements))
            if len(numbers) != count:
                raise ValueError(f"{len(numbers)} numbers are not {shape}")
            return numbers.reshape(shape, order="F")
        if kind not in (_CELL, _STRUCT):
            return None
        fields = self._fields(elements) if kind == _STRUCT else [""]
        # Each takes 8 bytes at least, so that the loop is no longer than the file.
        if count * len(fields) > len(content):
            raise ValueError(f"{count} cells or structs are more than there is room for")
        found = []
        for _ in range(count):
            values = {}
            for field in fields:
                part, inside = self._take(elements)
                if part != _MATRIX:
                    raise ValueError("a cell or field is no matrix")
                values[field] = self.matrix(inside, depth + 1)
            found.append(values if kind == _STRUCT else values[""])
        return found

    def _fields(self, elements: Iterator[tuple[int, memoryview]]) -> list[str]:
        width = self._first(self._take(elements))
        _, names = self._take(elements)
        if not 1 <= width <= 256 or not names or len(names) % width:
            raise ValueError("the names of a struct's fields are damaged")
        parts = (bytes(names[k : k + width]) for k in range(0, len(names), width))
        return [part.partition(b"\0")[0].decode("latin-1") for part in parts]

    def _first(self, element: tuple[int, memoryview]) -> int:
        numbers = self._numbers(*element)
        if not len(numbers) or numbers.dtype.kind not in "iu":
            raise ValueError("a matrix has no kind, or a struct no fields")
        return int(numbers[0])

    def _take(self, elements: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
        element = next(elements, None)
        if element is None:
            raise ValueError("a matrix is cut short")
        return element

    def _numbers(self, kind: int, content: memoryview) -> np.ndarray:
        if kind not in _NUMBERS:
            raise ValueError(f"elements of type {kind} are no numbers")
        dtype = np.dtype(f"{self._order}{_NUMBERS[kind]}")
        return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
