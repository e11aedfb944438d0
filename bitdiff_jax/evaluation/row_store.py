"""Stores for the rows of an evaluation: a file that a later start continues, or memory."""

import array
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import rows


class Rows(Protocol):
    """Stores rows as they come.

    Attributes:
        done: names of the images that had a row at the start.
    """

    done: set[str]

    def add(self, new: Iterable[rows.Row]) -> None:
        """Stores rows; of each image only the first one is kept."""

    def table(self) -> rows.Table:
        """All rows that are stored."""

    def close(self) -> None:
        """Closes the store; no row may be added afterwards."""


class OnDisk:
    """Rows in a file; `rows.RowFile` describes the arguments and errors."""

    def __init__(self, path: os.PathLike | str, about: Mapping[str, Any], columns: Sequence[str]):
        self._path = path
        self._file = rows.RowFile(path, about, columns)
        self.done = set(self._file.done)

    def add(self, new: Iterable[rows.Row]) -> None:
        """Stores rows as `Rows.add` does; raises `InputError` if the disk is full."""
        try:
            for row in new:
                self._file.add(row)
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot be written ({files.reason(error)}); free space and start "
                "again: what has a row stays"
            ) from None

    def table(self) -> rows.Table:
        """As `Rows.table`."""
        return rows.read(self._path)

    def close(self) -> None:
        """As `Rows.close`."""
        self._file.close()


class InMemory:
    """Rows in memory, 8 bytes per metric."""

    def __init__(self, about: Mapping[str, Any], columns: Sequence[str]):
        self.done: set[str] = set()
        self._columns, self._about = tuple(columns), about
        self._names: dict[str, None] = {}
        self._values = array.array("d")
        self._errors: dict[str, str] = {}

    def add(self, new: Iterable[rows.Row]) -> None:
        """Stores rows as `Rows.add` does."""
        for row in new:
            if row.error is not None:
                self._errors[row.name] = row.error
            elif row.name not in self._names:
                self._names[row.name] = None
                self._values.extend(v if math.isfinite(v) else math.nan for v in row.values)

    def table(self) -> rows.Table:
        """As `Rows.table`."""
        values = np.array(self._values).reshape(len(self._names), len(self._columns))
        return rows.Table(
            tuple(self._names), self._columns, values, self._errors, about=self._about
        )

    def close(self) -> None:
        """As `Rows.close`."""
