"""Rows of metrics, written to disk as they are computed; a later start continues them.

The file is JSON lines. The first says what was evaluated and names the columns; each other one is
an image, `{"name": ..., "values": [...]}` with null for what is not defined, or
`{"name": ..., "error": ...}` for one that could not be scored, which the next start tries again.
An image's line may also hold 'regions' (`dataset_ap`) and 'levels' (`ods_ois`): numbers that
metrics of the whole set need beside its values.
"""

import array
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.statistics import dataset_ap, ods_ois


class Row(NamedTuple):
    """One image's metrics, or the reason why there are none."""

    name: str
    values: Sequence[float] = ()
    error: str | None = None
    kept: Mapping[str, Any] = {}  # by `dataset_ap.KEY` and `ods_ois.KEY`, where they apply


class Table(NamedTuple):
    """All rows that have metrics, in the order in which they were written."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray  # float64 [images, columns]
    errors: dict[str, str]  # by name, of the images that have no metrics
    regions: Mapping[str, dataset_ap.Ranked] = {}  # by view, where regions have scores
    sweeps: Mapping[str, ods_ois.Sweep] = {}  # by view, where there are levels
    about: Mapping[str, Any] = {}  # what was evaluated

    def column(self, name: str) -> np.ndarray:
        """One column of the table, float64 [images]."""
        return self.values[:, self.columns.index(name)]

    def of(self, names: Sequence[str]) -> "Table":
        """The rows of these images, in this order; those without a row are left out."""
        place = {name: index for index, name in enumerate(self.names)}
        kept = [name for name in names if name in place]
        index = np.array([place[name] for name in kept], np.intp)
        errors = {name: self.errors[name] for name in names if name in self.errors}
        return Table(
            tuple(kept),
            self.columns,
            self.values[index],
            errors,
            {view: each.of(index) for view, each in self.regions.items()},
            {view: each.of(index) for view, each in self.sweeps.items()},
            self.about,
        )


class RowFile:
    """Appends rows to a file, continuing one that was cut off.

    Attributes:
        done: names of the images that have their metrics.
    """

    def __init__(self, path: os.PathLike | str, about: Mapping[str, Any], columns: Sequence[str]):
        """Opens the file, or makes it; a line cut short by a crash is removed.

        Args:
            path: path of the file, which must be on a disk, since buckets cannot append.
            about: what is evaluated and how, as values for JSON.
            columns: names of the values of a row.

        Raises:
            InputError: the file has rows of another evaluation, or cannot be written.
        """
        self._path = os.fspath(path)
        if "://" in self._path:
            raise InputError(f"{self._path}: rows are appended, which buckets cannot; use a disk")
        self._columns = tuple(columns)
        head = json.loads(json.dumps({"about": dict(about), "columns": list(columns)}))
        self.done: set[str] = set()
        try:
            if os.path.exists(self._path) and os.path.getsize(self._path):
                self._resume(head)
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115
            if not self._file.tell():
                self._write(head)
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot be written ({files.reason(error)}); name another place"
            ) from None

    def _resume(self, head: dict[str, Any]) -> None:
        whole = _whole_size(self._path)
        lines = _lines(self._path)
        found = next(lines, None)
        if whole and found != head:
            old, new = (_flat(each.get("about", {}) if each else {}) for each in (found, head))
            keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
            raise InputError(
                f"{self._path}: holds rows of another evaluation (it differs in "
                f"{', '.join(keys) or 'its figures'}); name another folder or remove the file"
            )
        self.done.update(line["name"] for line in lines if "values" in line)
        os.truncate(self._path, whole)

    def add(self, row: Row) -> None:
        """Appends a row and writes it at once; an image that has a row keeps the old one."""
        if row.name in self.done:
            return
        if row.error is not None:
            self._write({"name": row.name, "error": row.error})
            return
        if len(row.values) != len(self._columns):
            raise ValueError(f"{len(row.values)} values for {len(self._columns)} columns")
        values = [float(f"{v:.10g}") if math.isfinite(v) else None for v in row.values]
        self._write({"name": row.name, "values": values, **row.kept})
        self.done.add(row.name)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


def _flat(about: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by dotted names, so that a message can name the ones that differ."""
    flat: dict[str, Any] = {}
    for key, value in about.items():
        flat |= _flat(value) if isinstance(value, dict) else {key: value}
    return flat


def read(path: os.PathLike | str) -> Table:
    """Reads rows back, 8 bytes per value and 13 per ranked region; an image's first row counts.

    Raises:
        InputError: it is not a file of rows.
    """
    lines = _lines(os.fspath(path))
    head = next(lines, None)
    if not head or "columns" not in head:
        raise InputError(f"{path}: not a file of rows; evaluate again")
    names: dict[str, None] = {}
    errors: dict[str, str] = {}
    values = array.array("d")
    regions, levels = dataset_ap.Collector(), ods_ois.Collector()
    for line in lines:
        name = line["name"]
        if "error" in line:
            errors[name] = line["error"]
        elif name not in names:
            regions.add(len(names), line.get(dataset_ap.KEY, {}))
            levels.add(len(names), line.get(ods_ois.KEY, {}))
            names[name] = None
            values.extend(math.nan if v is None else v for v in line["values"])
    columns = tuple(head["columns"])
    matrix = np.frombuffer(values, np.float64) if values else np.zeros(0)
    # These were scored after all, at a later start.
    errors = {name: text for name, text in errors.items() if name not in names}
    matrix = matrix.reshape(len(names), len(columns))
    kept = regions.ranked(len(names)), levels.sweeps(len(names))
    return Table(tuple(names), columns, matrix, errors, *kept, head.get("about", {}))


def _lines(path: str) -> Iterator[dict[str, Any]]:
    """The complete lines of a file, of which the last one may have been cut short."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                raise InputError(
                    f"{path}: line {number} is not JSON; remove the line or the file"
                ) from None


def _whole_size(path: str) -> int:
    """Number of bytes up to and including the last end of a line."""
    with open(path, "rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position:
            start = max(0, position - 65_536)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            position = start
    return 0


def left(names: Iterable[str], done: set[str]) -> list[str]:
    """The names that have no row yet, each once, in their order."""
    return [name for name in dict.fromkeys(names) if name not in done]
